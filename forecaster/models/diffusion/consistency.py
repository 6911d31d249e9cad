"""The consistency objective: one call from noise to data, learnt from pairs of points of a path.

    ‖f(x_t, t) − f⁻(x_u, u)‖²/Δ,   x_u = x_t + Δ·n_t      (the path and Δ: ``Arc``)

f⁻ is f without gradient. Without a teacher n_t is the innovation of the drawn data and noise, whose
mean given x_t is that of the path; distilled, it is the teacher's expectation of it.

Small steps pile up the errors of many f⁻; of large ones the target is far from x_t. An adaptive Δ
(Bai et al., *Adaptive Discretization for Consistency Models*, 2025; the form is derived here)
minimises the local error ‖Δ·J‖² plus λ times the global error ‖f⁻(x_t) − Δ·J − y_0‖² of the target,
in which f⁻(x_u) ≈ f⁻(x_t) − Δ·J. One step of Gauss–Newton gives

    Δ* = λ/(1 + λ) · E[Jᵀ(f⁻(x_t) − y_0)]/E[JᵀJ]

J is taken along the drawn path over one step of the schedule, as networks know whole steps only.
For white noise Δ* is λ/(1 + λ)·sin θ.
"""

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.models.base import masked_mean
from forecaster.models.diffusion.objectives import (
    Ends,
    Objective,
    PathModel,
    SamplesObjective,
    SamplesObjectiveConfig,
)

# intervals of the table of steps, batches between two renewals, and what one leaves of the last
_INTERVALS, _EVERY, _KEPT = 16, 20, 0.9


class ConsistencyObjectiveConfig(PartConfig):
    """The difference of the ends that two points of a path lead to: samples in one network call.

    ``discretisation``, the distance of the two: ``fixed``, one step of the schedule, or
    ``adaptive``, by the errors of the model, with ``global_weight``, λ, the weight of the target's
    error against the data. ``distilled``: a bridge of many steps is trained first, and is the
    teacher. Early stopping is by the proper scores of samples.
    """

    name: Literal["consistency"] = "consistency"
    discretisation: Literal["adaptive", "fixed"] = "adaptive"
    global_weight: Annotated[float, Field(gt=0)] = 1.0
    distilled: bool = False


@register("objective", ConsistencyObjectiveConfig)
class ConsistencyObjective(Objective, nn.Module):
    """The consistency of pairs, with the table of adaptive steps, which is saved with the model.

    ``pulls`` and ``speeds``: E[Jᵀ(f⁻(x_t) − y_0)] and E[JᵀJ] at evenly spaced angles from 0 to π/2,
    up to one factor; ``batches``: the number of those learnt from.
    """

    shows_future = False
    pulls: Tensor
    speeds: Tensor
    batches: Tensor

    def __init__(self, config: ConsistencyObjectiveConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("pulls", torch.zeros(_INTERVALS + 1))
        self.register_buffer("speeds", torch.zeros(_INTERVALS + 1))
        self.register_buffer("batches", torch.tensor(0))

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The inconsistency at t ~ U{1…T}."""
        ends = model.ends(batch, torch.randint(0, 2**62, (len(batch),)).tolist())
        t = torch.randint(1, model.steps + 1, (len(batch),), device=ends.y_0.device)
        noise = torch.randn_like(ends.y_0)
        x, n = ends.arc.mix(ends.y_0, noise, t), ends.arc.innovation(ends.y_0, noise, t)
        u = self.aims(ends, t)
        if ends.teacher is not None:
            with torch.no_grad():
                n = ends.teacher(x, t)
        aimed = _target(ends, ends.arc.step(x, n, t, u), u)
        error = ends.weigh(ends.end(x, t) - aimed)
        return masked_mean(error**2 / ends.arc.length(t, u, x), ends.weight)

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The score of samples, by their number of calls in forecasting."""
        return SamplesObjective(SamplesObjectiveConfig(point=0.0)).score(model, batch)

    def aims(self, ends: Ends, t: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The step u < t whose end is the target at t."""
        if self.config.discretisation == "fixed":
            return t - 1
        if int(self.batches) % _EVERY == 0:
            self._renew(ends)
        self.batches += 1
        near, weight = _shares(ends.arc.angles[t].to(self.pulls)), self.config.global_weight
        length = weight / (1 + weight) * (near @ self.pulls) / (near @ self.speeds).clamp(min=1e-12)
        return ends.arc.below(t, length)

    @torch.no_grad()
    def _renew(self, ends: Ends) -> None:
        """Add the windows of a batch to the table, at evenly spaced steps up to T."""
        arc, y_0, count = ends.arc, ends.y_0, len(ends.y_0)
        t = -(-torch.arange(1, count + 1, device=y_0.device) * arc.steps // count)
        noise = torch.randn_like(y_0)
        x, n = arc.mix(y_0, noise, t), arc.innovation(y_0, noise, t)
        here, there = _target(ends, x, t), _target(ends, arc.step(x, n, t, t - 1), t - 1)
        slope = ends.weigh(here - there) / arc.length(t, t - 1, x)
        rest = ends.weigh(here - y_0)
        near = _shares(arc.angles[t].to(self.pulls))
        for table, found in ((self.pulls, slope * rest), (self.speeds, slope**2)):
            new = (found * ends.weight).mean((1, 2)).to(table) @ near
            if torch.distributed.is_initialized():
                torch.distributed.all_reduce(new)
            table.mul_(_KEPT).add_(new)


def _target(ends: Ends, x: Float[Tensor, "B K M"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K M"]:
    """f⁻(x, t), with the dropout of the next call."""
    devices = [x.device] if x.is_cuda else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        return ends.end(x, t)


def _shares(angles: Float[Tensor, " B"]) -> Float[Tensor, "B nodes"]:
    """The weights of the table's entries in each angle: linear between the two nearest."""
    place = angles[:, None] / (math.pi / 2) * _INTERVALS
    nodes = torch.arange(_INTERVALS + 1, device=angles.device)
    return (1 - (place - nodes).abs()).clamp(min=0)
