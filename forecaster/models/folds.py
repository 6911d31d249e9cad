"""Blocks of time, and forecasts of each by a model that has not learnt from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.data.windows import Batch, Windows
from forecaster.models.prior import PointForecaster


@dataclass(frozen=True)
class Block:
    """A block of time, from the period ``first`` to the one before ``end``.

    The windows whose first targets lie in it belong to it. Periods are in steps since 1970.
    """

    first: int
    end: int

    def others(self, windows: Windows) -> Int[Tensor, " n"]:
        """The numbers of windows that hold no target of the block's, in target or history."""
        last = self.end - 1 + windows.horizon  # the period after the last target
        before = windows.times + windows.horizon <= self.first
        after = windows.times - windows.lookback >= last
        return (before | after).nonzero()[:, 0]


def blocks_of(windows: Windows, count: int) -> list[Block]:
    """Cut the time of windows into blocks that hold about as many of them each, the same for all
    series; fewer blocks than ``count`` where there are fewer times.
    """
    times = windows.times.sort().values
    starts = times[torch.arange(count) * len(times) // count].unique().tolist()
    ends = [*starts[1:], int(times[-1]) + 1]
    return [Block(first, end) for first, end in zip(starts, ends, strict=True)]


@dataclass(frozen=True)
class Folds:
    """Point models, each for the windows of a block; before and after them all, for the nearest."""

    blocks: Sequence[Block]
    models: Sequence[PointForecaster]

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The forecast of each window by the model of its block."""
        starts = torch.tensor([block.first for block in self.blocks[1:]], device=batch.time.device)
        place = torch.searchsorted(starts, batch.time, right=True)
        order, found = [], []
        for number in place.unique().tolist():
            rows = (place == number).nonzero()[:, 0]
            model = self.models[number].to(rows.device)
            order.append(rows)
            found.append(model.predict_with_label(batch.part(rows)))
        joined = torch.cat(found)
        return torch.empty_like(joined).index_copy(0, torch.cat(order), joined)
