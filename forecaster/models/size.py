"""How large a model may become: no configuration, nor a saved model's, takes all memory."""

import math
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from forecaster.config.parts import build
from forecaster.config.sections import PartConfig
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, Shape

LARGEST = 2**26  # numbers
_FILLED = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class Counted(TorchFunctionMode):
    """Counts the numbers of new tensors before each is made; raises UserError beyond ``most``."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._count = most, 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call ``func``; see PyTorch."""
        if func in _FILLED:
            first = kwargs["size"] if kwargs and "size" in kwargs else args[0] if args else ()
            self._count += math.prod(first if isinstance(first, tuple | list) else args)
        elif func is torch.eye:
            self._count += args[0] * args[-1]
        if self._count > self._most:
            raise UserError(
                f"model: it would have more than {self._most} numbers (parameters and buffers); "
                "lower horizon, lookback, or the widths and layers"
            )
        return func(*args, **(kwargs or {}))


def build_model(config: PartConfig, shape: Shape, most: int = LARGEST) -> Forecaster:
    """The forecaster of these settings; raises UserError for one of more than ``most`` numbers."""
    with Counted(most):
        model = build(config, shape)
    assert isinstance(model, Forecaster)
    return model
