"""Windows of history and future, cut by vectorised indexing over the concatenated series.

All series are concatenated in one array, each preceded by ``lookback`` rows of missing values. A
window is then one index, series of any length can be mixed, and a history shorter than the lookback
is one with missing values before it. What is missing of a history is put in (``holes``).
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from forecaster.data.encoding import Features
from forecaster.data.holes import fill
from forecaster.data.splits import Borders, Part, first_targets, target_rows


@dataclass(frozen=True)
class BatchCovariates:
    """The features of the covariates of a batch, 0 where missing: see ``Encoding``.

    ``known``: of the history and the future, T = L + H steps. ``own``: a forecast of one's own in
    z-scores, or of no channels.
    """

    known: Float[Tensor, "B C T"]
    past: Float[Tensor, "B P L"]
    static: Float[Tensor, "B S"]
    own: Float[Tensor, "B O T"]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "BatchCovariates":
        """The features on another device, in another precision."""
        return BatchCovariates(*(each.to(device, dtype) for each in vars(self).values()))


@dataclass(frozen=True)
class Batch:
    """A batch of windows, the input of models.

    ``past`` (B, K, L) and ``future`` (B, K, H) are z-scores, 0 where ``past_mask`` and
    ``future_mask`` are; those are 1 elsewhere. ``index`` (B,): the windows' numbers; ``time`` (B,):
    the period of the first target, in steps since 1970; ``series`` (B,): the number of a window's
    series among those of the training, -1 for another one. ``seen`` (B, K, L): 1 where the history
    was observed, and not put in; None for everywhere that ``past_mask`` is. ``covariates``: None
    without any.
    """

    past: Float[Tensor, "B K L"]
    past_mask: Float[Tensor, "B K L"]
    future: Float[Tensor, "B K H"]
    future_mask: Float[Tensor, "B K H"]
    index: Int[Tensor, " B"]
    time: Int[Tensor, " B"]
    series: Int[Tensor, " B"]
    seen: Float[Tensor, "B K L"] | None = None
    covariates: BatchCovariates | None = None

    @property
    def observed(self) -> Float[Tensor, "B K L"]:
        """1 where the history was observed."""
        return self.past_mask if self.seen is None else self.seen

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """The batch on another device, in another precision."""
        return Batch(
            self.past.to(device, dtype),
            self.past_mask.to(device, dtype),
            self.future.to(device, dtype),
            self.future_mask.to(device, dtype),
            self.index.to(device),
            self.time.to(device),
            self.series.to(device),
            None if self.seen is None else self.seen.to(device, dtype),
            None if self.covariates is None else self.covariates.to(device, dtype),
        )

    def part(self, rows: slice | Int[Tensor, " n"]) -> "Batch":
        """Some of the windows, by their places in the batch."""
        values: dict[str, Any] = {
            name: value[rows] for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        given = self.covariates
        if given is not None:
            kept = BatchCovariates(*(each[rows] for each in vars(given).values()))
            values["covariates"] = kept
        return replace(self, **values)

    def __len__(self) -> int:
        return len(self.past)


class _Rows:
    """The rows of all series, which the windows of every split share; see ``Windows``."""

    def __init__(
        self,
        series: Sequence[NDArray[np.floating]],
        lookback: int,
        horizon: int,
        features: Sequence[Features] | None,
    ) -> None:
        self.lookback, self.span = lookback, lookback + horizon
        lengths = np.array([len(values) for values in series], dtype=np.int64)
        # where each series begins, after the padding before it
        self.begins = np.cumsum(lengths + lookback) - lengths
        shape = (int(lengths.sum()) + lookback * len(series), series[0].shape[1])
        self._flat, self._given = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        for values, begin in zip(series, self.begins.tolist(), strict=True):
            rows = values.astype(np.float32)
            self._flat[begin : begin + len(rows)] = np.nan_to_num(rows)
            self._given[begin : begin + len(rows)] = ~np.isnan(rows)
        self._features: tuple[NDArray[np.float32], ...] | None = None
        if features is not None:
            known = [each.known[:n] for each, n in zip(features, lengths, strict=True)]
            static = np.stack([each.static for each in features]).astype(np.float32)
            past = _padded([each.past for each in features], lookback)
            own = [np.nan_to_num(f.own[:n]) for f, n in zip(features, lengths, strict=True)]
            self._features = _padded(known, lookback), past, static, _padded(own, lookback)
        self._cut()

    def _cut(self) -> None:
        if self._features is not None:
            known, past, _, own = self._features
            self._known = sliding_window_view(known, self.span, axis=0)  # (rows, C, L+H)
            self._past = sliding_window_view(past, self.lookback, axis=0)
            self._own = sliding_window_view(own, self.span, axis=0)
        self._values = sliding_window_view(self._flat, self.span, axis=0)  # (rows, K, L+H), a view
        self._mask = sliding_window_view(self._given, self.span, axis=0)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the rows without the views over them, which would be copied in full."""
        views = {"_values", "_mask", "_known", "_past", "_own"}
        return {name: value for name, value in vars(self).items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._cut()

    @property
    def channels(self) -> int:
        """The number of channels K."""
        return self._flat.shape[1]

    def values(self, begins: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Values (B, K, L+H) of the windows that begin there, and 1 where there are any."""
        mask = torch.from_numpy(self._mask[begins]).float()
        return torch.from_numpy(self._values[begins]), mask

    def covariates(
        self, begins: NDArray[np.int64], owners: NDArray[np.int64]
    ) -> BatchCovariates | None:
        """The features of windows of these series."""
        if self._features is None:
            return None
        static = self._features[2][owners]
        found = self._known[begins], self._past[begins], static, self._own[begins]
        return BatchCovariates(*map(torch.from_numpy, found))


class Windows(Dataset[Batch]):
    """All windows at stride 1 whose targets lie in one split; indexed by a batch of numbers."""

    def __init__(
        self,
        series: Sequence[NDArray[np.floating]],
        parts: Sequence[tuple[int, int]],
        lookback: int,
        horizon: int,
        starts: Sequence[int],
        numbers: Sequence[int] | None = None,
        seasons: Sequence[int] = (),
        features: Sequence[Features] | None = None,
    ) -> None:
        """Cut the windows of ``series``, arrays (n, K) of z-scores with nan for missing.

        ``parts``: first row and end of the targets. ``starts``: the first period of each series, in
        steps since 1970. ``numbers``: the number of each series among those of the training, -1
        for another one (None: these are those). ``seasons``: see ``holes``. ``features``: of the
        covariates of each series. ``owners`` and ``rows``: the series of each window, and the row
        of its first target there.
        """
        self.seasons = tuple(seasons)
        self._numbers = torch.tensor(list(range(len(series)) if numbers is None else numbers))
        self.lookback, self.horizon = lookback, horizon
        self._starts = np.array(starts, dtype=np.int64)
        self._data = _Rows(series, lookback, horizon, features)
        self._choose(parts)

    def of(self, parts: Sequence[tuple[int, int]]) -> "Windows":
        """The windows of other ``parts`` of the same series, whose rows they share."""
        other = copy.copy(self)
        other._choose(parts)
        return other

    def those(self, numbers: Int[Tensor, " n"]) -> "Windows":
        """The windows of these numbers alone, numbered anew."""
        kept = copy.copy(self)
        kept.origins, kept.times = self.origins[numbers.numpy()], self.times[numbers]
        kept.rows, kept.owners = self.rows[numbers], self.owners[numbers]
        return kept

    def _choose(self, parts: Sequence[tuple[int, int]]) -> None:
        allowed = [first_targets(first, end, self.horizon) for first, end in parts]
        counts = np.array([len(each) for each in allowed], dtype=np.int64)
        firsts = np.array([each.start for each in allowed], dtype=np.int64)
        owners = np.repeat(np.arange(len(counts)), counts)
        rows = np.arange(len(owners)) + (firsts - np.cumsum(counts) + counts)[owners]
        # a window is identified by the row where its padded history begins; its first target is
        # `lookback` rows later
        self.origins = rows + (self._data.begins - self.lookback)[owners]
        self.times = torch.from_numpy(rows + self._starts[owners])
        self.rows, self.owners = torch.from_numpy(rows), torch.from_numpy(owners)

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def channels(self) -> int:
        """The number of channels K."""
        return self._data.channels

    def __getitem__(self, index: Int[Tensor, " B"]) -> Batch:
        begins, owners = self.origins[index.numpy()], self.owners[index]
        values, mask = self._data.values(begins)
        past, future = values.split([self.lookback, self.horizon], dim=2)
        past_mask, future_mask = mask.split([self.lookback, self.horizon], dim=2)
        times, series = self.times[index], self._numbers[owners]
        whole, known = fill(past, past_mask, self.seasons)
        covariates = self._data.covariates(begins, owners.numpy())
        return Batch(whole, known, future, future_mask, index, times, series, past_mask, covariates)


def _padded(features: Sequence[NDArray[np.float64]], lookback: int) -> NDArray[np.float32]:
    """The features (n, F) of all series, one after the other, each after ``lookback`` rows of 0."""
    before = ((lookback, 0), (0, 0))
    return np.concatenate([np.pad(each, before).astype(np.float32) for each in features])


def cut_windows(
    series: Sequence[NDArray[np.floating]],
    borders: Sequence[Borders],
    part: Part,
    lookback: int,
    horizon: int,
    starts: Sequence[int],
    numbers: Sequence[int] | None = None,
    seasons: Sequence[int] = (),
    features: Sequence[Features] | None = None,
) -> Windows:
    """The windows of a split, whose targets are its ``target_rows``; see ``Windows``."""
    spans = [target_rows(border, part, lookback, horizon) for border in borders]
    return Windows(series, spans, lookback, horizon, starts, numbers, seasons, features)


class _Ordered:
    """Fixed batches of window numbers, in order."""

    def __init__(self, numbers: Int[Tensor, " n"], batch_size: int) -> None:
        self.batches = list(numbers.split(batch_size))

    def __iter__(self) -> Iterator[Int[Tensor, " B"]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def evenly_spaced(count: int, limit: int | None) -> Int[Tensor, " n"]:
    """The numbers 0…count−1, or ``limit`` evenly spaced ones from the first to the last."""
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, limit, dtype=torch.float64).round().long()


def ordered_loader(
    windows: Windows, batch_size: int, limit: int | None = None
) -> DataLoader[Batch]:
    """Windows in order, all or ``limit`` evenly spaced ones; the last batch may be smaller."""
    return loader_of(windows, evenly_spaced(len(windows), limit), batch_size)


def loader_of(windows: Windows, numbers: Int[Tensor, " n"], batch_size: int) -> DataLoader[Batch]:
    """The windows of these numbers, in their order."""
    return DataLoader(windows, sampler=_Ordered(numbers, batch_size), batch_size=None)
