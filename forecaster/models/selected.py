"""The one of several point forecasters that is best on validation."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Float64
from pydantic import Field, field_validator
from torch import Tensor, nn

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.sections import PartConfig
from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.models.average import AverageConfig
from forecaster.models.base import Forecaster, Shape
from forecaster.models.own import OwnForecastConfig
from forecaster.models.prior import Composite, PointForecaster, check_prior
from forecaster.models.sorted_levels import SortedLevelsConfig

# number of validation windows, evenly spaced, that the candidates are compared on, and the fewest
# of a wide table
_WINDOWS, _FEWEST = 2048, 64


class SelectedConfig(PartConfig):
    """The one of several point models, each trained by itself, that is best on validation.

    The best has the lowest mean absolute error over the horizon; among equals it is the first. A
    forecast of one's own (``data.prior_column``) is a candidate as it is, beside them.
    """

    name: Literal["selected"] = "selected"
    candidates: Annotated[tuple[ForecasterPart, ...], Field(min_length=2)] = (
        AverageConfig(),
        AverageConfig(
            members=(SortedLevelsConfig(norm="standard"), SortedLevelsConfig(norm="last"))
        ),
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
    """The forecast of the best candidate; all candidates are stages of the training.

    ``errors`` (C,): the mean absolute error of each on validation, 0 before. The weights of the
    others are stored, too.
    """

    errors: Tensor

    def __init__(self, config: SelectedConfig, shape: Shape) -> None:
        super().__init__()
        self.label = shape.label
        candidates = [*config.candidates, *([OwnForecastConfig()] if shape.covariates.own else [])]
        self.names = _names(candidates)
        self.candidates = nn.ModuleList(build(each, shape) for each in candidates)
        self.register_buffer("errors", torch.zeros(len(self.names)))

    @property
    def parts(self) -> list[PointForecaster]:
        return [each for each in self.candidates if isinstance(each, PointForecaster)]

    @property
    def best(self) -> int:
        """The place of the chosen candidate."""
        return int(self.errors.argmin())

    def __str__(self) -> str:
        errors = [f"{error:.4g} {n}" for n, error in zip(self.names, self.errors, strict=True)]
        return f"{self.names[self.best]}, by its error on validation ({', '.join(errors)})"

    def idle(self) -> list[Forecaster]:
        """The stages that the forecast does not need."""
        others = [part for place, part in enumerate(self.parts) if place != self.best]
        return [stage for part in others for stage in (*part.stages(), part)]

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        return self.parts[self.best].predict_with_label(batch)

    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Measure the candidates on evenly spaced validation windows."""
        self.errors.copy_(mean_errors(self.parts, validation))


@torch.no_grad()
def mean_errors(models: Sequence[Forecaster], windows: Windows) -> Float64[Tensor, " C"]:
    """The mean absolute errors of the point forecasts on evenly spaced windows, in z-scores."""
    total, count = torch.zeros(len(models), dtype=torch.float64), 0.0
    most = of_a_wide_table(_WINDOWS, windows.channels, _FEWEST)
    for cpu_batch in ordered_loader(windows, 256, most):
        batch = cpu_batch.to(models[0].device)
        count += float(batch.future_mask.sum())
        for place, model in enumerate(models):
            missed = (model.predict(batch) - batch.future).abs() * batch.future_mask
            total[place] += missed.sum(dtype=torch.float64).cpu()
    return total / max(count, 1)


def _names(candidates: Sequence[PartConfig]) -> list[str]:
    """A name for each: that of its part, of its members, and its place if others have the same."""
    names = []
    for each in candidates:
        members = dict.fromkeys(member.name for member in getattr(each, "members", ()))
        names.append(f"{each.name} of {', '.join(members)}" if members else each.name)
    return [
        f"{name} ({place})" if names.count(name) > 1 else name
        for place, name in enumerate(names, start=1)
    ]


def selections(model: nn.Module) -> Iterator[tuple[str, Selected]]:
    """The selections in a model, each with its key in the configuration."""
    for path, part in model.named_modules(prefix="model"):
        if isinstance(part, Selected):
            yield path, part
