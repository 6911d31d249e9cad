"""A suite of a benchmark: models × data × horizons × seeds, read from YAML and laid out as cells,
one training each.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from forecaster.config.load import find_config, load_config, read_yaml, reason
from forecaster.config.paths import SUITES
from forecaster.config.program import program
from forecaster.config.schema import Config
from forecaster.config.sections import Positive, Section, nearest
from forecaster.data.catalog import find_dataset
from forecaster.data.reading import file_digest
from forecaster.errors import UserError
from forecaster.evaluation.accumulate import RATIOS

# metrics that a training leaves out
_COSTLY = {"variogram"}


# what the suite itself sets for each cell, and the sections that would set it
_OWN = ("data.csv", "data.dataset", "data.horizon", "trainer.seed", "data", "trainer")


def _no_twin(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    twins = [value for value in values if values.count(value) > 1]
    if twins:
        raise ValueError(f"{what} {twins[0]} stands twice")
    return values


def _not_own(settings: dict[str, Any]) -> dict[str, Any]:
    for key in _OWN:
        if key in settings:
            raise ValueError(
                f"'{key}' follows from the suite's data, horizons and seeds; set single keys of "
                "others"
            )
    return settings


Settings = Annotated[dict[str, Any], AfterValidator(_not_own)]


class Entry(Section):
    """A model: a configuration of ``configs/`` (by default the one of the model's own name), with
    some keys set anew.
    """

    config: str | None = None
    set: Settings = Field(default_factory=dict)


class Source(Section):
    """A data set of the catalogue, or a file, with the horizons asked of it (of a data set: its
    shortest by default).

    ``csv``: a path from the suite's own folder.
    """

    csv: str | None = None
    lookback: Positive | None = None
    horizons: Annotated[tuple[Positive, ...], Field(min_length=1)] | Literal["all"] | None = None

    @field_validator("horizons")
    @classmethod
    def _different(cls, horizons: Any) -> Any:
        return _no_twin(horizons, "horizon") if isinstance(horizons, tuple) else horizons


class Published(Section):
    """Figures of others, to hold the table against: data set → horizon → metric → value."""

    source: str
    values: dict[str, dict[int, dict[str, float]]]


class Suite(Section):
    """What is run, and how it is laid out.

    ``set``: keys set for all models, such as the budget of a training. ``steps``: numbers of
    network calls that each saved model is scored with on the test windows (``score``: samples and,
    evenly spaced, windows), beside its own. ``columns``: whether the table's columns are the
    metrics, or the models (several metrics to a cell; then there is a second table of the same on
    validation).
    """

    about: str
    models: Annotated[dict[str, Entry], Field(min_length=1)]
    data: Annotated[dict[str, Source], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    set: Settings = Field(default_factory=dict)
    steps: tuple[Positive, ...] = ()
    score_windows: Positive = 128
    score_samples: Annotated[int, Field(ge=2)] = 100
    columns: Literal["models", "metrics"] = "metrics"
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("mse", "mae")
    digits: Positive = 3
    published: dict[str, Published] = Field(default_factory=dict)

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in RATIOS:
                raise ValueError(f"no metric '{name}'{nearest(name, list(RATIOS))}")
            if name in _COSTLY:
                raise ValueError(f"'{name}' is computed by evaluate alone")
        return _no_twin(names, "metric")

    @field_validator("seeds", "steps")
    @classmethod
    def _different(cls, numbers: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        return _no_twin(numbers, "seed" if info.field_name == "seeds" else "number of steps")

    @field_validator("columns")
    @classmethod
    def _has_room(cls, columns: str, info: ValidationInfo) -> str:
        if columns == "models" and info.data.get("steps"):
            raise ValueError("a table of several 'steps' has the metrics for columns")
        return columns

    @field_validator("published")
    @classmethod
    def _beside_models(
        cls, published: dict[str, Published], info: ValidationInfo
    ) -> dict[str, Published]:
        if published and info.data.get("columns") != "models":
            raise ValueError("published figures stand beside models: give 'columns: models'")
        return published

    @property
    def scoring(self) -> str:
        """What a finished cell was scored with after its training; a change of it scores the cell
        anew.
        """
        return f"{self.score_windows} windows, {self.score_samples} samples" if self.steps else ""


@dataclass(frozen=True)
class Cell:
    """One training of a suite, and the key by which its run is found again: a digest of
    configuration and data.
    """

    model: str
    data: str
    config: Config
    key: str

    @property
    def title(self) -> str:
        """Its run's name."""
        return (
            f"{self.model} {self.data} {self.config.data.horizon} seed {self.config.trainer.seed}"
        )


def find_suite(name: str) -> tuple[str, Suite]:
    """A suite of ``configs/suites``, or a YAML file: its name and content."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SUITES.glob("*.yaml")))
        raise UserError(f"no suite '{name}'; give a YAML file, or one of {known}")
    try:
        suite = Suite.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: key '{key}': {reason(first)}; correct it") from error
    beside = path.resolve().parent
    data = {
        key: source
        if source.csv is None
        else source.model_copy(update={"csv": str(beside / source.csv)})
        for key, source in suite.data.items()
    }
    models = {}
    for key, entry in suite.models.items():
        config = entry.config or key
        config = str(beside / config) if config.endswith((".yaml", ".yml")) else config
        models[key] = entry.model_copy(update={"config": config})
    return path.stem, suite.model_copy(update={"data": data, "models": models})


@dataclass(frozen=True)
class Only:
    """A part of a suite; what is empty leaves nothing out."""

    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()


def lay_out(suite: Suite, only: Only) -> list[Cell]:
    """The cells of the suite, seed by seed so that every model has its first figure early; those
    asked for, if any.
    """
    known_horizons = tuple(
        {h for name, source in suite.data.items() for h in _horizons(name, source)}
    )
    for what, asked, known in (
        ("model", only.models, tuple(suite.models)),
        ("data set", only.data, tuple(suite.data)),
        ("horizon", only.horizons, known_horizons),
        ("seed", only.seeds, suite.seeds),
    ):
        for name in asked:
            if name not in known:
                raise UserError(
                    f"the suite has no {what} '{name}'; it has {', '.join(map(str, known))}"
                )
    cells = [
        _cell(suite, model, entry, name, source, horizon, seed)
        for seed in only.seeds or suite.seeds
        for name, source in suite.data.items()
        if name in (only.data or suite.data)
        for horizon in _horizons(name, source)
        if horizon in (only.horizons or known_horizons)
        for model, entry in suite.models.items()
        if model in (only.models or suite.models)
    ]
    first: dict[str, Cell] = {}
    for cell in cells:
        if (twin := first.setdefault(cell.key, cell)) is not cell:
            raise UserError(
                f"'{twin.title}' and '{cell.title}' of the suite are the same training; leave one "
                "of them out"
            )
    return cells


def check_data(cells: Sequence[Cell]) -> None:
    """Refuse cells whose data set is not here."""
    for cell in cells:
        name = cell.config.data.dataset
        if name is not None and not find_dataset(name).path.is_file():
            raise UserError(
                f"data set '{name}' is not here; fetch it first: {program()} datasets fetch {name}"
            )


def _horizons(name: str, source: Source) -> tuple[int, ...]:
    if isinstance(source.horizons, tuple):
        return source.horizons
    if source.csv is not None:
        raise UserError(f"data '{name}' of the suite: a file needs its horizons; give them")
    known = find_dataset(name).horizons
    return known if source.horizons == "all" else known[:1]


def _cell(
    suite: Suite, model: str, entry: Entry, name: str, source: Source, horizon: int, seed: int
) -> Cell:
    overrides: dict[str, Any] = {"data.horizon": horizon, "trainer.seed": seed}
    if source.csv is not None:
        if not Path(
            source.csv
        ).is_file():  # its content is part of the key by which a finished cell is known
            raise UserError(
                f"data '{name}' of the suite: no file {source.csv}; correct its path, or take it "
                "out"
            )
        overrides["data.csv"], digest = source.csv, file_digest(Path(source.csv))
    else:
        dataset = find_dataset(name)
        overrides |= {"data.dataset": name, "data.lookback": dataset.lookback}
        digest = dataset.sha256
    if source.lookback is not None:
        overrides["data.lookback"] = source.lookback
    config = load_config(
        find_config(entry.config or model), overrides={**overrides, **suite.set, **entry.set}
    )
    values = config.model_dump(mode="json")
    values["data"]["csv"] = None  # what is in the file counts, not where it lies
    content = json.dumps([values, digest], sort_keys=True)
    return Cell(model, name, config, hashlib.sha256(content.encode()).hexdigest()[:16])


def step_metric(metric: str, steps: int) -> str:
    """The name of a test metric at a number of network calls."""
    return f"steps/{steps}/{metric}"


def published_rows(suite: Suite) -> Iterator[Mapping[str, Any]]:
    """The figures of others as rows of the table."""
    for name, published in suite.published.items():
        for data, horizons in published.values.items():
            for horizon, metrics in horizons.items():
                yield {"model": name, "data": data, "horizon": horizon, **metrics}
