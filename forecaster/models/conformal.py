"""Split conformal intervals: a point forecast plus order statistics of its validation errors."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.models.base import Forecaster
from forecaster.models.outlook import Outlook


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
        self.model, self.centre = model, model.centre
        self.register_buffer("errors", torch.nan_to_num(errors))
        self.register_buffer("ranked", errors.sort(dim=0).values)  # nan last
        self.register_buffer("counts", (~errors.isnan()).sum(0))

    errors: Tensor
    ranked: Tensor
    counts: Tensor

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.predict(batch, steps)

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        return self.model.centred(batch, draws)

    def outlook(self, batch: Batch, draws: Draws, levels: Sequence[float]) -> Outlook:
        centred = self.centred(batch, draws)
        return replace(centred, quantiles=centred.point[:, None] + self.shifts(levels))

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        return self.predict(batch)[:, None] + self.shifts(levels)

    def shifts(self, levels: Sequence[float]) -> Float[Tensor, "Q K H"]:
        """Order statistics of the errors.

        Raises UserError for levels that need more errors than are stored.
        """
        fewest = int(self.counts.min())
        shifts = []
        for level in levels:
            needed = math.ceil(1 / min(level, 1 - level) - 1e-9) - 1
            if fewest < needed:
                setting = "score_windows" if self.model.draws_centre else "point_windows"
                raise UserError(
                    f"--conformal: level {level:g} needs {needed} validation windows, there are "
                    f"{fewest}; train with more rows or a larger trainer.{setting}, or forecast "
                    "--quantiles nearer to 0.5"
                )
            place = (self.counts + 1) * level
            rank = (place - 1e-9).ceil() if level > 0.5 else (place + 1e-9).floor()
            shifts.append(self.ranked.gather(0, (rank.long() - 1).clamp(min=0)[None])[0])
        return torch.stack(shifts)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """The point forecast plus whole error paths; a missing error counts as 0."""
        rows = [
            torch.randint(len(self.errors), (draws.samples,), generator=generator(seed, "path"))
            for seed in draws.seeds
        ]
        point = self.centred(batch, draws).point
        return point[:, None] + self.errors[torch.stack(rows).to(self.errors.device)]

    def check_steps(self, steps: int | None) -> None:
        """Refuse any number: the stored errors are those of the model's configured steps."""
        if steps is not None:
            raise UserError(
                "--conformal: the errors on validation are those of the model's own steps; leave "
                "--steps out"
            )
