"""The mean error of a trained network at each step of the path, to be taken out of its output.

Over all paths at a step t the true score has the mean 0, that of the target; a network's output
has another mean, and without the difference its squared error is smaller (Pang et al., *On
Calibrating Diffusion Probabilistic Models*, NeurIPS 2023). It is measured on windows that the
network has not learnt, by channel and lead time, and kept at the steps where it makes the error of
further such windows smaller.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch, Windows, evenly_spaced, loader_of
from forecaster.diffusion.drawing import generator

# the most windows of which the means are, and as many that they are tried on; fewer are not enough
_MOST, _FEWEST = 128, 8

StepErrors = Callable[[Int[Tensor, " B"]], tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]]
# what a batch of windows gives: errors at steps t, and the weight of each
Walked = Callable[[Batch], StepErrors]


@dataclass(frozen=True)
class StepShifts:
    """Mean errors (T + 1, K, M), 0 where they are not kept.

    ``before``, ``after``: the mean squared error at steps 1…T of windows apart, without and with
    them; equal where they are not kept.
    """

    means: Float[Tensor, "steps K M"]
    before: Float64[Tensor, " T"]
    after: Float64[Tensor, " T"]

    @property
    def kept(self) -> Bool[Tensor, " T"]:
        """The steps whose mean error is kept."""
        return self.after < self.before

    def __str__(self) -> str:
        kept, of = int(self.kept.sum()), len(self.before)
        without, now = (float(each.mean()) for each in (self.before, self.after))
        return (
            f"the network's mean error is taken out at {kept} of {of} steps; over all steps its "
            f"mean squared error was {without:.4g} and is {now:.4g}"
        )


@torch.no_grad()
def step_shifts(walked: Walked, validation: Windows, steps: int) -> StepShifts | None:
    """The mean errors on earlier validation windows, tried on later ones, which overlap with none.

    None where either are too few.
    """
    earlier, later = _halves(validation.times, validation.horizon)
    if min(len(earlier), len(later)) < _FEWEST:
        return None
    measured, tried = (
        [walked(batch) for batch in loader_of(validation, numbers, 64)]
        for numbers in (earlier, later)
    )
    means, before, after = list[Tensor](), list[float](), list[float]()
    for step in range(1, steps + 1):
        total, weights = (sum(each) for each in zip(*_sums(measured, step), strict=True))
        mean = total / weights.clamp(min=1e-12)
        without, shifted, weight = 0.0, 0.0, 0.0
        for errors, mask in _at(tried, step):
            without += float((errors.square() * mask).sum(dtype=torch.float64))
            shifted += float(((errors - mean).square() * mask).sum(dtype=torch.float64))
            weight += float(mask.sum(dtype=torch.float64))
        keep = shifted < without
        means.append(mean if keep else torch.zeros_like(mean))
        before.append(without / max(weight, 1e-12))
        after.append((shifted if keep else without) / max(weight, 1e-12))
    return StepShifts(
        torch.stack([torch.zeros_like(means[0]), *means]),
        torch.tensor(before, dtype=torch.float64),
        torch.tensor(after, dtype=torch.float64),
    )


def noise_of(
    batch: Batch, like: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
) -> Float[Tensor, "B K M"]:
    """Standard normal draws for each window and step, the same whenever they are asked for."""
    drawn = [
        torch.randn(like.shape[1:], generator=generator(seed, "calibrate", step))
        for seed, step in zip(batch.index.tolist(), t.tolist(), strict=True)
    ]
    return torch.stack(drawn).to(like)


def _halves(times: Int[Tensor, " W"], horizon: int) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """The numbers of windows that end before the middle one begins, and of the others from there.

    ``times``: when the windows begin.
    """
    middle = times.sort().values[len(times) // 2]
    parts = (times + horizon <= middle).nonzero()[:, 0], (times >= middle).nonzero()[:, 0]
    earlier, later = (numbers[evenly_spaced(len(numbers), _MOST)] for numbers in parts)
    return earlier, later


def _at(walks: list[StepErrors], step: int) -> Iterator[tuple[Tensor, Tensor]]:
    for errors_at in walks:
        yield errors_at(torch.tensor([step]))


def _sums(walks: list[StepErrors], step: int) -> Iterator[tuple[Tensor, Tensor]]:
    for errors, mask in _at(walks, step):
        yield (errors * mask).sum(0), mask.sum(0)


def calibrated(model: nn.Module) -> Iterator[tuple[str, StepShifts]]:
    """What was found of the networks in a model, each with its key in the configuration."""
    for path, part in model.named_modules(prefix="model"):
        found = getattr(part, "step_shifts", None)
        if isinstance(found, StepShifts):
            yield path, found
