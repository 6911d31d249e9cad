"""Network output → ŷ_0: the only module that depends on what the network predicts.

``data``        the output is ŷ_0                                    (S²DBM, TimeDiff)
``correction``  the output is ŷ_0 − h                                (a bridge from a forecast)
``noise``       the output is ε̂, ŷ_0 = (y_t − g_t·h − b_t·ε̂)/a_t    (CSDI, SSSD, TMDM)
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.diffusion.process import Process
from forecaster.errors import UserError

Predicts = Literal["data", "correction", "noise"]


class Denoiser(nn.Module):
    """A network as a predictor of the data.

    The network maps (B, K, S, F) features and the step t (B,) to (B, K, S). Its first feature is
    y_t, the others are the condition; if they span more positions than the path (S > M), y_t is at
    the last M.
    """

    def __init__(self, network: nn.Module, predicts: Predicts, process: Process) -> None:
        super().__init__()
        if predicts == "noise" and float(process.a[-1]) == 0.0:
            raise UserError(
                "model.predicts: noise cannot be turned into data where the path holds nothing of "
                "the data any more "
                "(a_T = 0, as on a bridge); predict data or correction"
            )
        self.network, self.predicts, self.process = network, predicts, process

    def output(self, y_t: Tensor, given: Tensor, t: Tensor) -> Float[Tensor, "B K M"]:
        """The network's output at the path's positions."""
        length = y_t.shape[2]
        aligned = F.pad(y_t, (given.shape[2] - length, 0))[..., None]
        out: Tensor = self.network(torch.cat([aligned, given], dim=3), t)
        return out[..., -length:]

    def target(
        self, y_0: Float[Tensor, "B K M"], h: Float[Tensor, "B K M"], noise: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B K M"]:
        """The network's training target."""
        return {"data": y_0, "correction": y_0 - h, "noise": noise}[self.predicts]

    def forward(
        self,
        y_t: Float[Tensor, "B K M"],
        h: Float[Tensor, "B K M"],
        given: Float[Tensor, "B K S G"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """The predicted data ŷ_0."""
        out = self.output(y_t, given, t)
        if self.predicts == "data":
            return out
        if self.predicts == "correction":
            return h + out
        a, g, b = (
            c[t].to(y_t.dtype)[:, None, None]
            for c in (self.process.a, self.process.g, self.process.b)
        )
        return (y_t - g * h - b * out.to(y_t.dtype)) / a
