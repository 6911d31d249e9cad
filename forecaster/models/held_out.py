"""The errors of a point forecast on windows that the model was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import Problem
from forecaster.data.splits import PARTS, Part
from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import evenly_spaced, loader_of
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster
from forecaster.models.out_of_sample import excess
from forecaster.models.seeds import window_seeds
from forecaster.models.seen import Seen, measured

# the largest number of windows, enough for levels of a thousandth, and the fewest of a wide table,
# enough for those of a hundredth
_MOST, _FEWEST = 1000, 100
# the time of errors of an unknown one: long before all windows
_LONG_AGO = -(2**40)


@dataclass(frozen=True)
class HeldOut:
    """Errors (n, K, H) in z-scores, nan where the truth is missing.

    ``times`` (n,): the first periods of their windows; ``owners`` (n,): the numbers of the series
    in the training. Those of a model saved before they were kept are unknown. ``seen``: how much
    larger they are of short and holed histories, None if that was not measured.
    """

    errors: Float[Tensor, "n K H"]
    times: Int[Tensor, " n"]
    owners: Int[Tensor, " n"]
    seen: Seen | None = None

    @staticmethod
    def of(errors: Float[Tensor, "n K H"]) -> "HeldOut":
        """Errors of unknown times and series."""
        times = torch.full((len(errors),), _LONG_AGO)
        return HeldOut(errors, times, torch.full_like(times, -1))

    def last(self, count: int) -> "HeldOut":
        """The last errors, so many."""
        return replace(
            self,
            errors=self.errors[-count:],
            times=self.times[-count:],
            owners=self.owners[-count:],
        )

    @staticmethod
    def joined(parts: Sequence["HeldOut"]) -> "HeldOut":
        """The errors of all parts, in their order."""
        errors, times, owners = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("errors", "times", "owners")
        )
        return HeldOut(errors, times, owners)


def most_windows_of(problem: Problem) -> int:
    """The largest number of windows of a part whose errors are kept."""
    return of_a_wide_table(_MOST, problem.channels, _FEWEST)


@torch.no_grad()
def held_out_errors(
    model: Forecaster, problem: Problem, settings: TrainerConfig, part: Part = "validation"
) -> HeldOut:
    """The errors on evenly spaced windows of a part; fewer if the centre takes samples."""
    windows = problem.windows(part)
    if len(windows) == 0:
        return HeldOut.of(torch.zeros(0, problem.channels, problem.config.horizon))
    limit = max(settings.score_windows, 1) if model.draws_centre else settings.point_windows
    most = most_windows_of(problem)
    count = most if limit is None else min(most, limit)
    errors, times, owners = [], [], []
    numbers, size = evenly_spaced(len(windows), count), 16 if model.draws_centre else 256
    for cpu_batch in loader_of(windows, numbers, size):
        batch = cpu_batch.to(model.device)
        seeds = window_seeds(problem, windows, cpu_batch.index, settings.seed)
        point = model.centred(batch, Draws(settings.score_samples, seeds)).point
        missed = torch.where(batch.future_mask > 0, batch.future - point, torch.nan)
        errors.append(missed.cpu())
        times.append(cpu_batch.time)
        owners.append(cpu_batch.series)
    return HeldOut(torch.cat(errors), torch.cat(times), torch.cat(owners))


def calibration(model: Forecaster, problem: Problem, settings: TrainerConfig) -> HeldOut:
    """The errors on validation windows, and how they grow with what is missing of the histories.

    A model that learns nothing is as much out of sample on training windows, which count, too.
    """
    parts = PARTS[1:2] if model.learns else PARTS[:2]
    errors = HeldOut.joined([held_out_errors(model, problem, settings, part) for part in parts])
    return replace(errors, seen=measured(model, problem, settings))


def errors_after(
    before: HeldOut, model: Forecaster, problem: Problem, settings: TrainerConfig
) -> HeldOut:
    """The errors of a model trained on all rows on validation and test windows, as out of sample.

    ``before``: those of the held-out model on validation windows.
    """
    if not model.learns:
        parts = [held_out_errors(model, problem, settings, part) for part in PARTS]
        return replace(HeldOut.joined(parts), seen=before.seen)
    ours, newest = (held_out_errors(model, problem, settings, part) for part in PARTS[1:])
    both = HeldOut.joined([ours, newest])
    larger = excess(ours.errors, before.errors)
    return replace(both, errors=larger * both.errors, seen=before.seen)
