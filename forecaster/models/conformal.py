"""Split conformal intervals: a point forecast plus order statistics of its validation errors."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.models.base import Forecaster
from forecaster.models.held_out import HeldOut
from forecaster.models.outlook import Outlook
from forecaster.models.series_scales import own_weights, own_windows, size_factors


class Conformal(Forecaster):
    """Split conformal prediction for each channel and lead time.

    Vovk et al. (2005), Lei et al. (2018).

    The quantile at level τ is the point forecast plus the ⌈(n+1)τ⌉-th smallest of n validation
    errors above the median, the ⌊(n+1)τ⌋-th below it, so that a central interval holds its level or
    more if future errors are exchangeable with those of validation. Neighbouring windows
    overlap and series drift, so this is no guarantee.

    Of several ``series`` each has its own size of error, in which all errors are ranked, and its
    own errors have more weight than those of others (``series_scales``).
    """

    distribution = "quantiles"
    errors: Tensor
    ranked: Tensor
    order: Tensor
    counts: Tensor
    owners: Tensor
    windows: Tensor
    factors: Tensor

    def __init__(self, model: Forecaster, held_out: HeldOut, series: int = 1) -> None:
        super().__init__()
        self.model, self.centre = model, model.centre
        errors, owners = held_out.errors, held_out.owners
        windows = own_windows(owners, held_out.times, errors.shape[2], series)
        factors = size_factors(errors, owners, windows)[..., None]  # (N, K, 1)
        ranked = (errors / factors[owners]).sort(dim=0)  # nan last
        self.register_buffer("errors", torch.nan_to_num(errors / factors[owners]))
        self.register_buffer("ranked", ranked.values)
        self.register_buffer("order", ranked.indices)
        self.register_buffer("counts", (~errors.isnan()).sum(0))
        self.register_buffer("owners", owners)
        self.register_buffer("windows", windows)
        self.register_buffer("factors", factors)
        # what was found for the last batch, which the next one of the same series needs again
        self._last: tuple[tuple[list[int], tuple[float, ...], torch.device], Tensor] | None = None

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.predict(batch, steps)

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        return self.model.centred(batch, draws)

    def outlook(self, batch: Batch, draws: Draws, levels: Sequence[float]) -> Outlook:
        centred = self.centred(batch, draws)
        quantiles = centred.point[:, None] + self.shifts(batch.series, levels)
        return replace(centred, quantiles=quantiles)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        return self.predict(batch)[:, None] + self.shifts(batch.series, levels)

    def shifts(
        self, series: Int[Tensor, " B"], levels: Sequence[float]
    ) -> Float[Tensor, "B Q K H"]:
        """Order statistics of the errors, for windows of these series.

        Raises UserError for levels that need more errors than are stored.
        """
        distinct, place = series.unique(return_inverse=True)
        known = (distinct.tolist(), tuple(levels), series.device)
        if self._last is None or self._last[0] != known:
            self._check_levels(levels)
            found = torch.stack([self._shifts_of(number, levels) for number in distinct])
            self._last = known, found
        return self._last[1][place]

    def _shifts_of(self, series: Int[Tensor, ""], levels: Sequence[float]) -> Tensor:
        """(Q, K, H): where the errors' share of all weight reaches (1 + 1/n)τ.

        n is the number of equal weights of the same concentration, (Σw)² / Σw².
        """
        weights = self._weights(series[None])[0]
        chance = weights.double()[self.order] * ~self.ranked.isnan()
        chance = chance / chance.sum(0)
        n, reached = 1 / (chance**2).sum(0), chance.cumsum(0)  # (K, H), (n, K, H)
        shifts = []
        for level in levels:
            share = (1 + 1 / n) * level
            if level > 0.5:
                rank = (reached < share - 1e-9).sum(0)
            else:
                rank = (reached <= share + 1e-9).sum(0) - 1
            rank = torch.minimum(rank, self.counts - 1).clamp(min=0)
            shifts.append(self.ranked.gather(0, rank[None])[0])
        return torch.stack(shifts) * self.factors[series]

    def _weights(self, series: Int[Tensor, " B"]) -> Float[Tensor, "B n"]:
        every = torch.ones(len(series), len(self.errors), device=self.errors.device)
        return own_weights(every, self.owners, series, self.windows)

    def _check_levels(self, levels: Sequence[float]) -> None:
        fewest = int(self.counts.min())
        for level in levels:
            needed = math.ceil(1 / min(level, 1 - level) - 1e-9) - 1
            if fewest < needed:
                setting = "score_windows" if self.model.draws_centre else "point_windows"
                raise UserError(
                    f"--conformal: level {level:g} needs {needed} validation windows, there are "
                    f"{fewest}; forecast --quantiles nearer to 0.5, or train with more rows (and a "
                    f"trainer.{setting} of {needed} or more)"
                )

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """The point forecast plus whole error paths; a missing error counts as 0."""
        drawn = [
            torch.multinomial(weight, draws.samples, True, generator=generator(seed, "path"))
            for weight, seed in zip(self._weights(batch.series).cpu(), draws.seeds, strict=True)
        ]
        paths = self.errors[torch.stack(drawn).to(self.errors.device)]
        point = self.centred(batch, draws).point
        return point[:, None] + paths * self.factors[batch.series][:, None]

    def check_steps(self, steps: int | None) -> None:
        """Refuse any number: the stored errors are those of the model's configured steps."""
        if steps is not None:
            raise UserError(
                "--conformal: the errors on validation are those of the model's own steps; leave "
                "--steps out"
            )
