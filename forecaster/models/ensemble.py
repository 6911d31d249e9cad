"""A weighted mixture of forecasters: each gives its share of the sample paths.

``auto`` is one whose members are chosen by the data and by validation (``training.ensemble``).
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.schema import TrainerConfig, Window
from forecaster.config.sections import PartConfig, Section, Weight
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, Shape
from forecaster.models.held_out import HeldOut
from forecaster.models.mixture import shares
from forecaster.models.residual_paths import ResidualPaths, with_paths

Candidates = Literal["fast", "good", "best"]


class Member(Section):
    """A forecaster of an ensemble with its own settings.

    ``name``: the preset's; ``lookback``: the steps of the history that it reads (None: all);
    ``trainer``: how it is trained; ``weight``: its share in the mixture, in that of all.
    """

    name: Annotated[str, Field(pattern=r"^\w[\w.-]{0,79}$")]
    model: ForecasterPart
    lookback: Window | None = None
    trainer: TrainerConfig = TrainerConfig()
    weight: Weight = 1.0


class EnsembleConfig(PartConfig):
    """A mixture of forecasters, weighted by the CRPS of their samples on validation.

    ``candidates``: the presets to choose from, by name, or how many of those that suit the data:
    a ``fast``, a ``good`` or the ``best`` choice. ``members``: those themselves, in place of
    candidates: what a training on a file writes here.
    """

    name: Literal["ensemble"] = "ensemble"
    candidates: Candidates | Annotated[tuple[str, ...], Field(min_length=1)] = "good"
    members: tuple[Member, ...] = ()

    @field_validator("members")
    @classmethod
    def _check_members(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        names = [member.name for member in members]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two members are named {repeated[0]}; name each once")
        for member in members:
            if isinstance(member.model, EnsembleConfig):
                raise ValueError(f"{member.name}: a member is no ensemble itself; name its members")
        if members and not any(member.weight > 0 for member in members):
            raise ValueError("no member has a weight; give one above 0")
        return members


@register("forecaster", EnsembleConfig)
class Ensemble(Forecaster):
    """The mixture. A member without samples of its own has those of its errors on validation, and
    those of one that gives quantiles are paths by them, too.

    The point forecast is the mean of the mixture.
    """

    distribution = "samples"

    def __init__(self, config: EnsembleConfig, shape: Shape) -> None:
        super().__init__()
        if not config.members:
            raise UserError("model.members: none yet; a training on a file or data set names them")
        lookbacks = [member.lookback or shape.lookback for member in config.members]
        self.lookbacks = [min(lookback, shape.lookback) for lookback in lookbacks]
        self.weights = [member.weight for member in config.members]
        shapes = [replace(shape, lookback=lookback) for lookback in self.lookbacks]
        models = [build(m.model, each) for m, each in zip(config.members, shapes, strict=True)]
        nothing = HeldOut.of(torch.zeros(0, shape.channels, shape.horizon))
        self.errors = [nothing for _ in models]
        self.members = nn.ModuleList(
            with_paths(model, nothing, each) for model, each in zip(models, shapes, strict=True)
        )

    def put(self, place: int, model: Forecaster, held_out: HeldOut, shape: Shape) -> None:
        """Replace a member by a trained one; ``held_out``: its errors, ``shape``: of its own."""
        self.members[place] = with_paths(model, held_out, shape)
        self.errors[place] = held_out

    def member(self, place: int) -> Forecaster:
        """A member itself, without the paths made of its errors."""
        found = self.members[place]
        assert isinstance(found, Forecaster)
        return found.model if isinstance(found, ResidualPaths) else found

    @property
    def learns(self) -> bool:
        return any(self.member(place).learns for place in range(len(self.weights)))

    @property
    def fits_histories(self) -> bool:
        places = [place for place, weight in enumerate(self.weights) if weight > 0]
        return any(self.member(place).fits_histories for place in places)

    @property
    def measured_by(self) -> Forecaster:
        """The mixture without members that are fitted to each history, if there are others."""
        weights = [
            0.0 if self.member(place).fits_histories else weight
            for place, weight in enumerate(self.weights)
        ]
        if not any(weights):
            return self
        quick = copy.copy(self)
        quick.weights = weights
        return quick

    @property
    def point_model(self) -> Forecaster | None:
        return None

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        total = torch.zeros_like(batch.future)
        for place, weight in enumerate(self.weights):
            if weight > 0:
                member, own = self.member(place), recent(batch, self.lookbacks[place])
                mean = member.predict(own, steps) if member.centre == "mean" else member.mean(own)
                total = total + weight * mean
        return total / sum(self.weights)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        parts = []
        for place, count in enumerate(shares(self.weights, draws.samples)):
            if count:
                seeds = member_seeds(draws.seeds, place)
                member, own = self.members[place], recent(batch, self.lookbacks[place])
                assert isinstance(member, Forecaster)
                parts.append(member.sample(own, replace(draws, samples=count, seeds=seeds)))
        paths = torch.cat(parts, dim=1)
        # so that the first few of the paths are a sample of the mixture, too
        order = torch.stack(
            [torch.randperm(draws.samples, generator=generator(s, "order")) for s in draws.seeds]
        )
        return paths.gather(1, order.to(paths.device)[..., None, None].expand_as(paths))


def recent(batch: Batch, lookback: int) -> Batch:
    """The batch with the last ``lookback`` steps of its histories."""
    before = batch.past.shape[2] - lookback
    if before <= 0:
        return batch
    covariates = batch.covariates
    if covariates is not None:
        covariates = replace(
            covariates,
            known=covariates.known[..., before:],
            past=covariates.past[..., before:],
            own=covariates.own[..., before:],
        )
    return replace(
        batch,
        past=batch.past[..., before:],
        past_mask=batch.past_mask[..., before:],
        seen=None if batch.seen is None else batch.seen[..., before:],
        covariates=covariates,
    )


def member_seeds(seeds: Sequence[int], place: int) -> list[int]:
    """The seeds of a member's paths of windows, of which no other member has the same."""
    return [generator(seed, "member", place).initial_seed() for seed in seeds]


def member_weights(members: Sequence[Member]) -> dict[str, float]:
    """The weights by name, which sum to 1."""
    total = sum(member.weight for member in members)
    return {member.name: member.weight / total for member in members}
