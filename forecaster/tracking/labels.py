"""What a run says of itself, so that runs can be compared: few flat parameters, and tags to group
and filter by.

A parameter's name is the ``--set`` key that changes it. All settings of the model are parameters,
for a chart leaves out runs that lack one; of the trainer those that decide a training, of the rest
only what is not the default. Lists are not: no table compares them. The whole configuration, the
versions and what was found in the data are artifacts of the run.
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
        "data": _telling(config.data, DataConfig(), _DATA),
        "model": config.model.model_dump(mode="json"),
        "trainer": _telling(config.trainer, TrainerConfig(), _TRAINER),
    }
    found = _flat(parts)
    if config.data.csv is not None:
        found["data.csv"] = Path(config.data.csv).name
    return {"model": title(config), **found, "data.sha256": digest}


def tags(config: Config, problem: Problem, model: Forecaster) -> dict[str, str]:
    """What runs are grouped by; ``model`` is the configuration's title, ``family`` the kind of
    model behind it.
    """
    return {
        "family": config.model.name,
        "model": title(config),
        "dataset": dataset_name(problem),
        "horizon": str(config.data.horizon),
        "mode": "point" if model.distribution == "none" else "probabilistic",
    }


def title(config: Config) -> str:
    """A model's name among others."""
    return config.title or config.model.name


def dataset_name(problem: Problem) -> str:
    """The named data set, or the file's name without its ending."""
    return problem.config.dataset or Path(problem.table.path).stem


def data_source(problem: Problem) -> str:
    """Where the data came from: the named data set's address, or the file's path; the name alone
    of a frame in memory.
    """
    config, path = problem.config, problem.table.path
    if config.dataset is not None:
        return find_dataset(config.dataset).url
    return path if config.csv is None else str(Path(path).resolve())


def _telling(
    section: DataConfig | TrainerConfig, default: DataConfig | TrainerConfig, always: frozenset[str]
) -> dict[str, Any]:
    usual = default.model_dump(mode="json")
    content = section.model_dump(mode="json")
    return {key: value for key, value in content.items() if key in always or value != usual[key]}


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        elif value is not None and not isinstance(value, list):
            found[prefix + key] = value
    return found
