"""Residual paths of a point forecast: which of them may be drawn for a window, and how large they
are to be.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Shape
from forecaster.models.scales import exponents, log_scales
from forecaster.networks.norms import frame

# a window or a path of a nearly constant channel does not blow the other up
_LEAST_RATIO, _GREATEST_RATIO = 0.1, 10.0


class ResidualBank(nn.Module):
    """Residual paths (R, K, M), all channels of one window together, with the time of each.

    ``validated``: 1 for the paths of validation windows. ``scales`` (R, K, 1): how large the
    errors of a path's window were to be expected, by ``scale``: the ``deviation`` of its history,
    or ``learnt`` from how the residuals grew with four measures of it. ``phase_window``: see
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
        """Take residual paths, nan where they are missing, with the ``log_scales`` of their
        windows.

        A missing entry takes the residual of the nearest path at the same channel and lead time. A
        learnt scale follows from the paths of training, where there are any.
        """
        self.residuals, self.times, self.validated = filled(paths), times, validated
        if self.learnt:
            trained = validated == 0
            rows = trained if trained.any() else ~trained
            self.exponents.copy_(exponents(logs[rows], self.residuals[rows]))
        self.scales = self._scale(logs)

    def log_scales(self, batch: Batch) -> Float[Tensor, "B K F"]:
        """What the scale of a window's errors is computed from, in logarithms."""
        if self.learnt:
            return log_scales(batch, self.season)
        return frame(batch.past, batch.past_mask, "standard").scale.log()

    def _scale(self, logs: Float[Tensor, "n K F"]) -> Float[Tensor, "n K 1"]:
        weighted = logs * self.exponents if self.learnt else logs
        return weighted.sum(2, keepdim=True).exp()

    def eligible(self, time: Int[Tensor, " B"]) -> Float[Tensor, "B R"]:
        """1 for the paths that may be drawn for windows at these times, else 0.

        A path is never drawn for a window whose future overlaps its own: it would tell the answer.
        Nor is a validation path for a window of training or validation, so that what is trained or
        selected there sees what it will see on the test; nor one of another place in the season.
        Where one of the last two rules leaves none, it is given up.
        """
        apart = self.times - time[:, None]
        known = (self.validated == 0) | (time > self.times.max())[:, None]
        phase = apart % self.season
        near = torch.minimum(phase, self.season - phase) <= self.phase_window
        allowed = apart.abs() >= self.length
        for rule in (known, near):
            stricter = allowed & rule
            allowed = torch.where(stricter.any(1, keepdim=True), stricter, allowed)
        return allowed.float()

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B S K 1"]]:
        """Eligible paths, with replacement, by each window's own seed; and the scale of the window
        over that of the path's. Without an eligible path they are 0.
        """
        chances = self.eligible(batch.time)
        any_path = chances.any(1)
        chances = torch.where(any_path[:, None], chances, 1.0)
        chosen = [
            torch.multinomial(chance, draws.samples, True, generator=generator(seed, "residuals"))
            for chance, seed in zip(chances.cpu(), draws.seeds, strict=True)
        ]
        index = torch.stack(chosen).to(self.residuals.device)
        ratio = self._scale(self.log_scales(batch))[:, None] / self.scales[index]
        paths = self.residuals[index] * any_path[:, None, None, None]
        return paths, ratio.clamp(_LEAST_RATIO, _GREATEST_RATIO)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """The number of paths is the saved model's."""
        for name in ("residuals", "times", "validated", "scales"):
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.ndim == own.ndim:
                setattr(self, name, own.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def filled(paths: Float[Tensor, "R K M"]) -> Float[Tensor, "R K M"]:
    """Missing entries ← the nearest path that has them: the one before, else the one after, else
    0.
    """
    rows = torch.arange(len(paths), device=paths.device)[:, None, None]
    known = ~paths.isnan()
    before = torch.where(known, rows, -1).cummax(0).values
    after = torch.where(known, rows, len(paths)).flip(0).cummin(0).values.flip(0)
    source = torch.where(before >= 0, before, after)
    return torch.nan_to_num(paths.gather(0, source.clamp(max=len(paths) - 1)))
