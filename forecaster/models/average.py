"""The plain average of several point forecasters."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.models.base import Shape
from forecaster.models.linear import LinearConfig
from forecaster.models.prior import Composite, PointForecaster, check_prior


class AverageConfig(PartConfig):
    """The plain average of several point models, each trained by itself."""

    name: Literal["average"] = "average"
    members: Annotated[tuple[ForecasterPart, ...], Field(min_length=1)] = (
        LinearConfig(norm="standard", loss="l1"),
        LinearConfig(norm="last", loss="l1"),
    )

    @field_validator("members")
    @classmethod
    def _check_members(cls, members: tuple[PartConfig, ...]) -> tuple[PartConfig, ...]:
        for member in members:
            check_prior(member, "model.members", point=True)
            if isinstance(member, AverageConfig):
                raise ValueError("a member is no average itself; name its members")
        return members


@register("forecaster", AverageConfig)
class Average(Composite):
    """The members' mean; each is a stage of the training."""

    def __init__(self, config: AverageConfig, shape: Shape) -> None:
        super().__init__()
        self.label = shape.label
        self.members = nn.ModuleList(build(member, shape) for member in config.members)

    @property
    def parts(self) -> list[PointForecaster]:
        return [member for member in self.members if isinstance(member, PointForecaster)]

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        forecasts = (member.predict_with_label(batch) for member in self.parts)
        return sum(forecasts, torch.zeros(())) / len(self.members)
