"""Split conformal intervals: a point forecast plus order statistics of its validation errors."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.models.base import Forecaster

# the largest number of validation windows: enough for levels of a thousandth
MAX_WINDOWS = 1000


@torch.no_grad()
def validation_errors(
    model: Forecaster, validation: Windows, limit: int | None = None
) -> Float[Tensor, "n K H"]:
    """Errors of the point forecast on evenly spaced validation windows, in z-scores.

    They are nan where the truth is missing.
    """
    device, errors = model.device, []
    count = MAX_WINDOWS if limit is None else min(MAX_WINDOWS, limit)
    for cpu_batch in ordered_loader(validation, 256, count):
        batch = cpu_batch.to(device)
        errors.append(
            torch.where(batch.future_mask > 0, batch.future - model.predict(batch), torch.nan).cpu()
        )
    return torch.cat(errors)


class Conformal(Forecaster):
    """Split conformal prediction for each channel and lead time.

    Vovk et al. (2005), Lei et al. (2018).

    The quantile at level τ is the point forecast plus the ⌈(n+1)τ⌉-th smallest of n validation
    errors above the median, the ⌊(n+1)τ⌋-th below it, so that a central interval holds its level or
    more if future errors are exchangeable with those of validation. Neighbouring windows
    overlap and series drift, so this is no guarantee.
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
        return self.model.predict(batch, steps)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """The point forecast plus order statistics of the errors.

        Raises UserError for levels that need more errors than are stored.
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
        """The point forecast plus whole error paths; a missing error counts as 0."""
        rows = [
            torch.randint(len(self.errors), (draws.samples,), generator=generator(seed, "path"))
            for seed in draws.seeds
        ]
        return self.predict(batch)[:, None] + self.errors[torch.stack(rows).to(self.errors.device)]

    def mean(self, batch: Batch) -> Float[Tensor, "B K H"]:
        return self.predict(batch)

    def check_steps(self, steps: int | None) -> None:
        """Refuse any number: the stored errors are those of the model's configured steps."""
        if steps is not None:
            raise UserError(
                "--conformal: the errors on validation are those of the model's own steps; leave "
                "--steps out"
            )
