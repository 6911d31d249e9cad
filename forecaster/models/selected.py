"""The one of several point forecasters that is best on validation."""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Float64
from pydantic import Field, field_validator
from torch import Tensor, nn

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.models.average import AverageConfig
from forecaster.models.base import Shape
from forecaster.models.prior import Composite, PointForecaster, check_prior
from forecaster.models.sorted_levels import SortedLevelsConfig

# number of validation windows, evenly spaced, that the candidates are compared on
_WINDOWS = 2048


class SelectedConfig(PartConfig):
    """The one of several point models, each trained by itself, that is best on validation.

    The best has the lowest mean absolute error over the horizon; among equals it is the first.
    """

    name: Literal["selected"] = "selected"
    candidates: Annotated[tuple[ForecasterPart, ...], Field(min_length=2)] = (
        AverageConfig(),
        SortedLevelsConfig(),
    )

    @field_validator("candidates")
    @classmethod
    def _check_candidates(cls, candidates: tuple[PartConfig, ...]) -> tuple[PartConfig, ...]:
        for candidate in candidates:
            check_prior(candidate, "model.candidates", point=True)
            if isinstance(candidate, SelectedConfig):
                raise ValueError("a candidate is no selection itself; name its candidates")
        return candidates


@register("forecaster", SelectedConfig)
class Selected(Composite):
    """The chosen candidate's forecast; all candidates are stages of the training.

    The weights of the others are stored, too.
    """

    chosen: Tensor

    def __init__(self, config: SelectedConfig, shape: Shape) -> None:
        super().__init__()
        self.label, self.config = shape.label, config
        self.candidates = nn.ModuleList(build(each, shape) for each in config.candidates)
        self.register_buffer("chosen", torch.tensor(0))

    @property
    def parts(self) -> list[PointForecaster]:
        return [each for each in self.candidates if isinstance(each, PointForecaster)]

    @property
    def choice(self) -> str:
        """The name of the chosen candidate, with its place if another one has the same name."""
        names, place = [each.name for each in self.config.candidates], int(self.chosen)
        return names[place] + (f" ({place + 1})" if names.count(names[place]) > 1 else "")

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        return self.parts[int(self.chosen)].predict_with_label(batch)

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Choose the candidate with the lowest error on evenly spaced validation windows."""
        self.chosen.fill_(int(self._errors(validation).argmin()))

    def _errors(self, windows: Windows) -> Float64[Tensor, " C"]:
        """The sum of each candidate's absolute errors."""
        total = torch.zeros(len(self.candidates), dtype=torch.float64)
        for cpu_batch in ordered_loader(windows, 256, _WINDOWS):
            batch = cpu_batch.to(self.chosen.device)
            for place, part in enumerate(self.parts):
                errors = (part.predict(batch) - batch.future).abs() * batch.future_mask
                total[place] += errors.sum(dtype=torch.float64).cpu()
        return total


def choices(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The key of each selection in a model's configuration, and the name of what it chose."""
    for path, part in model.named_modules(prefix="model"):
        if isinstance(part, Selected):
            yield path, part.choice
