"""The base of all sections of the configuration."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# with bounds, so that no configuration takes all memory or time
Positive = Annotated[int, Field(gt=0, le=1_000_000)]
Size = Annotated[int, Field(gt=0, le=4_096)]  # of a layer; of steps of a diffusion
StateSize = Annotated[int, Field(gt=0, le=256)]  # whose matrix is diagonalised
Depth = Annotated[int, Field(gt=0, le=64)]  # in layers
Fraction = Annotated[float, Field(ge=0, lt=1)]
Even = Annotated[int, Field(gt=0, le=4_096, multiple_of=2)]
Weight = Annotated[float, Field(ge=0)]


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _join(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


# names of columns as one text with commas, also as several
Joined = Annotated[str, BeforeValidator(_join)]
# names of columns, also as one text with commas
Names = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_split)]


# the path of a file, as text
FilePath = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, Path) else v)]


def _texts(value: object) -> object:
    if isinstance(value, int | float):
        return (f"{value:.15g}",)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else _split(value)


# texts and numbers that stand for missing values, as texts
Codes = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_texts)]


class Section(BaseModel):
    """A section of the configuration: immutable, and without unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


class PartConfig(Section):
    """The settings of a part, registered by its ``name`` (``forecaster.config.parts``)."""

    name: str


def nearest(name: str, known: Sequence[str]) -> str:
    """A suggestion of the closest known name, '' if none is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""
