"""Samples of a point forecaster: its forecast plus whole paths of its held-out errors."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Forecaster, Shape
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.conformal import Conformal
from forecaster.models.held_out import HeldOut
from forecaster.models.seen import Widened

# the fewest error paths that are a distribution
FEWEST = 2
# the difference in phase of the season up to which paths are eligible, in steps
_PHASE_WINDOW = 1


class _Bank(ResidualBank):
    """All paths are eligible where all of them overlap the window."""

    def eligible(self, time: Int[Tensor, " B"]) -> Float[Tensor, "B R"]:
        found = super().eligible(time)
        return torch.where(found.any(1, keepdim=True), found, 1.0)


class ResidualPaths(Forecaster):
    """A point forecaster, and samples around its forecast: see ``ResidualBank``.

    Errors on held-out windows of the same place in the season are drawn, those of the window's own
    series first, in the size of its errors. Each whole path has either sign with the same chance,
    so that mean and median of the samples are the forecast, and a bias of few windows counts as
    spread.
    """

    distribution = "samples"

    def __init__(self, model: Forecaster, held_out: HeldOut, shape: Shape) -> None:
        super().__init__()
        self.model = model
        self.bank = _Bank("deviation", _PHASE_WINDOW, replace(shape, label=0))
        nothing = torch.zeros(len(held_out.errors))
        logs = nothing[:, None, None].expand(-1, shape.channels, 1)
        self.bank.fill(held_out.errors, held_out.times, nothing, logs, held_out.owners)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.predict(batch, steps)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.predict(batch, draws.steps)[:, None] + self.errors(batch, draws)

    def errors(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Error paths of either sign."""
        paths, _ = self.bank.draw(batch, draws)
        signs = [
            2 * torch.randint(2, (draws.samples, 1, 1), generator=generator(seed, "sign")) - 1
            for seed in draws.seeds
        ]
        return paths * torch.stack(signs).to(paths)

    def check_steps(self, steps: int | None) -> None:
        self.model.check_steps(steps)


class Shuffled(ResidualPaths):
    """A quantile forecaster whose samples are paths: in the order of paths of its errors.

    The draws of each channel and lead time remain what they are, and are put in the ranks that as
    many error paths have there (the Schaake shuffle of Clark et al., 2004, with errors in place of
    past observations).
    """

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        ranks = self.errors(batch, draws).argsort(dim=1).argsort(dim=1)
        return self.model.sample(batch, draws).sort(dim=1).values.gather(1, ranks)


def with_paths(model: Forecaster, held_out: HeldOut, shape: Shape) -> Forecaster:
    """The model, if its samples are paths; else with its errors for samples, or for their order."""
    if model.distribution == "samples":
        return model
    kind = ResidualPaths if model.distribution == "none" else Shuffled
    return kind(model, held_out, shape)


def in_service(model: Forecaster, held_out: HeldOut, shape: Shape) -> Forecaster:
    """The model with samples, if it has none and there are errors, as wide as histories ask for."""
    if isinstance(model, Widened):
        return model
    if model.distribution == "none" and len(held_out.errors) >= FEWEST:
        model = ResidualPaths(model, held_out, shape).to(model.device).eval()
    own = not isinstance(model, Conformal | ResidualPaths)
    return model if held_out.seen is None else Widened(model, held_out.seen, own)
