"""Rolling evaluation: every window of a split, point or probabilistic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from forecaster.data.problem import Problem
from forecaster.data.splits import Part
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.metrics import QUANTILES, Totals, add_path_scores, add_point, add_quantiles, add_samples
from forecaster.models import Draws, Forecaster

Mode = Literal["point", "probabilistic"]


@dataclass(frozen=True)
class Scoring:
    """What is scored: which mode, how many samples and steps, and how many evenly spaced windows (None: all)."""

    mode: Mode = "point"
    samples: int = 100
    steps: int | None = None
    limit: int | None = None
    seed: int = 0


class _Units:
    """Back from z-scores to the scale that metrics are reported on."""

    def __init__(self, problem: Problem, windows: Windows, part: Part) -> None:
        counts = [
            max(border.part(part)[1] - problem.config.horizon + 1 - border.part(part)[0], 0) for border in problem.borders
        ]
        owners = np.repeat(np.arange(len(counts)), counts) if problem.original_units else np.zeros(len(windows), int)
        low, high = (torch.tensor(b, dtype=torch.float64) for b in problem.config.limits(problem.table.names))
        mean, std = (torch.tensor(np.stack([getattr(s, name) for s in problem.scaling])) for name in ("mean", "std"))
        if problem.original_units:
            self.mean, self.std, self.low, self.high = mean, std, low.expand_as(mean), high.expand_as(mean)
        else:
            self.mean, self.std = torch.zeros_like(mean[:1]), torch.ones_like(mean[:1])
            self.low, self.high = (low - mean[:1]) / std[:1], (high - mean[:1]) / std[:1]
        self.owners = torch.from_numpy(owners)

    def restore(self, values: Tensor, index: Tensor) -> Float64[Tensor, "B *n K H"]:
        """(B, K, H) or (B, S, K, H) of the windows ``index``, cut off at the bounds of the data."""
        owner = self.owners[index.cpu()]
        shape = (len(owner), *[1] * (values.ndim - 3), self.mean.shape[1], 1)
        mean, std, low, high = (each[owner].view(shape) for each in (self.mean, self.std, self.low, self.high))
        return torch.minimum(torch.maximum(values.double().cpu() * std + mean, low), high)


@torch.no_grad()
def evaluate(model: Forecaster, problem: Problem, part: Part, scoring: Scoring) -> dict[str, float]:
    """The metrics of a model on the windows of a part, without prefix; ``windows`` counts them."""
    windows = problem.windows(part)
    units, totals, count = _Units(problem, windows, part), Totals(), 0
    device = model.device
    model.eval()
    for cpu_batch in ordered_loader(windows, 256 if scoring.mode == "point" else 16, scoring.limit):
        batch = cpu_batch.to(device)
        y, mask = units.restore(batch.future, batch.index), batch.future_mask.cpu()
        if scoring.mode == "point":
            add_point(totals, units.restore(model.point(batch, scoring.steps), batch.index), y, mask)
        else:
            _add_probabilistic(totals, model, batch, scoring, units, y, mask)
        count += len(batch)
    found = totals.means()
    if "mse" in found:
        found["rmse"] = found["mse"] ** 0.5
    return {**found, "windows": float(count)}


def _add_probabilistic(
    totals: Totals, model: Forecaster, batch: Batch, scoring: Scoring, units: _Units, y: Tensor, mask: Tensor
) -> None:
    draws = Draws(scoring.samples, _seeds(batch, scoring.seed), scoring.steps)
    paths = units.restore(model.samples(batch, draws), batch.index)
    if model.distribution == "quantiles":
        add_quantiles(totals, units.restore(model.quantiles(batch, QUANTILES), batch.index), y, mask)
        add_path_scores(totals, paths, y, mask)
    else:
        add_samples(totals, paths, y, mask)


def _seeds(batch: Batch, seed: int) -> Sequence[int]:
    return [seed * 2**32 + int(index) for index in batch.index]
