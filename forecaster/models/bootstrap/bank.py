"""Stored residual paths of a point forecast: which are eligible for a window, and their scale."""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Shape
from forecaster.models.scales import exponents, log_scales
from forecaster.networks.norms import window_scale

# bounds of the scale ratio, against nearly constant channels
_MIN_RATIO, _MAX_RATIO = 0.1, 10.0


class ResidualBank(nn.Module):
    """Residual paths (R, K, M), all channels of one window together, with the time of each.

    ``validated``: 1 for the paths of validation windows. ``scales`` (R, K, 1): the expected size of
    the errors of a path's window, by ``scale``: the ``deviation`` of its history, or ``learnt`` by
    regression of the residuals on four statistics of it. ``phase_window``: see
    ``ResidualBootstrapConfig``.
    """

    residuals: Tensor
    times: Tensor
    validated: Tensor
    scales: Tensor
    exponents: Tensor

    def __init__(
        self, scale: Literal["deviation", "learnt"], phase_window: int | None, shape: Shape
    ) -> None:
        super().__init__()
        self.learnt, self.season = scale == "learnt", shape.season
        self.phase_window = shape.season if phase_window is None else phase_window
        self.length = shape.label + shape.horizon
        self.register_buffer("residuals", torch.zeros(0, shape.channels, self.length))
        self.register_buffer("times", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("validated", torch.zeros(0))
        self.register_buffer("scales", torch.zeros(0, shape.channels, 1))
        if self.learnt:
            self.register_buffer("exponents", torch.zeros(shape.channels, 4))

    def fill(
        self,
        paths: Float[Tensor, "R K M"],
        times: Int[Tensor, " R"],
        validated: Float[Tensor, " R"],
        logs: Float[Tensor, "R K F"],
    ) -> None:
        """Store residual paths, nan where missing, and the ``log_scales`` of their windows.

        A missing entry is filled with the residual of the nearest path at the same channel and lead
        time. A learnt scale is fitted on the training paths, if there are any.
        """
        self.residuals, self.times, self.validated = filled(paths), times, validated
        if self.learnt:
            training = validated == 0
            rows = training if training.any() else ~training
            self.exponents.copy_(exponents(logs[rows], self.residuals[rows]))
        self.scales = self._scale(logs)

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
        the last two rules leaves no path, it is dropped.
        """
        distance = self.times - time[:, None]
        unleaked = (self.validated == 0) | (time > self.times.max())[:, None]
        phase = distance % self.season
        near = torch.minimum(phase, self.season - phase) <= self.phase_window
        allowed = distance.abs() >= self.length
        for rule in (unleaked, near):
            stricter = allowed & rule
            allowed = torch.where(stricter.any(1, keepdim=True), stricter, allowed)
        return allowed.float()

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B S K 1"]]:
        """Eligible paths drawn with replacement, by a seed for each window, and the scale ratios.

        A ratio is the scale of the window over that of the path. Without an eligible path the paths
        are 0.
        """
        weights = self.eligible(batch.time)
        any_path = weights.any(1)
        weights = torch.where(any_path[:, None], weights, 1.0)
        drawn = [
            torch.multinomial(weight, draws.samples, True, generator=generator(seed, "residuals"))
            for weight, seed in zip(weights.cpu(), draws.seeds, strict=True)
        ]
        index = torch.stack(drawn).to(self.residuals.device)
        ratio = self._scale(self.log_scales(batch))[:, None] / self.scales[index]
        paths = self.residuals[index] * any_path[:, None, None, None]
        return paths, ratio.clamp(_MIN_RATIO, _MAX_RATIO)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Resize the buffers to the number of saved paths."""
        for name in ("residuals", "times", "validated", "scales"):
            saved, current = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.ndim == current.ndim:
                setattr(self, name, current.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def filled(paths: Float[Tensor, "R K M"]) -> Float[Tensor, "R K M"]:
    """Fill missing entries from the nearest path before, else the nearest after, else with 0."""
    rows = torch.arange(len(paths), device=paths.device)[:, None, None]
    observed = ~paths.isnan()
    before = torch.where(observed, rows, -1).cummax(0).values
    after = torch.where(observed, rows, len(paths)).flip(0).cummin(0).values.flip(0)
    source = torch.where(before >= 0, before, after)
    return torch.nan_to_num(paths.gather(0, source.clamp(max=len(paths) - 1)))
