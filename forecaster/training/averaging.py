"""The moving average of the weights that a training validates and saves."""

from collections.abc import Callable

from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

# an average is of the last tenth of the steps so far, until its decay is reached
_BEFORE = 9

Average = Callable[[list[Tensor], list[Tensor], int | Tensor], None]


def moving_average(decay: float) -> Average:
    """What takes the weights into their exponential moving average after a step.

    After n steps so far the decay is (1 + n)/(10 + n), at most ``decay``: the first weights, which
    are the initial ones nearly, do not weigh on what little has been learnt since.
    """

    def update(average: list[Tensor], weights: list[Tensor], steps: int | Tensor) -> None:
        n = int(steps)
        # interpolation leaves frozen weights as they are, to the last bit
        get_ema_multi_avg_fn(min(decay, (1 + n) / (1 + n + _BEFORE)))(average, weights, n)

    return update
