"""The moving average of the weights that a training validates and saves."""

from collections.abc import Callable

import torch
from torch import Tensor

# an average is of the last tenth of the steps so far, until its decay is reached
_BEFORE = 9

Average = Callable[[list[Tensor], list[Tensor], int | Tensor], None]


def moving_average(decay: float) -> Average:
    """What takes the weights into their exponential moving average after a step.

    After n steps so far the decay is (1 + n)/(10 + n), at most ``decay``: the first weights, which
    are the initial ones nearly, do not weigh on what little has been learnt since.
    """

    @torch.no_grad()
    def update(average: list[Tensor], weights: list[Tensor], steps: int | Tensor) -> None:
        n = int(steps)
        # interpolation leaves frozen weights as they are, to the last bit
        share = 1 - min(decay, (1 + n) / (1 + n + _BEFORE))
        torch._foreach_lerp_(average, weights, share)

    return update
