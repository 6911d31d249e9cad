"""Queries of the tracking store: runs, their artifacts and their models."""

import atexit
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forecaster.config.sections import nearest
from forecaster.errors import UserError
from forecaster.tracking.store import as_user_error, connect, store_uri


def download_model(reference: str) -> Path:
    """The saved model of a ``runs:/`` or ``models:/`` reference, as a temporary folder.

    The folder is removed when the program exits.
    """
    scratch = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return download_into(scratch, reference)


def download_into(folder: Path, reference: str) -> Path:
    """The same within ``folder``, which is the caller's to remove."""
    mlflow = connect()
    with as_user_error():
        return inner_model(
            Path(mlflow.artifacts.download_artifacts(artifact_uri=reference, dst_path=str(folder)))
        )


def version_of(name: str, alias: str) -> tuple[int, int]:
    """The version that an alias of a registered model names, and when it was registered.

    In milliseconds since 1970: numbers begin anew when a model is deleted and registered again.
    """
    mlflow = connect()
    with as_user_error():
        found = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
        return int(found.version), int(found.creation_timestamp)


def inner_model(folder: Path) -> Path:
    """The saved model's folder within that of a logged model; any other folder unchanged."""
    return folder / "artifacts" / "saved" if (folder / "MLmodel").is_file() else folder


def list_runs(experiment: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest runs: id, name, status, start, parameters and metrics."""
    mlflow = connect()
    with as_user_error():
        names = [each.name for each in mlflow.search_experiments()]
        if experiment is not None and experiment not in names:
            raise UserError(
                f"no experiment '{experiment}'{nearest(experiment, names)}; there are "
                f"{', '.join(names)}"
            )
        names = names if experiment is None else [experiment]
        runs = mlflow.search_runs(experiment_names=names, max_results=limit, output_format="list")
    return [_plain(run) for run in runs]


def find_runs(experiment: str, tags: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """All runs of an experiment that have these tags, newest first; [] if it does not exist."""
    mlflow = connect()
    with as_user_error():
        if mlflow.get_experiment_by_name(experiment) is None:
            return []
        runs = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    wanted = (tags or {}).items()
    return [run for run in map(_plain, runs) if wanted <= run["tags"].items()]


def log_metrics(run_id: str, values: Mapping[str, float]) -> None:
    """Add metrics to a run that has ended."""
    mlflow = connect()
    with as_user_error():
        mlflow.log_metrics(dict(values), run_id=run_id)


def set_tag(run_id: str, name: str, value: str) -> None:
    """Tag a run that has ended."""
    mlflow = connect()
    with as_user_error():
        mlflow.MlflowClient().set_tag(run_id, name, value)


def get_run(run_id: str) -> dict[str, Any]:
    """One run by its id, in the form of ``list_runs``."""
    mlflow = connect()
    with as_user_error():
        return _plain(mlflow.get_run(run_id))


def has_store() -> bool:
    """Whether there may be runs: a local store is made by the first."""
    return not store_uri().startswith("sqlite:///") or Path(store_uri()[10:]).is_file()


def all_runs() -> list[dict[str, Any]]:
    """The runs of all experiments, newest first."""
    return _search("")


def runs_named(name: str) -> list[dict[str, Any]]:
    """The runs of this name, newest first."""
    pattern = re.sub(r"[^\w .=,:-]", "_", name)  # in LIKE, _ is any character
    found = _search(f"attributes.run_name LIKE '{pattern}'")
    return [run for run in found if run["name"] == name]


def runs_beginning(start: str) -> list[dict[str, Any]]:
    """The runs whose id begins with these hexadecimal digits, newest first."""
    return _search(f"attributes.run_id LIKE '{start}%'")


def _search(condition: str) -> list[dict[str, Any]]:
    if not has_store():
        return []
    mlflow = connect()
    with as_user_error():
        found = mlflow.search_runs(
            search_all_experiments=True, filter_string=condition, output_format="list"
        )
    return [_plain(run) for run in found]


def evaluations_of(run_id: str) -> list[dict[str, Any]]:
    """The runs of ``evaluate`` on a run's model, the newest first."""
    mlflow = connect()
    with as_user_error():
        runs = mlflow.search_runs(
            search_all_experiments=True,
            filter_string=f"tags.evaluated_run = '{run_id}'",
            output_format="list",
        )
    return [_plain(run) for run in runs]


def read_artifacts(run_id: str, paths: Sequence[str]) -> dict[str, bytes]:
    """The contents of a run's artifacts by path; paths that do not exist are skipped."""
    mlflow = connect()
    with as_user_error(), tempfile.TemporaryDirectory() as scratch:
        client, folders = mlflow.MlflowClient(), {path.rpartition("/")[0] for path in paths}
        existing = {
            item.path
            for folder in folders
            for item in client.list_artifacts(run_id, folder or None)
        }
        return {
            path: Path(client.download_artifacts(run_id, path, scratch)).read_bytes()
            for path in paths
            if path in existing
        }


def _plain(run: Any) -> dict[str, Any]:
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "started": run.info.start_time,
        "params": dict(run.data.params),
        "tags": dict(run.data.tags),
        "metrics": dict(run.data.metrics),
    }
