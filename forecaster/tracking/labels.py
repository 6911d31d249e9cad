"""The parameters and tags by which runs are compared, grouped and filtered.

A parameter's name is the ``--set`` key that changes it. All settings of the model are logged, since
a chart of MLflow omits runs that lack one; of the trainer those that matter most; of the rest what
differs from its default. Lists are not logged: no table compares them. The whole configuration, the
versions and the report about the data are artifacts of the run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecaster.config.schema import Config, DataConfig, TrainerConfig
from forecaster.data.catalog import find_dataset
from forecaster.data.problem import Problem
from forecaster.models.base import Forecaster

_DATA = frozenset({"horizon", "lookback"})
_TRAINER = frozenset({"seed", "max_epochs", "batch_size", "learning_rate", "weight_decay"})


def parameters(config: Config, digest: str) -> dict[str, Any]:
    """The parameters of a training run; ``digest`` is the SHA-256 of its data."""
    parts: dict[str, Any] = {
        "data": _selected(config.data, DataConfig(), _DATA),
        "model": config.model.model_dump(mode="json"),
        "trainer": _selected(config.trainer, TrainerConfig(), _TRAINER),
    }
    values = _flat(parts)
    for name in ("csv", "static_file"):
        if getattr(config.data, name) is not None:
            values[f"data.{name}"] = Path(getattr(config.data, name)).name
    return {"model": title(config), **values, "data.sha256": digest}


def tags(config: Config, problem: Problem, model: Forecaster) -> dict[str, str]:
    """The tags that runs are grouped by.

    ``model`` is the configuration's title, ``family`` the registered name of its forecaster.
    """
    return {
        "family": config.model.name,
        "model": title(config),
        "dataset": dataset_name(problem),
        "horizon": str(config.data.horizon),
        "mode": "point" if model.distribution == "none" else "probabilistic",
    }


def title(config: Config) -> str:
    """The name of the configured model in tables: its title, or its registered name."""
    return config.title or config.model.name


def dataset_name(problem: Problem) -> str:
    """The named data set, or the file's name without its extension."""
    return problem.config.dataset or Path(problem.table.path).stem


def data_source(problem: Problem) -> str:
    """The data's source: the named data set's URL, or the file's absolute path; of a frame in
    memory its name alone.
    """
    config, path = problem.config, problem.table.path
    if config.dataset is not None:
        return find_dataset(config.dataset).url
    return path if config.csv is None else str(Path(path).resolve())


def _selected(
    section: DataConfig | TrainerConfig, default: DataConfig | TrainerConfig, always: frozenset[str]
) -> dict[str, Any]:
    """The settings named in ``always``, and those that differ from their default."""
    defaults = default.model_dump(mode="json")
    content = section.model_dump(mode="json")
    return {key: value for key, value in content.items() if key in always or value != defaults[key]}


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and not isinstance(value, list):
            flat[prefix + key] = value
    return flat
