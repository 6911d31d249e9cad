"""A benchmark suite, read from YAML: models × data × horizons × seeds, a training a cell."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from forecaster.config.load import find_config, load_config, read_yaml, reason
from forecaster.config.paths import PEERS, SUITES
from forecaster.config.program import program
from forecaster.config.schema import Config
from forecaster.config.sections import Positive, Section, nearest
from forecaster.data.catalog import find_dataset
from forecaster.data.files.containers import split_name
from forecaster.data.reading import file_digest
from forecaster.errors import UserError
from forecaster.evaluation.accumulate import RATIOS

# those of a named data set's published windows
_OF_PUBLISHED = ("published/mse", "published/mae")
# metrics that a training does not compute
_COSTLY = {"variogram"}
# what trainer.calibrate found: a network's squared errors without and with its mean errors taken
# out, and the number of steps where they are
CALIBRATION = ("calibration/before", "calibration/after", "calibration/steps")


# of a cell in a process of its own: the seconds in which the scored windows are forecast, its peak
# memory, and the lines (or commands) that a user writes
COSTS = {"forecast_seconds", "peak_mb", "lines"}


# the keys that the suite sets for each cell, and the sections that hold them
_RESERVED = (
    "data.csv",
    "data.dataset",
    "data.horizon",
    "trainer.seed",
    "trainer.refit",
    "data",
    "trainer",
)


def _unique(values: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise ValueError(f"{what} {repeated[0]} is given twice")
    return values


def _not_reserved(settings: dict[str, Any]) -> dict[str, Any]:
    for key in _RESERVED:
        if key in settings:
            raise ValueError(
                f"'{key}' follows from the suite's data, horizons and seeds; set other keys, "
                "one by one"
            )
    return settings


Settings = Annotated[dict[str, Any], AfterValidator(_not_reserved)]


class Peer(Section):
    """Another project's forecaster: its ``name`` in the runner, and its own settings.

    ``environment``: the file of ``configs/peers`` with the packages that it needs.
    """

    name: str
    environment: str
    set: dict[str, Any] = Field(default_factory=dict)


class Entry(Section):
    """A model: a configuration of ``configs/`` (by default of the same name) and overrides.

    ``peer``: in place of these, another project's.
    """

    config: str | None = None
    set: Settings = Field(default_factory=dict)
    peer: Peer | None = None

    @field_validator("peer")
    @classmethod
    def _without_config(cls, peer: Peer | None, info: ValidationInfo) -> Peer | None:
        if peer and (info.data.get("config") or info.data.get("set")):
            raise ValueError("has settings of its own: give 'peer.set', no 'config' and no 'set'")
        return peer


class Source(Section):
    """A data set of the catalogue, or a file, and its horizons.

    ``csv``: a path relative to the suite's folder. ``horizons``: of a data set, its shortest by
    default.
    """

    csv: str | None = None
    lookback: Positive | None = None
    horizons: Annotated[tuple[Positive, ...], Field(min_length=1)] | Literal["all"] | None = None

    @field_validator("horizons")
    @classmethod
    def _unique_horizons(cls, horizons: Any) -> Any:
        return _unique(horizons, "horizon") if isinstance(horizons, tuple) else horizons


class Published(Section):
    """Published results, shown for comparison: data set → horizon → metric → value."""

    source: str
    values: dict[str, dict[int, dict[str, float]]]


class Suite(Section):
    """The trainings of a benchmark, and the layout of its table.

    ``set``: overrides for all models, such as the training budget. ``steps``: numbers of network
    calls with which each saved model is scored on windows of the ``split``, in addition to its own
    (``score_windows`` of them, evenly spaced, with ``score_samples``); ``s``: the variance
    parameters with which it samples in each of these numbers, in place of its own. ``columns``: the
    table's columns are the metrics, or the models (several metrics in a cell, and a second table
    for validation). ``threads``: each cell runs in a process of its own with so many, and its costs
    are metrics, too. A peer has ``peer_seconds`` for a cell, and forecasts a window from
    the newest ``peer_history`` rows before it.
    """

    about: str
    threads: Positive | None = None
    models: Annotated[dict[str, Entry], Field(min_length=1)]
    data: Annotated[dict[str, Source], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    set: Settings = Field(default_factory=dict)
    steps: tuple[Positive, ...] = ()
    s: tuple[Annotated[float, Field(ge=0, le=2)], ...] = ()
    split: Literal["validation", "test"] = "test"
    score_windows: Positive = 128
    score_samples: Annotated[int, Field(ge=2)] = 100
    columns: Literal["models", "metrics"] = "metrics"
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("mse", "mae")
    digits: Positive = 3
    peer_seconds: Positive = 1200
    peer_history: Positive = 1000
    published: dict[str, Published] = Field(default_factory=dict)

    @field_validator("models")
    @classmethod
    def _peers_have_threads(
        cls, models: dict[str, Entry], info: ValidationInfo
    ) -> dict[str, Entry]:
        if info.data.get("threads") is None and any(entry.peer for entry in models.values()):
            raise ValueError("a peer runs in a process of its own: give 'threads', as 'threads: 1'")
        return models

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            if name in COSTS:
                if info.data.get("threads") is None:
                    raise ValueError(f"'{name}' is of a process of its own: give 'threads'")
            elif name not in RATIOS and name not in (*CALIBRATION, *_OF_PUBLISHED):
                raise ValueError(f"no metric '{name}'{nearest(name, list(RATIOS))}")
            if name in _COSTLY:
                raise ValueError(f"'{name}' is computed by evaluate alone")
        return _unique(names, "metric")

    @field_validator("seeds", "steps", "s")
    @classmethod
    def _unique_numbers(cls, numbers: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        names = {"seeds": "seed", "steps": "number of steps"}
        return _unique(numbers, names.get(info.field_name or "", "s"))

    @field_validator("s", "split")
    @classmethod
    def _scored_in_steps(cls, value: Any, info: ValidationInfo) -> Any:
        if value not in ((), "test") and not info.data.get("steps"):
            raise ValueError("is of models scored in 'steps': give these")
        return value

    @field_validator("columns")
    @classmethod
    def _columns_without_steps(cls, columns: str, info: ValidationInfo) -> str:
        if columns == "models" and info.data.get("steps"):
            raise ValueError("a table of several 'steps' has the metrics for columns")
        return columns

    @field_validator("published")
    @classmethod
    def _published_with_models(
        cls, published: dict[str, Published], info: ValidationInfo
    ) -> dict[str, Published]:
        if published and info.data.get("columns") != "models":
            raise ValueError("published figures are columns beside models: give 'columns: models'")
        return published

    @property
    def scoring(self) -> str:
        """A tag of the scoring after the training; if it changes, cells are scored again."""
        if not self.steps:
            return ""
        where = "" if self.split == "test" else f"{self.split}, "
        return f"{where}{self.score_windows} windows, {self.score_samples} samples"

    @property
    def walks(self) -> list[tuple[float | None, int]]:
        """The variance parameter (None: the model's own) and number of steps of each scoring."""
        return [(s, steps) for s in self.s or (None,) for steps in self.steps]


@dataclass(frozen=True)
class Cell:
    """One training of a suite; ``key``: the digest of configuration and data that tags its run.

    Of a ``peer`` the configuration tells the data, and the windows to score.
    """

    model: str
    data: str
    config: Config
    key: str
    peer: Peer | None = None

    @property
    def title(self) -> str:
        """The name of the cell's run."""
        return (
            f"{self.model} {self.data} {self.config.data.horizon} seed {self.config.trainer.seed}"
        )


def find_suite(name: str) -> tuple[str, Suite]:
    """The name and content of a suite of ``configs/suites``, or of a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else SUITES / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in SUITES.glob("*.yaml"))
        raise UserError(
            f"no suite '{name}'{nearest(name, known)}; give a YAML file, or one of "
            f"{', '.join(known)}"
        )
    try:
        suite = Suite.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: key '{key}': {reason(first)}; correct it") from error
    folder = path.resolve().parent
    data = {
        key: source
        if source.csv is None
        else source.model_copy(update={"csv": str(folder / source.csv)})
        for key, source in suite.data.items()
    }
    models = {}
    for key, entry in suite.models.items():
        if entry.peer is not None:
            models[key] = entry
            continue
        config = entry.config or key
        config = str(folder / config) if config.endswith((".yaml", ".yml")) else config
        models[key] = entry.model_copy(update={"config": config})
    return path.stem, suite.model_copy(update={"data": data, "models": models})


@dataclass(frozen=True)
class CellFilter:
    """The selected part of a suite; an empty field selects all."""

    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()


def lay_out(suite: Suite, only: CellFilter) -> list[Cell]:
    """The selected cells, seed by seed, so that every model has a first result early."""
    known_horizons = tuple(
        {h for name, source in suite.data.items() for h in _horizons(name, source)}
    )
    for what, names, known in (
        ("model", only.models, tuple(suite.models)),
        ("data set", only.data, tuple(suite.data)),
        ("horizon", only.horizons, known_horizons),
        ("seed", only.seeds, suite.seeds),
    ):
        for name in names:
            if name not in known:
                texts = list(map(str, known))
                raise UserError(
                    f"the suite has no {what} '{name}'{nearest(str(name), texts)}; it has "
                    f"{', '.join(texts)}"
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
        if (same := first.setdefault(cell.key, cell)) is not cell:
            raise UserError(
                f"'{same.title}' and '{cell.title}' of the suite are the same training; leave one "
                "of them out"
            )
    return cells


def check_data(cells: Sequence[Cell]) -> None:
    """Raise UserError if a cell's data set is not downloaded."""
    for cell in cells:
        name = cell.config.data.dataset
        if name is not None and not find_dataset(name).path.is_file():
            raise UserError(
                f"data set '{name}' is not downloaded; fetch it first: "
                f"{program()} datasets fetch {name}"
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
    overrides["trainer.refit"] = "none"  # what is scored, and timed, is the held-out model
    if source.csv is not None:
        if not Path(split_name(source.csv)[0]).exists():  # its digest is a part of the cell's key
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
    preset = "seasonal-naive" if entry.peer else entry.config or model
    config = load_config(find_config(preset), overrides={**overrides, **suite.set, **entry.set})
    scored_whole = config.data.dataset is not None and config.trainer.point_windows is None
    for metric in suite.metrics:
        if metric in _OF_PUBLISHED and (suite.steps or not scored_whole):
            raise UserError(
                f"metric '{metric}' of the suite, model '{model}' on '{name}': it is of named data "
                "sets whose test windows are all scored once; leave it out, or give no csv, no "
                "steps, and set trainer.point_windows to null"
            )
    values = config.model_dump(mode="json")
    values["data"]["csv"] = None  # the key depends on the file's content, not on its path
    parts: list[Any] = [values, digest]
    if suite.threads is not None:
        parts.append(suite.threads)
    if entry.peer is not None:
        packages = file_digest(requirements(entry.peer.environment))
        bounds = suite.peer_history, suite.peer_seconds
        parts += [entry.peer.model_dump(mode="json"), packages, *bounds]
    content = json.dumps(parts, sort_keys=True)
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    return Cell(model, name, config, key, entry.peer)


def requirements(environment: str) -> Path:
    """The file with the packages of an environment of peers."""
    path = PEERS / f"{environment}.txt"
    known = sorted(each.stem for each in PEERS.glob("*.txt"))
    if environment not in known:
        raise UserError(
            f"no environment '{environment}' of peers{nearest(environment, known)}; there are "
            f"{', '.join(known)}"
        )
    return path


def step_metric(metric: str, s: float | None, steps: int) -> str:
    """The name of a metric at a number of network calls, and at a variance parameter."""
    return f"steps/{steps}/{metric}" if s is None else f"s/{s:g}/steps/{steps}/{metric}"


def published_rows(suite: Suite) -> Iterator[Mapping[str, Any]]:
    """The published results as rows of the table."""
    for name, published in suite.published.items():
        for data, horizons in published.values.items():
            for horizon, metrics in horizons.items():
                yield {"model": name, "data": data, "horizon": horizon, **metrics}
