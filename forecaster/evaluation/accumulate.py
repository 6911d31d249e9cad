"""Sums over windows by series, channel and lead time; every metric is a ratio of two sums.

The memory is N·K·H numbers a sum, independent of the number of windows; N are the series that have
any. Pooled values, curves over
lead times and values by series are computed from the same sums, so they do not depend on batches or
the order of windows, except for rounding. Entries that are not observed are in no sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from forecaster.evaluation.metrics import (
    CENTRAL,
    LEVELS_9,
    LEVELS_19,
    QUANTILES,
    interval_score,
    pit_histogram,
    pit_range,
    symmetric_percentage,
    variogram_terms,
)
from forecaster.models.scoring_rules import (
    crps_from_ranked,
    energy_score,
    pinball,
    quantiles_of_ranked,
)

# metric → numerator and denominator
RATIOS: dict[str, tuple[str, str]] = {
    "mse": ("squared", "observed"),
    "mae": ("absolute", "observed"),
    "rmse": ("squared", "observed"),
    "mase": ("scaled", "scalable"),
    "smape": ("symmetric", "observed"),
    "nd": ("absolute", "size"),
    "crps": ("crps", "observed"),
    "crps_sum": ("crps_sum", "together"),
    "energy": ("energy", "windows"),
    "variogram": ("variogram", "pairs"),
    "wql": ("loss_19", "size"),
    "wql_9": ("loss_9", "size"),
    "wql_sum": ("loss_sum", "size_sum"),
    **{
        f"{name}/{percent}": (f"{name}/{percent}", "observed")
        for name in ("coverage", "width", "interval")
        for percent in CENTRAL
    },
}
PIT_BINS = 20


@dataclass(frozen=True)
class Truth:
    """The observed future of a batch of windows: values, mask, and the series of each window."""

    y: Float64[Tensor, "B K H"]
    mask: Float[Tensor, "B K H"]
    series: Int[Tensor, " B"]

    @property
    def together(self) -> Tensor:
        """Where all channels are observed, (B, 1, H)."""
        return (self.mask > 0).all(1, keepdim=True).double()


class Accumulator:
    """The sums (N, K, H) by name; the axis of a sum over all channels or lead times has length 1.

    ``scale`` (N, K): each series' and channel's mean seasonal error on its training rows, for MASE;
    those without one, nan, are excluded from it. ``among``: the numbers, ascending, of the series
    that windows are of (None: all); the others have no rows in the sums.
    """

    def __init__(
        self,
        series: int = 1,
        scale: Float64[Tensor, "N K"] | None = None,
        among: Int[Tensor, " n"] | None = None,
    ) -> None:
        self.series, self.among = series, among
        self.scale = scale if scale is None or among is None else scale[among.to(scale.device)]
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, truth: Truth, values: Tensor) -> None:
        """Add values (B, K or 1, H or 1, …), which are 0 where nothing is observed."""
        if name not in self.sums:
            rows = self.series if self.among is None else len(self.among)
            self.sums[name] = values.new_zeros((rows, *values.shape[1:]), dtype=torch.float64)
        if self.series == 1:
            self.sums[name] += values.double().sum(0, keepdim=True)
        else:
            places = truth.series
            if self.among is not None:
                places = torch.searchsorted(self.among.to(places.device), places)
            self.sums[name].index_add_(0, places, values.double())

    def add_truth(self, truth: Truth) -> None:
        """Add to the denominators; call once for each batch."""
        observed = (truth.mask > 0).double()
        self.add("observed", truth, observed)
        self.add("size", truth, torch.where(truth.mask > 0, truth.y.abs(), 0.0))
        self.add("together", truth, truth.together)
        self.add("size_sum", truth, truth.together * truth.y.sum(1, keepdim=True).abs())
        self.add("windows", truth, observed.flatten(1).amax(1)[:, None, None])

    def _reduced(self, name: str, axes: tuple[int, ...]) -> Tensor:
        if name in {"scaled", "scalable"} and self.scale is not None:
            scale = self.scale.to(self.sums["observed"].device)[..., None]
            known = scale > 0  # False for nan, too
            values = (
                self.sums["absolute"] / torch.where(known, scale, 1.0)
                if name == "scaled"
                else self.sums["observed"]
            )
            return (values * known).sum(axes)
        return self.sums[name].sum(axes)

    def _ratio(self, metric: str, axes: tuple[int, ...]) -> Tensor:
        """A metric, nan where nothing is observed."""
        numerator, denominator = (self._reduced(name, axes) for name in RATIOS[metric])
        value = torch.where(denominator > 0, numerator / denominator, torch.nan)
        return value.sqrt() if metric == "rmse" else value

    def _known(self) -> list[str]:
        """The metrics whose sums were added to, in the order of ``RATIOS``."""
        available = {
            *self.sums,
            *({"scaled", "scalable"} if self.scale is not None and "absolute" in self.sums else ()),
        }
        return [metric for metric, needed in RATIOS.items() if available.issuperset(needed)]

    def _shape(self, metric: str) -> torch.Size:
        return self.sums["absolute" if metric == "mase" else RATIOS[metric][0]].shape

    def pooled(self) -> dict[str, float]:
        """Each metric over all entries; those without an observed value are omitted."""
        values = {metric: float(self._ratio(metric, (0, 1, 2))) for metric in self._known()}
        return {metric: value for metric, value in values.items() if value == value}

    def by_lead(self) -> dict[str, list[float]]:
        """Each metric by lead time (H), nan where nothing is observed; not of whole windows."""
        horizon = self.sums["observed"].shape[2]
        known = [metric for metric in self._known() if self._shape(metric)[2] == horizon]
        return {metric: self._ratio(metric, (0, 1)).tolist() for metric in known}

    def by_series(self) -> dict[str, list[float]]:
        """Each metric by series and channel (N·K, channels within series); not joint ones."""
        channels = self.sums["observed"].shape[1]
        known = [metric for metric in self._known() if self._shape(metric)[1] == channels]
        return {metric: self._spread(self._ratio(metric, (2,))).tolist() for metric in known}

    def _spread(self, values: Tensor) -> Tensor:
        """Values (n, K) of the series with windows as those of all, (N·K,), nan of the others."""
        if self.among is None or self.series == 1:
            return values.flatten()
        found = values.new_full((self.series, values.shape[1]), torch.nan)
        found[self.among.to(values.device)] = values
        return found.flatten()

    def histogram(self, name: str) -> list[float]:
        """The share of each bin of ``pit`` (20) or ``rank`` (one more than there are samples)."""
        counts = self.sums[name].sum((0, 1, 2))
        return (counts / counts.sum()).tolist()


def add_point(totals: Accumulator, truth: Truth, forecast: Float64[Tensor, "B K H"]) -> Tensor:
    """Add to mse, mae, rmse, mase, smape and nd; returns each entry's absolute error."""
    observed = truth.mask > 0
    error = torch.where(observed, (forecast - truth.y).abs(), 0.0)
    totals.add("absolute", truth, error)
    totals.add("squared", truth, error**2)
    totals.add(
        "symmetric", truth, torch.where(observed, symmetric_percentage(forecast, truth.y), 0.0)
    )
    return error


def add_samples(
    totals: Accumulator, truth: Truth, samples: Float64[Tensor, "B S K H"], full: bool = False
) -> Tensor:
    """Add to the scores of paths and of the samples' quantiles; returns each entry's CRPS.

    ``full``: see ``Scoring``.
    """
    ranked = samples.sort(dim=1).values
    crps = add_paths(totals, truth, samples, ranked, full)
    add_quantiles(totals, truth, quantiles_of_ranked(ranked, QUANTILES))
    if full:
        m = samples.shape[1]
        low, high = pit_range(ranked, truth.y, [i / (m + 1) for i in range(m + 2)])
        _add_pit(totals, truth, low, high)
        ranks = pit_histogram(low, high, m + 1) * (truth.mask > 0)[..., None]
        totals.add("rank", truth, ranks.sum((1, 2), keepdim=True))
    return crps


def add_paths(
    totals: Accumulator,
    truth: Truth,
    samples: Float64[Tensor, "B S K H"],
    ranked: Tensor,
    full: bool,
) -> Tensor:
    """Add to crps, crps_sum, wql_sum, energy, variogram if ``full``; returns each entry's CRPS.

    crps_sum and wql_sum are those of the sum over channels, where all of them are observed.
    """
    observed, y = truth.mask > 0, torch.where(truth.mask > 0, truth.y, 0.0)
    crps = torch.where(observed, crps_from_ranked(ranked, y), 0.0)
    totals.add("crps", truth, crps)
    sums, y_sum = samples.sum(2).sort(dim=1).values, y.sum(1)  # (B, S, H), (B, H)
    totals.add("crps_sum", truth, crps_from_ranked(sums, y_sum)[:, None] * truth.together)
    losses = pinball(quantiles_of_ranked(sums, LEVELS_19), y_sum, LEVELS_19).mean(1)
    totals.add("loss_sum", truth, losses[:, None] * truth.together)
    totals.add("energy", truth, energy_score(samples, y, truth.mask.to(y.dtype))[:, None, None])
    if full and y.shape[1] > 1:
        for name, values in zip(
            ("variogram", "pairs"), variogram_terms(samples, y, observed.to(y.dtype)), strict=True
        ):
            totals.add(name, truth, values[:, None])
    return crps


def add_quantiles(
    totals: Accumulator,
    truth: Truth,
    quantiles: Float64[Tensor, "B Q K H"],
    levels: Sequence[float] = QUANTILES,
) -> None:
    """Add to wql and wql_9, and to coverage/p, width/p and interval/p of the central intervals.

    wql is the mean weighted quantile loss of the 19 levels .05….95, wql_9 that of .1….9. What needs
    further ``levels`` than the quantiles are at is left out.
    """
    index = {level: i for i, level in enumerate(levels)}
    observed, y = truth.mask > 0, truth.y
    losses = pinball(quantiles, y, levels)
    for name, needed in (("loss_19", LEVELS_19), ("loss_9", LEVELS_9)):
        if index.keys() >= set(needed):
            found = losses[:, [index[level] for level in needed]].mean(1)
            totals.add(name, truth, torch.where(observed, found, 0.0))
    for percent in CENTRAL:
        tail = round(0.5 - percent / 200, 3)
        if not {tail, round(1 - tail, 3)} <= index.keys():
            continue
        low, high = quantiles[:, index[tail]], quantiles[:, index[round(1 - tail, 3)]]
        totals.add(f"coverage/{percent}", truth, ((low <= y) & (y <= high) & observed).double())
        totals.add(f"width/{percent}", truth, torch.where(observed, high - low, 0.0))
        totals.add(
            f"interval/{percent}",
            truth,
            torch.where(observed, interval_score(low, high, y, percent), 0.0),
        )


def add_pit_of_quantiles(
    totals: Accumulator, truth: Truth, quantiles: Float64[Tensor, "B Q K H"]
) -> None:
    """Add to the PIT histogram of quantiles at the levels ``QUANTILES``, uniform between two."""
    _add_pit(totals, truth, *pit_range(quantiles, truth.y, (0.0, *QUANTILES, 1.0)))


def _add_pit(totals: Accumulator, truth: Truth, low: Tensor, high: Tensor) -> None:
    totals.add("pit", truth, pit_histogram(low, high, PIT_BINS) * (truth.mask > 0)[..., None])
