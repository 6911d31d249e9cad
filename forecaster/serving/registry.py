"""Models in the tracking store: logged with a run, registered by name, promoted to an alias."""

import importlib.metadata
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecaster.config.paths import PACKAGE
from forecaster.config.sections import nearest
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.inference.saved_model import ModelRecord, SavedModel, read_record
from forecaster.io.interrupts import uninterrupted
from forecaster.serving import request
from forecaster.tracking.query import download_model
from forecaster.tracking.store import as_user_error, connect

# what the logged model's code imports
_PACKAGES = (
    "gluonts",
    "jaxtyping",
    "lightning",
    "mlflow",
    "numpy",
    "pandas",
    "platformdirs",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "safetensors",
    "torch",
)


@dataclass(frozen=True)
class Promotion:
    """What a promotion did. ``before``: the version that had the alias (None: there was none).

    ``compared``: the metric's name and its values for the new version and the one before; None if
    they were not compared.
    """

    before: int | None
    compared: tuple[str, float, float] | None


def log_model(saved: SavedModel, table: Table) -> str:
    """Log a saved model with the open run under ``model``; its id is returned.

    The logged model is a pyfunc: the saved model's folder, this package's code, a signature and an
    example. No pickle.
    """
    mlflow = connect()
    sample = request.example(saved, table)
    with as_user_error(), uninterrupted(), tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(saved.folder, Path(scratch) / "saved")
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("logged_model.py")),
            artifacts={"saved": str(Path(scratch) / "saved")},
            code_paths=[str(PACKAGE)],
            signature=_signature(mlflow, sample),
            input_example=sample,
            pip_requirements=[_pinned(name) for name in _PACKAGES],
        )
    return info.model_id


def _pinned(name: str) -> str:
    # a local version, as of a build for the CPU, is not on every index
    return f"{name}=={importlib.metadata.version(name).partition('+')[0]}"


def check_name(name: str) -> None:
    """Refuse a name that a ``models:/`` reference could not hold."""
    if name.strip() in {"", ".", ".."} or set("/:@'\"") & set(name):
        raise UserError(f"--register {name}: not a name for a model; leave out / : @ and quotes")


def register(name: str, model_id: str, run_id: str) -> int:
    """A logged model's new version under a name, which is made if there is none."""
    client = connect().MlflowClient()
    with as_user_error(), uninterrupted():
        if not client.search_registered_models(f"name='{name}'", max_results=1):
            client.create_registered_model(name)
        return int(
            client.create_model_version(
                name, f"models:/{model_id}", run_id, model_id=model_id
            ).version
        )


def list_versions(name: str | None) -> list[dict[str, Any]]:
    """The registered versions, newest first: name, version, aliases, run, time and the run's final
    metrics.
    """
    client = connect().MlflowClient()
    found = []
    with as_user_error():
        names = [m.name for m in client.search_registered_models()] if name is None else [name]
        for each in names:
            aliases = _registered(client, each).aliases
            for version in client.search_model_versions(f"name='{each}'"):
                run = client.get_run(version.run_id) if version.run_id else None
                found.append(
                    {
                        "name": each,
                        "version": int(version.version),
                        "run_id": version.run_id,
                        "aliases": sorted(
                            alias
                            for alias, at in aliases.items()
                            if int(at) == int(version.version)
                        ),
                        "created": version.creation_timestamp,
                        "metrics": {}
                        if run is None
                        else {k: v for k, v in run.data.metrics.items() if k.startswith("test/")},
                    }
                )
    return found


def promote(name: str, version: int, alias: str, force: bool) -> Promotion:
    """Give ``alias`` to a version, unless it is worse than the one that has it on the same data's
    test metric.
    """
    from mlflow.exceptions import MlflowException

    client = connect().MlflowClient()
    with as_user_error():
        aliases = _registered(client, name).aliases
        before = int(aliases[alias]) if alias in aliases else None
    try:
        client.get_model_version(name, str(version))
    except MlflowException as error:
        raise UserError(
            f"no version {version} of model '{name}'; see: models versions {name}"
        ) from error
    compared = None if before in (None, version) or force else _compare(name, version, before)
    if compared is not None and not compared[1] <= compared[2]:
        metric, new, old = compared
        raise UserError(
            f"version {version} of '{name}' is worse than version {before}, the present {alias}: "
            f"{metric} {new:.5g} "
            f"against {old:.5g} on the same data; give --force to promote it all the same"
        )
    with as_user_error():
        client.set_registered_model_alias(name, alias, str(version))
    return Promotion(before, compared)


def _registered(client: Any, name: str) -> Any:
    """A registered model, or the names that there are."""
    known = {model.name: model for model in client.search_registered_models()}
    if name not in known:
        there = (
            f"there are {', '.join(sorted(known))}"
            if known
            else "register one with train --register NAME"
        )
        raise UserError(f"no registered model '{name}'{nearest(name, sorted(known))}; {there}")
    return client.get_registered_model(name)


def _compare(name: str, new: int, old: int) -> tuple[str, float, float] | None:
    """The test metric of two versions, the CRPS if both have it; None where they were not tested on
    the same windows, or on windows without a value.
    """
    models = [read_record(download_model(f"models:/{name}/{version}")) for version in (new, old)]
    one, other = (model.metadata["metrics"] for model in models)
    if _tested_on(models[0]) != _tested_on(models[1]) or one.get("test/windows") != other.get(
        "test/windows"
    ):
        return None
    drawn = (
        one.get("test/probabilistic_windows") == other.get("test/probabilistic_windows") is not None
    )
    metric = "test/crps" if drawn else "test/mse"
    return (metric, one[metric], other[metric]) if metric in one and metric in other else None


def _tested_on(record: ModelRecord) -> tuple[Any, ...]:
    data = record.data
    return record.metadata["digest"], data.dataset, data.horizon, tuple(sorted(record.names))


def _signature(mlflow: Any, example: Any) -> Any:
    """The columns by name, whatever they hold: a column may hold texts, numbers or arrays, and is
    checked by its cells.
    """
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    kinds = {int: DataType.long, float: DataType.double, bool: DataType.boolean}
    params = []
    for name, default in request.Params().model_dump().items():
        if isinstance(default, tuple):
            params.append(
                ParamSpec(
                    name, DataType.double if default else DataType.string, list(default), (-1,)
                )
            )
        else:
            kind = DataType.long if name == "steps" else kinds.get(type(default), DataType.string)
            params.append(ParamSpec(name, kind, default))
    outputs = [
        ColSpec("string", "item_id"),
        ColSpec("string", "timestamp"),
        ColSpec("double", "mean"),
    ]
    return mlflow.models.ModelSignature(
        inputs=Schema([ColSpec(AnyType(), str(name), required=False) for name in example.columns]),
        outputs=Schema(outputs),
        params=ParamSchema(params),
    )
