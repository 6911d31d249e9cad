"""Conformal calibration after the fact: any point forecast with the order statistics of its own
validation errors.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.models.base import Forecaster

# validation windows kept at most, evenly spaced: enough for levels of a thousandth
KEPT = 1000


@torch.no_grad()
def validation_errors(
    model: Forecaster, validation: Windows, limit: int | None = None
) -> Float[Tensor, "n K H"]:
    """The point forecast's errors on evenly spaced validation windows, in z-scores, nan where the
    truth is missing.
    """
    device = model.device
    errors = []
    for cpu_batch in ordered_loader(validation, 256, min(KEPT, KEPT if limit is None else limit)):
        batch = cpu_batch.to(device)
        errors.append(
            torch.where(batch.future_mask > 0, batch.future - model.predict(batch), torch.nan).cpu()
        )
    return torch.cat(errors)


class Conformal(Forecaster):
    """Split conformal prediction (Vovk et al., 2005; Lei et al., 2018), for each channel and lead
    time.

    The quantile at level τ is the point forecast plus the ⌈(n+1)τ⌉-th smallest of n validation
    errors above the median, the ⌊(n+1)τ⌋-th below it, so that a central interval holds its level or
    more wherever the errors to come are exchangeable with those of validation. Neighbouring windows
    overlap and series drift, so that is a help and no warrant.
    """

    distribution = "quantiles"

    def __init__(self, model: Forecaster, errors: Float[Tensor, "n K H"]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("errors", torch.nan_to_num(errors))
        self.register_buffer("ranked", errors.sort(dim=0).values)  # nan last
        self.register_buffer("counts", (~errors.isnan()).sum(0))

    errors: Tensor
    ranked: Tensor
    counts: Tensor

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The model's own."""
        return self.model.predict(batch, steps)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """The point forecast plus order statistics of the errors. Refuses levels that need more
        errors than there are.
        """
        fewest = int(self.counts.min())
        shifts = []
        for level in levels:
            needed = math.ceil(1 / min(level, 1 - level) - 1e-9) - 1
            if fewest < needed:
                raise UserError(
                    f"--conformal: level {level:g} needs {needed} validation windows, there are "
                    f"{fewest}; train with "
                    "more rows or a larger trainer.point_windows, or forecast --quantiles nearer "
                    "to 0.5"
                )
            place = (self.counts + 1) * level
            rank = (place - 1e-9).ceil() if level > 0.5 else (place + 1e-9).floor()
            shifts.append(self.ranked.gather(0, (rank.long() - 1).clamp(min=0)[None])[0])
        return self.predict(batch)[:, None] + torch.stack(shifts)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Whole error paths added, a missing error taken as none."""
        chosen = [
            torch.randint(len(self.errors), (draws.samples,), generator=generator(seed, "path"))
            for seed in draws.seeds
        ]
        return (
            self.predict(batch)[:, None] + self.errors[torch.stack(chosen).to(self.errors.device)]
        )

    def mean(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The point forecast."""
        return self.predict(batch)

    def check_steps(self, steps: int | None) -> None:
        """The errors are those of the model's own steps."""
        if steps is not None:
            raise UserError(
                "--conformal: the errors on validation are those of the model's own steps; leave "
                "--steps out"
            )
