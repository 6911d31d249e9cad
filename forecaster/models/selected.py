"""The best of several point forecasters on validation, or the mean of those that are level."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

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
# an error is level with the least one up to so many times that: which is lower then is chance
_LEVEL = 1.01


class SelectedConfig(PartConfig):
    """The best of several point models, each trained by itself, on validation, or the mean of all
    whose mean absolute errors over the horizon are within 1 % of the lowest one.

    A forecast of one's own (``data.prior_column``) is a candidate as it is, beside them.
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
    """The mean forecast of the chosen candidates; all candidates are stages of the training.

    ``errors`` (C,): the mean absolute error of each on validation, 0 before; ``chosen`` (C,): 1 for
    those that are level with the best, before that for the first. The weights of the others are
    stored, too.
    """

    errors: Tensor
    chosen: Tensor

    def __init__(self, config: SelectedConfig, shape: Shape) -> None:
        super().__init__()
        self.label = shape.label
        candidates = [*config.candidates, *([OwnForecastConfig()] if shape.covariates.own else [])]
        self.names = _names(candidates)
        self.candidates = nn.ModuleList(build(each, shape) for each in candidates)
        self.register_buffer("errors", torch.zeros(len(self.names)))
        self.register_buffer("chosen", _only(0, len(self.names)))

    @property
    def parts(self) -> list[PointForecaster]:
        return [each for each in self.candidates if isinstance(each, PointForecaster)]

    @property
    def choice(self) -> str:
        """The names of the chosen candidates."""
        return " and ".join(
            name for name, chosen in zip(self.names, self.chosen.tolist(), strict=True) if chosen
        )

    def __str__(self) -> str:
        errors = [f"{error:.4g} {n}" for n, error in zip(self.names, self.errors, strict=True)]
        found = ", ".join(errors)
        if self.chosen.sum() > 1:
            return f"mean of {self.choice}, level in their errors on validation ({found})"
        return f"{self.choice}, by its error on validation ({found})"

    def idle(self) -> list[Forecaster]:
        """The stages that the forecast does not need."""
        pairs = zip(self.parts, self.chosen.tolist(), strict=True)
        return [stage for part, chosen in pairs if not chosen for stage in (*part.stages(), part)]

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        pairs = zip(self.parts, self.chosen.tolist(), strict=True)
        forecasts = [part.predict_with_label(batch) for part, chosen in pairs if chosen]
        return forecasts[0] if len(forecasts) == 1 else torch.stack(forecasts).mean(0)

    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Measure the candidates on evenly spaced validation windows."""
        self.errors.copy_(mean_errors(self.parts, validation))
        self.chosen.copy_(self.errors <= _LEVEL * self.errors.min())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A model saved before several were chosen has the best alone."""
        errors = state_dict.get(prefix + "errors")
        if errors is not None:
            state_dict.setdefault(prefix + "chosen", _only(int(errors.argmin()), len(self.names)))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _only(place: int, count: int) -> Float[Tensor, " C"]:
    return torch.eye(count)[place]


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
