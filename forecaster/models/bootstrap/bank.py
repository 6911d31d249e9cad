"""Stored residual paths of a point forecast: which are eligible for a window, and their scale."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Shape
from forecaster.models.scales import exponents, log_scales
from forecaster.models.series_scales import own_weights, own_windows, size_factors
from forecaster.networks.norms import window_scale

# bounds of the scale ratio, against nearly constant channels
_MIN_RATIO, _MAX_RATIO = 0.1, 10.0
# how often a season has to come round in the paths that it leaves, and the shortest one
TURNS, SHORTEST_TURNS = 5, 4
# the least season whose neighbouring phases are near enough to be taken for one
_NEAR_SEASON = 24
# a time that none is later than
_LATEST = 2**60
# the largest size of an array of factors by window, path and channel, in numbers
_MAX_FACTORS = 2**22


class ResidualBank(nn.Module):
    """Residual paths (R, K, M), all channels of one window together, with the time of each.

    ``validated``: 1 for the paths of validation windows. ``scales`` (R, K, 1): the expected size of
    the errors of a path's window, by ``scale``: the ``deviation`` of its history, or ``learnt`` by
    regression of the residuals on four statistics of it. ``power``: residuals grow with the ratio
    of two windows' scales to this power. ``owners`` (R,): the series of each path; ``windows``
    (N,): its number of paths without overlap; ``factors`` (N, K, 1): the size of its errors beyond
    that scale. ``phase_window``: see
    ``ResidualBootstrapConfig``.
    """

    residuals: Tensor
    times: Tensor
    validated: Tensor
    scales: Tensor
    exponents: Tensor
    power: Tensor
    owners: Tensor
    windows: Tensor
    factors: Tensor

    def __init__(
        self,
        scale: Literal["deviation", "learnt"],
        phase_window: int | Literal["auto"] | None,
        shape: Shape,
    ) -> None:
        super().__init__()
        self.learnt, self.season, self.series = scale == "learnt", shape.season, shape.series
        seasons = () if phase_window is None else shape.seasons or (shape.season,)
        self.seasons = {each: phase_width(each, phase_window) for each in seasons}
        self.length = shape.label + shape.horizon
        self.register_buffer("residuals", torch.zeros(0, shape.channels, self.length))
        self.register_buffer("times", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("validated", torch.zeros(0))
        self.register_buffer("scales", torch.zeros(0, shape.channels, 1))
        self.register_buffer("power", torch.tensor(0.0))
        self.register_buffer("owners", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("windows", torch.zeros(shape.series + 1))
        self.register_buffer("factors", torch.ones(shape.series + 1, shape.channels, 1))
        if self.learnt:
            self.register_buffer("exponents", torch.zeros(shape.channels, 4))

    @property
    def device(self) -> torch.device:
        """The device of the paths."""
        return self.residuals.device

    def fill(
        self,
        paths: Float[Tensor, "R K M"],
        times: Int[Tensor, " R"],
        validated: Float[Tensor, " R"],
        logs: Float[Tensor, "R K F"],
        owners: Int[Tensor, " R"],
    ) -> None:
        """Store residual paths, nan where missing, and the ``log_scales`` of their windows.

        A missing entry is filled with the residual of the nearest path at the same channel and lead
        time. A learnt scale is fitted on the training paths, if there are any.
        """
        self.residuals, self.times, self.validated = filled(paths), times, validated
        self.owners = owners
        self.factors.fill_(1.0)
        self.windows.copy_(own_windows(owners, times, self.length, self.series))
        if self.learnt:
            training = validated == 0
            rows = training if training.any() else ~training
            self.exponents.copy_(exponents(logs[rows], self.residuals[rows]))
        self.scales = self._scale(logs)
        self.scale_by(float(self.power))

    def scale_by(self, power: float) -> None:
        """Set ``power``, and measure the ``factors`` of the series in the units that it leaves."""
        self.power.fill_(power)
        self.residuals *= self.factors[self.owners]
        units = self.residuals / self.scales**self.power
        self.factors.copy_(size_factors(units, self.owners, self.windows)[..., None])
        self.residuals /= self.factors[self.owners]

    def settle(self) -> None:
        """Nothing is released: the paths are what is drawn."""

    def log_scales(self, batch: Batch) -> Float[Tensor, "B K F"]:
        """The logarithms of the F statistics that the scale of a window's errors depends on."""
        if self.learnt:
            return log_scales(batch, self.season)
        return window_scale(batch.past, batch.past_mask, "standard").scale.log()

    def _scale(self, logs: Float[Tensor, "n K F"]) -> Float[Tensor, "n K 1"]:
        weighted = logs * self.exponents if self.learnt else logs
        return weighted.sum(2, keepdim=True).exp()

    def eligible(self, time: Int[Tensor, " B"]) -> Float[Tensor, "B R"]:
        """1 for the paths that are eligible for windows at these times, else 0.

        Not eligible are paths whose future overlaps the window's, which would leak the target;
        validation paths for training and validation windows, so that training and selection see
        the same kind of residual as the test; and paths of another phase of the season. If one of
        the last two rules leaves no path, it is dropped. Of several seasons the longest one counts
        that comes round five times in the paths that it leaves, else the shortest if it does so
        four times, since few paths are no distribution.
        """
        distance = self.times - time[:, None]
        unleaked = (self.validated == 0) | (time[:, None] > self.times).all(1, keepdim=True)
        allowed = distance.abs() >= self.length
        stricter = allowed & unleaked
        allowed = torch.where(stricter.any(1, keepdim=True), stricter, allowed)
        chosen = allowed
        for season, width in self.seasons.items():
            phase = distance % season
            near = allowed & (torch.minimum(phase, season - phase) <= width)
            needed = SHORTEST_TURNS if season == min(self.seasons) else TURNS
            enough = _turns(self.times, near, season) >= needed
            chosen = torch.where(enough[:, None], near, chosen)
        return chosen.float()

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B K M"]]:
        """Paths drawn with replacement, by a seed for each window, and their expectation.

        They are in the size of the window's errors: of its scale and its series. Those of its own
        series count first. Without an eligible path they are 0.
        """
        weights, scale = self._weights(batch), self._scale(self.log_scales(batch))
        any_path = weights.any(1)
        usable = torch.where(any_path[:, None], weights, 1.0)
        drawn = [
            torch.multinomial(weight, draws.samples, True, generator=generator(seed, "residuals"))
            for weight, seed in zip(usable.cpu(), draws.seeds, strict=True)
        ]
        index = torch.stack(drawn).to(self.residuals.device)
        ratio = (scale[:, None] / self.scales[index]).clamp(_MIN_RATIO, _MAX_RATIO)
        paths = self.residuals[index] * any_path[:, None, None, None] * ratio**self.power
        factor = self.factors[batch.series]
        return paths * factor[:, None], self._mean(weights, scale) * factor

    def mean(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The expectation of the paths that ``draw`` gives."""
        means = self._mean(self._weights(batch), self._scale(self.log_scales(batch)))
        return means * self.factors[batch.series]

    def _weights(self, batch: Batch) -> Float[Tensor, "B R"]:
        return own_weights(self.eligible(batch.time), self.owners, batch.series, self.windows)

    def _mean(
        self, weights: Float[Tensor, "B R"], scale: Float[Tensor, "B K 1"]
    ) -> Float[Tensor, "B K M"]:
        """The weighted mean of all paths, each scaled as in a draw; 0 without an eligible path."""
        used = _span(weights)
        chances = weights[:, used] / weights.sum(1, keepdim=True).clamp(min=1)
        ours = (scale**self.power).transpose(0, 1)  # (K, B, 1)
        theirs = (self.scales[used] ** self.power).permute(1, 2, 0).contiguous()  # (K, 1, R)
        paths = self.residuals[used].transpose(0, 1)  # (K, R, M)
        low, high = _MIN_RATIO**self.power, _MAX_RATIO**self.power
        size = max(_MAX_FACTORS // max(theirs.numel(), 1), 1)
        means = [
            (own / theirs).clamp_(low, high).mul_(chance) @ paths
            for own, chance in zip(ours.split(size, 1), chances.split(size), strict=True)
        ]
        return torch.cat(means, 1).transpose(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the buffers to the number of saved paths.

        Those that were saved without their series are pooled.
        """
        if prefix + "times" in state_dict:
            times = state_dict[prefix + "times"]
            pooled = {"owners": torch.full_like(times, -1), "windows": self.windows}
            for name, value in {**pooled, "factors": self.factors}.items():
                state_dict.setdefault(prefix + name, value)
        for name in ("residuals", "times", "validated", "scales", "owners"):
            saved, current = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.ndim == current.ndim:
                setattr(self, name, current.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def phase_width(season: int, phase_window: int | Literal["auto"] | None) -> int:
    """The largest distance of phases in a season."""
    if isinstance(phase_window, str):
        return int(season >= _NEAR_SEASON)
    return phase_window or 0


def _turns(
    times: Int[Tensor, " R"], chosen: Bool[Tensor, "B R"], season: int
) -> Float[Tensor, " B"]:
    """How often a season comes round in the chosen paths of each window."""
    first, last = (
        F.pad(torch.where(chosen, sign * times, _LATEST), (0, 1), value=_LATEST).amin(1) * sign
        for sign in (1, -1)
    )
    return (last - first) / season + 1


def _span(weights: Float[Tensor, "B R"]) -> slice:
    """From the first path to the last one that has a weight in any window."""
    found = weights.any(0).nonzero()[:, 0].tolist()
    return slice(found[0], found[-1] + 1) if found else slice(0)


def filled(paths: Float[Tensor, "R K M"]) -> Float[Tensor, "R K M"]:
    """Fill missing entries from the nearest path before, else the nearest after, else with 0."""
    rows = torch.arange(len(paths), device=paths.device)[:, None, None]
    observed = ~paths.isnan()
    before = torch.where(observed, rows, -1).cummax(0).values
    after = torch.where(observed, rows, len(paths)).flip(0).cummin(0).values.flip(0)
    source = torch.where(before >= 0, before, after)
    return torch.nan_to_num(paths.gather(0, source.clamp(max=len(paths) - 1)))
