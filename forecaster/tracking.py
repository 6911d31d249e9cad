"""The tracking store. Beside the registry and the pyfunc this is the only file that imports mlflow."""

import atexit
import json
import logging
import math
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from forecaster.config import ROOT
from forecaster.errors import UserError
from forecaster.files import check_folder
from forecaster.keeping import Keeper, kept, read_left

# the store, the saved models and the checkpoints lie here
HOME = Path(os.environ.get("FORECASTER_HOME") or ROOT / "mlflow").resolve()
MODELS = HOME / "models"
CHECKPOINTS = HOME / "checkpoints"
# the view of an experiment's table that the UI is opened with
_VIEW = "metrics"


def store_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or the SQLite store of this project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{HOME / 'mlflow.db'}"


def is_remote(uri: str) -> bool:
    """Whether a store is a server."""
    return uri.startswith(("http://", "https://"))


def _mlflow() -> Any:
    """mlflow, quiet, pointed at the store; an unreachable server is told here, before anything else is done."""
    uri = store_uri()
    reason = _unreachable(uri)
    if reason is not None:
        raise UserError(
            f"the tracking server {uri} cannot be reached ({reason}); start it, or unset MLFLOW_TRACKING_URI to use "
            "the local store"
        )
    # a server that is away is no reason to wait for minutes: what is to be logged is kept
    for name, value in {"MAX_RETRIES": "1", "BACKOFF_FACTOR": "1", "TIMEOUT": "20"}.items():
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    # mlflow installs its own handlers while it is imported, so quieten afterwards
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # standard output is for results
    os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "30")  # seconds; short runs stay without
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    if uri.startswith("sqlite:///"):
        _make_store(mlflow, Path(uri.removeprefix("sqlite:///")))
    return mlflow


def _make_store(mlflow: Any, path: Path) -> None:
    """Make the tables of a new store, or of another version's, one process at a time."""
    from filelock import FileLock

    check_folder(path.parent)
    with FileLock(f"{path}.lock"), _told():
        mlflow.search_experiments(max_results=1)


def _unreachable(uri: str) -> str | None:
    """Why a server does not answer; None if it does, and for a store that is none."""
    if not is_remote(uri):
        return None
    try:
        urllib.request.urlopen(uri.rstrip("/") + "/health", timeout=5).close()  # noqa: S310 (http or https, just checked)
    except urllib.error.HTTPError:
        return None  # it answered: a server that guards or lacks this page is there all the same
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
    return None


def _errors() -> tuple[type[Exception], ...]:
    """What a store raises that refuses, or is away."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, RequestException, SQLAlchemyError, OSError


class Run(Keeper):
    """One open run. What the store does not take is kept, and at the end left in a folder."""

    def __init__(self, client: Any, run_id: str) -> None:
        super().__init__(store_uri(), HOME / "unlogged" / run_id, _errors())
        self._client, self.run_id = client, run_id

    def beside(self, folder: Path) -> None:
        """What cannot be logged is left beside ``folder``; what was left there by this run before is logged first."""
        self.left = folder.with_name(folder.name + ".unlogged")
        if self.left.is_dir():
            about, writes = read_left(self.left)
            self.pending += writes if about["run_id"] == self.run_id else []
            self.attempt()

    def reachable(self) -> bool:
        """Whether the server answers."""
        return _unreachable(self.store) is None

    def close(self, status: str) -> None:
        """End the run; this is told the store as all else, or left in the folder."""
        self.attempt()
        try:
            self._client.end_run(status)
        except self.away:
            self.ended(status)
        self.leave({"run_id": self.run_id})

    @kept
    def ended(self, status: str) -> None:
        """Say that the run has ended."""
        self._client.MlflowClient().set_terminated(self.run_id, status, self.at)

    @kept
    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log flat parameters."""
        self._client.log_params({key: str(value)[:500] for key, value in values.items()}, run_id=self.run_id)

    @kept
    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, of an epoch or final."""
        self._client.log_metrics(dict(values), step=step, run_id=self.run_id, timestamp=self.at)

    @kept
    def curves(self, values: Mapping[str, Sequence[float]]) -> None:
        """Log each list as a metric of the steps 1, 2, …; what is not finite is left out."""
        entities = self._client.entities
        points = [
            entities.Metric(name, float(value), self.at, step)
            for name, curve in values.items()
            for step, value in enumerate(curve, start=1)
            if math.isfinite(value)
        ]
        for begin in range(0, len(points), 1000):  # as many as one request may hold
            self._client.MlflowClient().log_batch(self.run_id, metrics=points[begin : begin + 1000])

    @kept
    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        for key, value in values.items():
            self._client.MlflowClient().set_tag(self.run_id, key, value)

    @kept
    def dataset(self, name: str, digest: str, source: str, columns: Sequence[str], use: str) -> None:
        """Log which data the run works on (``use``: training…): its name, where it came from, its columns; no values."""
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.data.sources import HTTPDatasetSource, LocalArtifactDatasetSource
        from mlflow.types import ColSpec, Schema

        kind = HTTPDatasetSource if source.startswith(("http://", "https://")) else LocalArtifactDatasetSource
        schema = Schema([ColSpec("double", column) for column in columns])
        short = digest[:12]  # MLflow keeps 36 characters at most, and shows them all
        self._client.log_input(MetaDataset(kind(source), name, short, schema), context=use)

    @kept
    def folder(self, path: Path, name: str) -> None:
        """Log a folder's files under ``name``."""
        self._client.MlflowClient().log_artifacts(self.run_id, str(path), name)

    @kept
    def file(self, path: Path, name: str = "") -> None:
        """Log a file."""
        self._client.MlflowClient().log_artifact(self.run_id, str(path), name or None)


@contextmanager
def open_run(experiment: str, name: str | None, run_id: str | None = None, parent: str | None = None) -> Iterator[Run]:
    """Start a run, or continue ``run_id``. It ends FINISHED, FAILED on an error, KILLED on an interrupt.

    ``parent``: the id of the run that it is a part of, such as a benchmark's. What the machine does (CPU, memory, GPU) is
    logged every half minute as ``system/…``.
    """
    mlflow = _mlflow()
    with _told():
        local = store_uri().startswith("sqlite:")
        _make_experiment(mlflow, experiment, (HOME / "artifacts").as_uri() if local else None)
        mlflow.set_experiment(experiment)
        mlflow.start_run(run_id=run_id, run_name=name, nested=True, parent_run_id=parent, log_system_metrics=True)
    status, run = "FAILED", Run(mlflow, mlflow.active_run().info.run_id)
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.close(status)


def _make_experiment(mlflow: Any, name: str, place: str | None) -> None:
    """Make sure that there is an experiment of that name; another process may be about the same."""
    from mlflow.exceptions import MlflowException

    if mlflow.get_experiment_by_name(name) is None:
        try:
            mlflow.create_experiment(name, place, _experiment_tags())
        except MlflowException:
            if mlflow.get_experiment_by_name(name) is None:
                raise


def log_left(folder: Path) -> str:
    """Log what a run could not, from the folder that it was left in, which is removed; the run's id."""
    about, writes = read_left(folder)
    run = Run(_mlflow(), about["run_id"])
    run.left, run.pending = folder.resolve(), writes
    run.attempt()
    if run.pending:
        raise UserError(f"{folder}: {len(run.pending)} entries could not be logged; it stays as it is")
    run.leave(about)
    return run.run_id


def _experiment_tags() -> dict[str, str]:
    """What makes MLflow's pages show an experiment as one of trainings, its table with metrics (it has none by itself)."""
    names = ("test/mse", "test/mae", "test/crps", "test/coverage/90", "train_seconds")
    columns = ["attributes.`Dataset`", *(f"metrics.`{name}`" for name in names), "params.`model`"]
    return {
        "mlflow.experimentKind": "custom_model_development",
        f"mlflow.sharedViewState.{_VIEW}": json.dumps({"selectedColumns": columns}),
    }


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _errors() as error:
        if getattr(error, "get_http_status_code", lambda: 0)() == 401:
            raise UserError(
                f"the tracking server {store_uri()} does not accept this user and password; set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD"
            ) from error
        reason = str(error).splitlines()[0]
        raise UserError(f"the tracking store {store_uri()} refused: {reason}; check MLFLOW_TRACKING_URI") from error


def download_model(reference: str) -> Path:
    """A ``runs:/`` or ``models:/`` reference → the saved model's folder, a copy that is removed when the program ends."""
    mlflow = _mlflow()
    scratch = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    with _told():
        return inner_model(Path(mlflow.artifacts.download_artifacts(artifact_uri=reference, dst_path=str(scratch))))


def inner_model(folder: Path) -> Path:
    """The saved model's folder within that of a logged model; any other folder is given back."""
    return folder / "artifacts" / "saved" if (folder / "MLmodel").is_file() else folder


def list_runs(experiment: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest runs: id, name, status, start, parameters and metrics."""
    mlflow = _mlflow()
    with _told():
        names = [experiment] if experiment else [e.name for e in mlflow.search_experiments()]
        runs = mlflow.search_runs(experiment_names=names, max_results=limit, output_format="list")
    return [_plain(run) for run in runs]


def find_runs(experiment: str, tags: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """All runs of an experiment that have these tags, the newest first; none where there is no such experiment."""
    mlflow = _mlflow()
    with _told():
        if mlflow.get_experiment_by_name(experiment) is None:
            return []
        runs = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    found = [_plain(run) for run in runs]
    return [run for run in found if (tags or {}).items() <= run["tags"].items()]


def log_metrics(run_id: str, values: Mapping[str, float]) -> None:
    """Add metrics to a run that has ended."""
    mlflow = _mlflow()
    with _told():
        mlflow.log_metrics(dict(values), run_id=run_id)


def get_run(run_id: str) -> dict[str, Any]:
    """One run."""
    mlflow = _mlflow()
    with _told():
        return _plain(mlflow.get_run(run_id))


def evaluations_of(run_id: str) -> list[dict[str, Any]]:
    """The runs of ``evaluate`` on a run's model, the newest first."""
    mlflow = _mlflow()
    with _told():
        runs = mlflow.search_runs(
            search_all_experiments=True, filter_string=f"tags.evaluated_run = '{run_id}'", output_format="list"
        )
    return [_plain(run) for run in runs]


def read_artifacts(run_id: str, paths: Sequence[str]) -> dict[str, bytes]:
    """The content of those of a run's artifacts that there are, by path."""
    mlflow = _mlflow()
    with _told(), tempfile.TemporaryDirectory() as scratch:
        client, folders = mlflow.MlflowClient(), {path.rpartition("/")[0] for path in paths}
        there = {item.path for folder in folders for item in client.list_artifacts(run_id, folder or None)}
        return {
            path: Path(client.download_artifacts(run_id, path, scratch)).read_bytes() for path in paths if path in there
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


def ui_page(port: int) -> str:
    """The page with the table of the newest experiment's runs; MLflow's own start page is about language models."""
    mlflow = _mlflow()
    with _told():
        newest = mlflow.search_experiments(max_results=1, order_by=["last_update_time DESC"])
    path = f"experiments/{newest[0].experiment_id}/runs" if newest else "experiments"
    view = f"&viewStateShareKey={_VIEW}" if newest and f"mlflow.sharedViewState.{_VIEW}" in newest[0].tags else ""
    place = store_uri().rstrip("/") if is_remote(store_uri()) else f"http://127.0.0.1:{port}"
    return f"{place}/#/{path}?workflowType=machine_learning{view}"


def ui_command(port: int) -> list[str]:
    """The command that serves the MLflow UI over the store, on this machine only.

    One worker is enough for one reader; MLflow's processes for jobs, which are about language models, are left out.
    """
    import sys

    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    return [
        sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store_uri(),
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
