"""The model registry: log a model with a run, register it by name, give versions an alias."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forecaster.config.paths import PACKAGE
from forecaster.data.tables import Table
from forecaster.errors import UserError, printable
from forecaster.inference.saved_model import SavedModel
from forecaster.serving import request
from forecaster.tracking import references
from forecaster.tracking.retry_queue import UPLOAD_SECONDS, transaction
from forecaster.tracking.store import as_user_error, connect, store_uri

# the dependencies of a logged model
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


def log_model(saved: SavedModel, table: Table) -> str:
    """Log a saved model as ``model`` with the active run, and return its id.

    The logged model is a pyfunc with the saved model's folder, this package's code, a signature and
    an example; without pickle.
    """
    mlflow = connect()
    sample = request.example(saved, table)
    with (
        as_user_error(),
        transaction(store_uri(), UPLOAD_SECONDS),
        tempfile.TemporaryDirectory() as scratch,
    ):
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
    # local versions, such as CPU builds, are not on every index
    return f"{name}=={importlib.metadata.version(name).partition('+')[0]}"


def check_name(name: str) -> None:
    """Raise UserError for a name that cannot be part of a ``models:/`` reference."""
    if name.strip() in {"", ".", ".."} or set("/:@'\"") & set(name) or not name.isprintable():
        raise UserError(
            f"--register {printable(name)}: not a name for a model; leave out / : @, quotes and "
            "control characters"
        )


def register(name: str, model_id: str, run_id: str) -> int:
    """Register a logged model as a new version of ``name``, and return the version."""
    client = connect().MlflowClient()
    with as_user_error(), transaction(store_uri()):
        if name not in references.registered_names():
            client.create_registered_model(name)
        return int(
            client.create_model_version(
                name, f"models:/{model_id}", run_id, model_id=model_id
            ).version
        )


def list_versions(name: str | None) -> list[dict[str, Any]]:
    """The registered versions, newest first, with aliases, run, time and test metrics."""
    names = references.registered_names() if name is None else [name]
    return [version for each in names for version in _versions(each)]


def _versions(name: str) -> Iterator[dict[str, Any]]:
    aliases, client = references.aliases_of(name), connect().MlflowClient()
    with as_user_error():
        for version in client.search_model_versions(f"name='{name}'"):
            run = client.get_run(version.run_id) if version.run_id else None
            metrics = {} if run is None else run.data.metrics
            number = int(version.version)
            yield {
                "name": name,
                "version": number,
                "run_id": version.run_id,
                "aliases": sorted(alias for alias, of in aliases.items() if of == number),
                "created": version.creation_timestamp,
                "metrics": {k: v for k, v in metrics.items() if k.startswith("test/")},
            }


def assign(name: str, alias: str, version: int) -> None:
    """Give a version an alias, in place of the one that has it."""
    with as_user_error(), transaction(store_uri()):
        connect().MlflowClient().set_registered_model_alias(name, alias, str(version))


def _signature(mlflow: Any, example: Any) -> Any:
    """A signature with columns of any type, which may hold texts, numbers or arrays."""
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    kinds = {int: DataType.long, float: DataType.double, bool: DataType.boolean}
    params = []
    for name, (kind, is_list, default) in request.parameters().items():
        shape = (-1,) if is_list else None
        params.append(ParamSpec(name, kinds.get(kind, DataType.string), default, shape))
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
