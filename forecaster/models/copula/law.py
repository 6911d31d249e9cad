"""The distribution of residual paths: by place in the season, size of the window, and copula."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Shape
from forecaster.models.bootstrap.bank import SHORTEST_TURNS, TURNS, filled, phase_width
from forecaster.models.copula.correlation import Correlation
from forecaster.models.copula.marginals import NormalScores
from forecaster.models.scales import exponents, log_scales
from forecaster.models.series_scales import own_windows, size_factors
from forecaster.networks.norms import window_scale

# the largest number of residuals that the law is fitted on, and the largest seasonal table
MOST_NUMBERS = 2**25
LARGEST_TABLE = 2**24
# bounds of a window's scale in that of the training
_LEAST, _MOST = 0.1, 10.0
# the least size of an error, in z-scores
_FLOOR = 1e-6
# windows without overlap that the size of all phases counts for, in that of one phase
_SIZE_WINDOWS = 2.0


@dataclass(frozen=True)
class _Residuals:
    """Residual paths in z-scores, and what is known of their windows."""

    paths: Float[Tensor, "R K M"]
    times: Int[Tensor, " R"]
    scales: Float[Tensor, "R K 1"]
    owners: Int[Tensor, " R"]


class ResidualLaw(nn.Module):
    """r = m + g·F⁻¹(Φ(colour(w))), with w ~ N(0, 1): see the package.

    m = ``means``[phase] · q and g = ``sizes``[phase] · q, with q the size of a window's errors: its
    scale in that of the training, to the ``power``, times the factor and the excess of its series.
    ``phase`` is the place in the longest season that comes round often enough; the tables (P, K, M)
    have a row a phase. ``exponents``, ``windows`` and ``factors``: see ``ResidualBank``; ``centre``
    (K, 1): the geometric mean of the scales; ``excess`` (N, K, 1): what the errors of windows held
    out say of each series' size besides.
    """

    means: Tensor
    sizes: Tensor
    power: Tensor
    exponents: Tensor
    centre: Tensor
    windows: Tensor
    factors: Tensor
    excess: Tensor

    def __init__(
        self,
        scale: Literal["deviation", "learnt"],
        phase_window: int | Literal["auto"] | None,
        shape: Shape,
    ) -> None:
        super().__init__()
        self.learnt, self.season, self.series = scale == "learnt", shape.season, shape.series
        self.length, channels = shape.label + shape.horizon, shape.channels
        seasons = () if phase_window is None else shape.seasons or (shape.season,)
        self.seasons = {each: phase_width(each, phase_window) for each in seasons}
        self.marginals = NormalScores(channels, self.length)
        self.correlation = Correlation(channels, self.length)
        self.register_buffer("means", torch.zeros(1, channels, self.length))
        self.register_buffer("sizes", torch.ones(1, channels, self.length))
        self.register_buffer("power", torch.tensor(0.0))
        self.register_buffer("exponents", torch.zeros(channels, 4 if self.learnt else 1))
        self.register_buffer("centre", torch.ones(channels, 1))
        self.register_buffer("windows", torch.zeros(shape.series + 1))
        self.register_buffer("factors", torch.ones(shape.series + 1, channels, 1))
        self.register_buffer("excess", torch.ones(shape.series + 1, channels, 1))
        self._fitted_on: _Residuals | None = None
        self._held_out: _Residuals | None = None

    @property
    def device(self) -> torch.device:
        """The device of the tables."""
        return self.means.device

    def fill(
        self,
        paths: Float[Tensor, "R K M"],
        times: Int[Tensor, " R"],
        validated: Float[Tensor, " R"],
        logs: Float[Tensor, "R K F"],
        owners: Int[Tensor, " R"],
    ) -> None:
        """Fit the law on residual paths, nan where missing; see ``ResidualBank.fill``.

        They are held until ``settle``, for another ``scale_by``.
        """
        complete, training = filled(paths), validated == 0
        rows = training if training.any() else ~training
        self.exponents.fill_(1.0)
        if self.learnt:
            self.exponents.copy_(exponents(logs[rows], complete[rows]))
        scales = (logs * self.exponents).sum(2, keepdim=True)
        self.centre.copy_(scales[rows].mean(0).exp())
        self.windows.copy_(own_windows(owners, times, self.length, self.series))
        self._fitted_on = _Residuals(complete, times, self._ratio(scales), owners)
        self.scale_by(float(self.power))

    def hold_out(
        self,
        paths: Float[Tensor, "R K M"],
        times: Int[Tensor, " R"],
        logs: Float[Tensor, "R K F"],
        owners: Int[Tensor, " R"],
    ) -> None:
        """Correct the size of each series by residual paths that the law is not fitted on."""
        scales = (logs * self.exponents).sum(2, keepdim=True)
        self._held_out = _Residuals(paths, times, self._ratio(scales), owners)
        self.scale_by(float(self.power))

    def settle(self) -> None:
        """Release the residuals."""
        self._fitted_on = self._held_out = None

    def scale_by(self, power: float) -> None:
        """Set ``power``, and fit all else in the units that it leaves."""
        known = self._fitted_on
        assert known is not None
        self.power.fill_(power)
        units = known.paths / known.scales**self.power
        factors = size_factors(units, known.owners, self.windows)[..., None]
        self.factors.copy_(factors)
        units = units / factors[known.owners]
        season, width = self._season_of(known.times)
        phase = known.times % season
        self.means = _by_phase(units, phase, season, width)
        errors = units - self.means[phase]
        self.sizes = self._sizes(errors, phase, season, width)
        errors = errors / self.sizes[phase]
        rest = self.marginals.fit(errors)
        self.means = self.means + self.sizes * rest
        self.correlation.fit(self.marginals.scores(errors - rest))
        if self._held_out is not None:
            self.excess.copy_(self._excess(self._held_out))

    def _excess(self, known: _Residuals) -> Float[Tensor, "N K 1"]:
        """The size of each series' errors in the one that it is given, and in that of all."""
        phase = known.times % len(self.means)
        units = known.paths / (known.scales**self.power * self.factors[known.owners])
        errors = (units - self.means[phase]) / self.sizes[phase]
        windows = own_windows(known.owners, known.times, self.length, self.series)
        return size_factors(errors, known.owners, windows)[..., None]

    def log_scales(self, batch: Batch) -> Float[Tensor, "B K F"]:
        """The logarithms of the F statistics that the scale of a window's errors depends on."""
        if self.learnt:
            return log_scales(batch, self.season)
        return window_scale(batch.past, batch.past_mask, "standard").scale.log()

    def _ratio(self, scales: Float[Tensor, "n K 1"]) -> Float[Tensor, "n K 1"]:
        """The scale in that of the training, of its logarithm."""
        return (scales.exp() / self.centre).clamp(_LEAST, _MOST)

    def _season_of(self, times: Int[Tensor, " R"]) -> tuple[int, int]:
        """The season of the tables and the distance up to which phases are taken together."""
        span, chosen = int(times.max() - times.min()), (1, 0)
        for season, width in sorted(self.seasons.items()):
            needed = SHORTEST_TURNS if season == min(self.seasons) else TURNS
            fits = season * self.means[0].numel() <= LARGEST_TABLE
            if span / season + 1 >= needed and fits:
                chosen = season, width
        return chosen

    def _sizes(
        self, errors: Float[Tensor, "R K M"], phase: Int[Tensor, " R"], season: int, width: int
    ) -> Float[Tensor, "P K M"]:
        """The mean absolute error of each phase, shrunk towards that of all."""
        pooled = errors.abs().mean(0).clamp(min=_FLOOR)
        own = _by_phase(errors.abs(), phase, season, width)
        count = torch.bincount(phase, minlength=season) * min(season / self.length, 1.0)
        share = (count / (count + _SIZE_WINDOWS))[:, None, None].to(own)
        ratio = torch.where(own > 0, own / pooled, 1.0).log()
        return pooled * (share * ratio).exp()

    def spread(self, batch: Batch) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """The mean residual m and the size of residuals g of each window."""
        phase = batch.time % len(self.means)
        logs = (self.log_scales(batch) * self.exponents).sum(2, keepdim=True)
        factors = self.factors[batch.series] * self.excess[batch.series]
        size = self._ratio(logs) ** self.power * factors
        return self.means[phase] * size, self.sizes[phase] * size

    def mean(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The expectation of the paths that ``draw`` gives."""
        return self.spread(batch)[0]

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B K M"]]:
        """Residual paths, by a seed for each window, and their expectation."""
        mean, size = self.spread(batch)
        paths = [
            m + g * self.errors(torch.randn(draws.samples, *m.shape, generator=source).to(m))
            for m, g, source in zip(
                mean, size, (generator(seed, "residuals") for seed in draws.seeds), strict=True
            )
        ]
        return torch.stack(paths), mean

    def errors(self, w: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """(r − m)/g of white noise."""
        return self.marginals.values(self.correlation.colour(w))

    def mean_errors(self, w: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """E[(r − m)/g] of normal noise of mean w and variance 1."""
        return self.marginals.mean(self.correlation.colour(w))

    def noise(self, errors: Float[Tensor, "n K M"]) -> Float[Tensor, "n K M"]:
        """White noise of (r − m)/g, the inverse of ``errors``."""
        return self.correlation.whiten(self.marginals.scores(errors))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the tables to the number of saved phases; those of before know no excess."""
        state_dict.setdefault(prefix + "excess", torch.ones_like(self.excess))
        for name in ("means", "sizes"):
            saved, current = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.ndim == current.ndim:
                setattr(self, name, current.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _by_phase(
    values: Float[Tensor, "R K M"], phase: Int[Tensor, " R"], season: int, width: int
) -> Float[Tensor, "P K M"]:
    """The mean of the values of each phase and its neighbours up to ``width``; 0 of none."""
    sums = values.new_zeros(season, *values.shape[1:]).index_add(0, phase, values)
    counts = torch.bincount(phase, minlength=season).to(values)
    near = range(-width, width + 1) if season > 2 * width else range(season)
    total = sum((sums.roll(step, 0) for step in near), torch.zeros_like(sums))
    count = sum((counts.roll(step) for step in near), torch.zeros_like(counts))
    return total / count.clamp(min=1)[:, None, None]
