"""Network output → ŷ_0: the only module that depends on what the network predicts.

``data``        the output is ŷ_0                                    (S²DBM, TimeDiff)
``correction``  the output is ŷ_0 − h                                (a bridge from a forecast)
``noise``       the output is ε̂, ŷ_0 = (y_t − g_t·h − b_t·ε̂)/a_t    (CSDI, SSSD, TMDM)
``innovation``  the output is what is left of y_0 once y_t is known, in deviations of it:

    ŷ_0 = h + c_skip·δ_t + c_out·N(c_in·δ_t),   δ_t = y_t − (a_t + g_t)·h
    c_skip = a/(a² + b²),  c_out = b/√(a² + b²),  c_in = 1/√(a² + b²)

If y_0 − h is N(0, 1), N = 0 is the posterior mean of y_0 at every t, c_out the posterior's
deviation, and the target of N has variance 1 (preconditioning: Karras et al., NeurIPS 2022).

``end``         the output leads to the end of the deterministic path (``consistency``): ``end``
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.diffusion.process import Process
from forecaster.errors import UserError

Predicts = Literal["data", "correction", "noise", "innovation", "end"]


class Denoiser(nn.Module):
    """A network as a predictor of the data.

    The network maps (B, K, S, F) features and the step t (B,) to (B, K, S). Its first feature is
    y_t, the others are the condition; if they span more positions than the path (S > M), y_t is at
    the last M. ``shifts`` (T + 1, K, M) are subtracted from the network's output at each step.
    """

    shifts: Tensor | None

    def __init__(self, network: nn.Module, predicts: Predicts, process: Process) -> None:
        super().__init__()
        if predicts == "noise" and float(process.a[-1]) == 0.0:
            raise UserError(
                "model.predicts: noise cannot be turned into data where the path holds nothing of "
                "the data any more "
                "(a_T = 0, as on a bridge); predict data or correction"
            )
        self.network, self.predicts, self.process = network, predicts, process
        self.register_buffer("shifts", None)

    def output(
        self,
        y_t: Float[Tensor, "B K M"],
        h: Float[Tensor, "B K M"],
        given: Float[Tensor, "B K S G"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """The network's output at the path's positions."""
        if self.predicts == "innovation":
            a, g, b = self._at(t, y_t)
            y_t = (y_t - (a + g) * h) * (a**2 + b**2).rsqrt()
        out = self._called(y_t, given, t)
        return out if self.shifts is None else out - self.shifts[t]

    def end(
        self, x_t: Float[Tensor, "B K M"], given: Float[Tensor, "B K S G"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """The end y_0 − h of the deterministic path through x_t, which at t = 0 is x_t itself."""
        a, _, b = self._at(t, x_t)
        return x_t + b * (a**2 + b**2).rsqrt() * self._called(x_t, given, t)

    def _called(
        self, x: Float[Tensor, "B K M"], given: Float[Tensor, "B K S G"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        length = x.shape[2]
        aligned = F.pad(x, (given.shape[2] - length, 0))[..., None]
        out: Tensor = self.network(torch.cat([aligned, given], dim=3), t)
        return out[..., -length:].to(x.dtype)

    def target(
        self,
        y_0: Float[Tensor, "B K M"],
        h: Float[Tensor, "B K M"],
        noise: Float[Tensor, "B K M"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """The network's training target at y_t = a_t·y_0 + g_t·h + b_t·noise."""
        if self.predicts == "innovation":
            # (y_0 − h − c_skip·δ_t)/c_out, with δ_t = a·(y_0 − h) + b·noise
            a, _, b = self._at(t, y_0)
            return (b * (y_0 - h) - a * noise) * (a**2 + b**2).rsqrt()
        return {"data": y_0, "correction": y_0 - h, "noise": noise}[self.predicts]

    def forward(
        self,
        y_t: Float[Tensor, "B K M"],
        h: Float[Tensor, "B K M"],
        given: Float[Tensor, "B K S G"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """The predicted data ŷ_0."""
        out = self.output(y_t, h, given, t)
        if self.predicts == "data":
            return out
        if self.predicts == "correction":
            return h + out
        if self.predicts == "innovation":
            return self.untrained(y_t, h, t) + self.size(t, y_t) * out
        a, g, b = self._at(t, y_t)
        return (y_t - g * h - b * out) / a

    def untrained(
        self, y_t: Float[Tensor, "B K M"], h: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """ŷ_0 for N = 0, of an innovation: the posterior mean if y_0 − h is N(0, 1)."""
        a, g, b = self._at(t, y_t)
        return h + a / (a**2 + b**2) * (y_t - (a + g) * h)

    def size(self, t: Int[Tensor, " B"], like: Tensor) -> Float[Tensor, "B 1 1"]:
        """How much of ŷ_0 an innovation is, in the dtype of another tensor."""
        a, _, b = self._at(t, like)
        return b * (a**2 + b**2).rsqrt()

    def deviation(self, t: int) -> float:
        """The deviation of y_0 given y_t that an innovation has, and ŷ_0 leaves out; else 0."""
        if self.predicts != "innovation":
            return 0.0
        a, _, b = self._at(torch.tensor([t], device=self.process.a.device), self.process.a)
        return float(b * (a**2 + b**2).rsqrt())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Shifts are those that were saved, or none."""
        saved = state_dict.get(prefix + "shifts")
        self.shifts = None if saved is None else torch.zeros_like(saved)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _at(self, t: Int[Tensor, " B"], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a, g and b at steps t, each (B, 1, 1).

        A pinned end, where a = b = 0, says nothing of y_0 and has no noise to predict; b = 1 there
        says so.
        """
        a, g, b = (
            c[t].to(like.dtype)[:, None, None]
            for c in (self.process.a, self.process.g, self.process.b)
        )
        return a, g, torch.where((a == 0) & (b == 0), 1.0, b)
