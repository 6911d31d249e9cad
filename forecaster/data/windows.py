"""Windows of history and future, cut by vectorised indexing over the concatenated series.

All series lie behind one another in one array, each preceded by ``lookback`` rows of missing
values. A window is then one index, series of any length can be mixed, and a history shorter than
the lookback comes padded and masked by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from forecaster.data.splits import Borders, Part


@dataclass(frozen=True)
class Batch:
    """Windows as the models take them. Missing values are 0 in the values and 0 in the mask (1:
    observed).

    ``past`` (B, K, L) and ``future`` (B, K, H) are z-scores; ``index`` (B,) tells which windows
    they are, ``time`` (B,) when: the number of the first target's period, in steps since 1970.
    """

    past: Float[Tensor, "B K L"]
    past_mask: Float[Tensor, "B K L"]
    future: Float[Tensor, "B K H"]
    future_mask: Float[Tensor, "B K H"]
    index: Int[Tensor, " B"]
    time: Int[Tensor, " B"]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """The same windows on another device, in another precision."""
        return Batch(
            self.past.to(device, dtype),
            self.past_mask.to(device, dtype),
            self.future.to(device, dtype),
            self.future_mask.to(device, dtype),
            self.index.to(device),
            self.time.to(device),
        )

    def __len__(self) -> int:
        return len(self.past)


class Windows(Dataset[Batch]):
    """Every window at stride 1 whose targets lie inside one part of each series. Indexed by a batch
    of numbers.
    """

    def __init__(
        self,
        series: Sequence[NDArray[np.floating]],
        parts: Sequence[tuple[int, int]],
        lookback: int,
        horizon: int,
        starts: Sequence[int],
    ) -> None:
        """``series``: arrays (n, K) of z-scores with nan for missing; ``parts``: first row and end
        of the targets.

        ``starts``: each series' first period, numbered in steps since 1970. ``owners`` and ``rows``
        tell of each window the number of its series and the row of its first target in it.
        """
        self.lookback, self.horizon = lookback, horizon
        padding = np.full((lookback, series[0].shape[1]), np.nan, dtype=np.float32)
        pieces, origins, rows, times, begin = [], [], [], [], 0
        for values, (first, end), start in zip(series, parts, starts, strict=True):
            pieces += [padding, values.astype(np.float32)]
            # a window's number is the row at which its padded history begins; its first target is
            # `lookback` further
            targets = np.arange(max(first, 1), end - horizon + 1)
            origins.append(targets + begin)
            rows.append(targets)
            times.append(targets + start)
            begin += lookback + len(values)
        self._flat = np.concatenate(pieces)  # (rows, K)
        self.origins, self.times = np.concatenate(origins), torch.from_numpy(np.concatenate(times))
        self.rows = torch.from_numpy(np.concatenate(rows))
        self.owners = torch.repeat_interleave(
            torch.arange(len(rows)), torch.tensor([len(each) for each in rows])
        )
        self._cut()

    def _cut(self) -> None:
        span = self.lookback + self.horizon
        self._values = sliding_window_view(
            np.nan_to_num(self._flat), span, axis=0
        )  # (rows, K, L+H), a view
        self._mask = sliding_window_view((~np.isnan(self._flat)).astype(np.float32), span, axis=0)

    def __getstate__(self) -> dict[str, Any]:
        """What another process is given: the rows; each view over them would be sent as the large
        array it stands for.
        """
        return {
            name: value for name, value in vars(self).items() if name not in {"_values", "_mask"}
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._cut()

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: Int[Tensor, " B"]) -> Batch:
        rows = self.origins[index.numpy()]
        values, mask = (
            torch.from_numpy(self._values[rows]),
            torch.from_numpy(self._mask[rows]),
        )  # (B, K, L+H)
        past, future = values.split([self.lookback, self.horizon], dim=2)
        past_mask, future_mask = mask.split([self.lookback, self.horizon], dim=2)
        return Batch(past, past_mask, future, future_mask, index, self.times[index])


def cut_windows(
    series: Sequence[NDArray[np.floating]],
    borders: Sequence[Borders],
    part: Part,
    lookback: int,
    horizon: int,
    starts: Sequence[int],
) -> Windows:
    """The windows of one part; a training window has its whole history and its targets in the
    training rows.

    A series with fewer training rows than lookback + horizon gives padded windows, with half of
    what there is as their history at least; otherwise every training window has a full history, as
    in the protocol.
    """
    spans = []
    for border in borders:
        first, end = border.part(part)
        if part == "train":
            room = end - horizon
            first = lookback if room >= lookback else room // 2
        spans.append((first, end))
    return Windows(series, spans, lookback, horizon, starts)


class _Ordered:
    """Fixed batches of window numbers, in order."""

    def __init__(self, numbers: Int[Tensor, " n"], batch_size: int) -> None:
        self.batches = list(numbers.split(batch_size))

    def __iter__(self) -> Iterator[Int[Tensor, " B"]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def evenly_spaced(count: int, limit: int | None) -> Int[Tensor, " n"]:
    """All of ``count`` numbers, or ``limit`` of them evenly spaced from the first to the last."""
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, limit, dtype=torch.float64).round().long()


def ordered_loader(
    windows: Windows, batch_size: int, limit: int | None = None
) -> DataLoader[Batch]:
    """Windows in order, all or ``limit`` evenly spaced ones; the last batch may be smaller, none is
    dropped.
    """
    return loader_of(windows, evenly_spaced(len(windows), limit), batch_size)


def loader_of(windows: Windows, numbers: Int[Tensor, " n"], batch_size: int) -> DataLoader[Batch]:
    """The windows of these numbers, in their order."""
    return DataLoader(windows, sampler=_Ordered(numbers, batch_size), batch_size=None)
