"""What a diffusion forecaster is trained on. An objective has a ``loss``, with random draws, and a
``score`` that early stopping watches, with the same draws in every epoch.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig, Weight
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.models.base import Loss, masked_mean, path_errors, with_label
from forecaster.models.scoring_rules import sample_score

# draws a window for the score: enough that it ranks epochs, few enough to be cheap
_SCORED_DRAWS = 16


@runtime_checkable
class PathModel(Protocol):
    """What an objective uses of a model: one step of the path, and the sampler's walks."""

    label: int

    @property
    def steps(self) -> int:
        """T."""

    def sampled_grids(self) -> tuple[list[int], list[int]]:
        """The steps that the point sampler and the sampler visit, each from T down to 0."""

    def step_errors(
        self, batch: Batch, t: Int[Tensor, " B"], noise: Float[Tensor, "B K M"], seeds: list[int]
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """What the network predicts at steps t, what it should, and the mask; data in z-scores."""

    def walk_samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """The sampler's draws, in z-scores."""

    def walk_point(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The deterministic walk's forecast, in z-scores."""


class PathObjectiveConfig(PartConfig):
    """The error of what the network predicts, at a random step of the path (S²DBM: L1; the others:
    squared).
    """

    name: Literal["path"] = "path"
    loss: Loss = "l1"


@register("objective", PathObjectiveConfig)
class PathObjective:
    """The masked mean error at one step t of the path for each window."""

    needs_spread = False
    shows_future = True

    def __init__(self, config: PathObjectiveConfig) -> None:
        self.config = config

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """At t ~ U{1…T}."""
        seeds = torch.randint(0, 2**62, (len(batch),)).tolist()
        t = torch.randint(1, model.steps + 1, (len(batch),), device=batch.past.device)
        past = batch.past
        noise = torch.randn(_path_shape(model, batch), device=past.device, dtype=past.dtype)
        return self._error(model, batch, t, noise, seeds)

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """At the steps that the two samplers visit, in turn.

        The point sampler's steps alone would stop at a network that still copies h, whose samples
        hardly spread.
        """
        visited = [t for grid in model.sampled_grids() for t in grid[:-1]]
        steps = torch.tensor(visited, device=batch.index.device)
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
    ) -> Float[Tensor, ""]:
        predicted, wanted, mask = model.step_errors(batch, t, noise, seeds)
        return masked_mean(path_errors(self.config.loss, predicted, wanted), mask)


def _path_shape(model: PathModel, batch: Batch) -> tuple[int, int, int]:
    windows, channels, horizon = batch.future.shape
    return windows, channels, model.label + horizon


class SamplesObjectiveConfig(PartConfig):
    """The score of the sampler's own draws: it is trained as it is used, ``draws`` paths a window.

    ``energy``, ``crps``, ``crps_sum`` weigh the energy score of whole windows, the CRPS of the
    marginals and that of the sum over the channels; ``point`` weighs the absolute error of the
    deterministic forecast.
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
class SamplesObjective:
    """Proper scores of the sampler's draws, and the error of the deterministic walk."""

    needs_spread = True
    shows_future = False

    def __init__(self, config: SamplesObjectiveConfig) -> None:
        self.config = config

    def loss(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """Of ``draws`` random draws a window."""
        seeds = torch.randint(0, 2**62, (len(batch),)).tolist()
        return self._score(model, batch, self.config.draws, seeds)

    def score(self, model: PathModel, batch: Batch) -> Float[Tensor, ""]:
        """Of 16 draws a window, by the window's number."""
        return self._score(model, batch, _SCORED_DRAWS, batch.index.tolist())

    def _score(
        self, model: PathModel, batch: Batch, count: int, seeds: Sequence[int]
    ) -> Float[Tensor, ""]:
        config, (target, mask) = self.config, with_label(batch, model.label)
        paths = model.walk_samples(batch, Draws(count, seeds))
        loss = sample_score(paths, target, mask, config.energy, config.crps, config.crps_sum)
        if config.point > 0:
            error = (model.walk_point(batch) - target).abs()
            loss = loss + config.point * masked_mean(error, mask)
        return loss
