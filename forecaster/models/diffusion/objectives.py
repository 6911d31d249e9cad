"""Training objectives of diffusion forecasters.

An objective has a ``loss``, with random draws, and a ``score`` for early stopping, with the same
draws in every epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from forecaster.config.parts import base_of, register
from forecaster.config.sections import Fraction, PartConfig, Weight
from forecaster.data.windows import Batch
from forecaster.diffusion.consistency import Arc
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Loss, masked_mean, path_errors, with_label
from forecaster.models.scoring_rules import sample_score

# draws a window for the score: enough to rank epochs, few enough to be cheap
SCORE_DRAWS = 8


@dataclass(frozen=True)
class Ends:
    """Known futures y_0 on their ``arc``, and what a model says of paths there.

    ``weight`` of each entry in a loss; ``end(x_t, t)``; ``teacher(x_t, t)``: the expected
    innovation, None without a teacher; ``weigh``: errors as they count in a loss.
    """

    arc: Arc
    y_0: Float[Tensor, "B K M"]
    weight: Float[Tensor, "B K M"]
    end: Callable[[Tensor, Tensor], Tensor]
    teacher: Callable[[Tensor, Tensor], Tensor] | None
    weigh: Callable[[Tensor], Tensor]


@runtime_checkable
class PathModel(Protocol):
    """The interface of models that objectives need: one diffusion step, and reverse sampling."""

    label: int

    @property
    def steps(self) -> int:
        """The number of diffusion steps T."""

    def step_grids(self) -> tuple[list[int], list[int]]:
        """The step grids of the point forecast and of samples, each from T down to 0."""

    def step_errors(
        self,
        batch: Batch,
        t: Int[Tensor, " B"],
        noise: Float[Tensor, "B K M"],
        seeds: list[int],
        own: Bool[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """Prediction and target of the network at steps t, and the weight of each entry.

        ``own``: the windows whose path leads, without noise, to the model's own forecast in one
        call; there ``noise`` is not used.
        """

    def ends(self, batch: Batch, seeds: list[int]) -> "Ends":
        """The deterministic paths of known futures in the residual's coordinates."""

    def reverse_samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """Sample paths by reverse sampling, in z-scores."""

    def reverse_point(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast by reverse sampling without noise, in z-scores."""


@base_of("objective")
class Objective:
    """What is minimised, built from its settings.

    ``needs_spread``: the sampler's draws have to differ. ``shows_future``: in training the
    condition is shown the truth. ``selects_samples``: the score is that of samples.
    """

    needs_spread = False
    shows_future = True
    selects_samples = False

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The training loss, with random draws."""
        raise NotImplementedError

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The early-stopping metric, with the same draws in every epoch."""
        raise NotImplementedError


class PathObjectiveConfig(PartConfig):
    """The error of the network at a random step of the path (S²DBM: L1; the others: squared).

    ``select_by``: the early-stopping metric, that error, or, at the steps that a forecast takes,
    the proper scores of ``samples`` or the error of the ``point`` forecast, label and all.
    ``noise_free``: the share of windows whose path is one that the point forecast walks: without
    noise, and to the model's own forecast in one call, not to the known future.
    """

    name: Literal["path"] = "path"
    loss: Loss = "l1"
    select_by: Literal["path", "samples", "point"] = "path"
    noise_free: Fraction = 0.0


@register("objective", PathObjectiveConfig)
class PathObjective(Objective):
    """The masked mean error at one diffusion step t for each window."""

    def __init__(self, config: PathObjectiveConfig) -> None:
        self.config = config
        self.selects_samples = config.select_by == "samples"

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The error at t ~ U{1…T}."""
        seeds = torch.randint(0, 2**62, (len(batch),)).tolist()
        t = torch.randint(1, model.steps + 1, (len(batch),), device=batch.past.device)
        past = batch.past
        noise = torch.randn(_path_shape(model, batch), device=past.device, dtype=past.dtype)
        own = None
        if self.config.noise_free > 0:
            own = (torch.rand(len(batch)) < self.config.noise_free).to(past.device)
        return self._error(model, batch, t, noise, seeds, own)

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The error at the steps of the two step grids, in turn.

        The point forecast's steps alone would select a network that still copies h, whose samples
        hardly spread.
        """
        if self.selects_samples:
            return SamplesObjective(SamplesObjectiveConfig(point=0.0)).score(model, batch)
        if self.config.select_by == "point":
            target, mask = with_label(batch, model.label)
            errors = path_errors(self.config.loss, model.reverse_point(batch), target)
            return masked_mean(errors, mask)
        grid_steps = [t for grid in model.step_grids() for t in grid[:-1]]
        steps = torch.tensor(grid_steps, device=batch.index.device)
        t = steps[torch.arange(len(batch), device=steps.device) % len(steps)]
        source = generator(int(batch.index[0]), "score")
        noise = torch.randn(_path_shape(model, batch), generator=source).to(batch.past)
        return self._error(model, batch, t, noise, batch.index.tolist())

    def _error(
        self,
        model: PathModel,
        batch: Batch,
        t: Int[Tensor, " B"],
        noise: Float[Tensor, "B K M"],
        seeds: list[int],
        own: Bool[Tensor, " B"] | None = None,
    ) -> Float[Tensor, ""]:
        predicted, wanted, mask = model.step_errors(batch, t, noise, seeds, own)
        return masked_mean(path_errors(self.config.loss, predicted, wanted), mask)


def _path_shape(model: PathModel, batch: Batch) -> tuple[int, int, int]:
    windows, channels, horizon = batch.future.shape
    return windows, channels, model.label + horizon


class SamplesObjectiveConfig(PartConfig):
    """Proper scores of ``draws`` reverse-sampled paths a window, as in forecasting.

    ``energy``, ``crps``, ``crps_sum``: the weights of the energy score of whole windows, the CRPS
    of the marginals and that of the sum over the channels; ``point``: the weight of the absolute
    error of the point forecast.
    """

    name: Literal["samples"] = "samples"
    draws: Annotated[int, Field(ge=2)] = 4
    energy: Weight = 1.0
    crps: Weight = 1.0
    crps_sum: Weight = 1.0
    point: Weight = 1.0

    @model_validator(mode="after")
    def _check_weights(self) -> "SamplesObjectiveConfig":
        if self.energy + self.crps + self.crps_sum == 0:
            raise ValueError(
                "energy, crps and crps_sum are all 0, so samples are not scored; raise one"
            )
        return self


@register("objective", SamplesObjectiveConfig)
class SamplesObjective(Objective):
    """Proper scores of sample paths, and the absolute error of the point forecast."""

    needs_spread = True
    shows_future = False

    def __init__(self, config: SamplesObjectiveConfig) -> None:
        self.config = config

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The score of ``draws`` random draws a window."""
        seeds = torch.randint(0, 2**62, (len(batch),)).tolist()
        return self._score(model, batch, self.config.draws, seeds)

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """The score of 8 draws a window, seeded by the window's number."""
        return self._score(model, batch, SCORE_DRAWS, batch.index.tolist())

    def _score(
        self, model: PathModel, batch: Batch, count: int, seeds: Sequence[int]
    ) -> Float[Tensor, ""]:
        config, (target, mask) = self.config, with_label(batch, model.label)
        paths = model.reverse_samples(batch, Draws(count, seeds))
        loss = sample_score(paths, target, mask, config.energy, config.crps, config.crps_sum)
        if config.point > 0:
            error = (model.reverse_point(batch) - target).abs()
            loss = loss + config.point * masked_mean(error, mask)
        return loss
