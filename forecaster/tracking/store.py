"""The tracking store: connection to MLflow, and its UI."""

import json
import logging
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from forecaster.config import paths
from forecaster.errors import UserError
from forecaster.io.atomic import check_folder
from forecaster.tracking.retry_queue import is_remote, notify, reason_of

# the folder of the store, the saved models and the checkpoints
HOME = paths.HOME
MODELS = HOME / "models"
CHECKPOINTS = HOME / "checkpoints"
# the name of the table view that the UI opens, and the tag of an experiment that holds it
_VIEW = "metrics"
_VIEW_TAG = f"mlflow.sharedViewState.{_VIEW}"
# by what a database says
_REMEDIES = {
    "is locked": "wait for the process that holds it, or end that",
    "is full": "free some space",
}
_PATIENCE = 5  # seconds for a server to answer
_HEALTH_BYTES = 1000  # more than a server says of its health
_LOCKED = 120.0  # seconds for another program to unlock a local store

Result = TypeVar("Result")


def store_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or the SQLite store of this project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{HOME / 'mlflow.db'}"


def connect() -> Any:
    """The mlflow module, connected to the store. Raises UserError for an unreachable server."""
    uri = store_uri()
    reason = unreachable(uri)
    if reason is not None:
        raise UserError(
            f"the tracking server {uri} cannot be reached ({reason}); start it, or unset "
            "MLFLOW_TRACKING_URI to use "
            "the local store"
        )
    # short timeouts: what cannot be logged goes to the retry queue
    for name, value in {"MAX_RETRIES": "1", "BACKOFF_FACTOR": "1", "TIMEOUT": "20"}.items():
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    # mlflow installs its own handlers while it is imported, so quieten afterwards
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # standard output is for results
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # in seconds, so that short runs log none
    os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "30")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # logs the traceback of what it raises
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    mlflow.set_tracking_uri(uri)
    if uri.startswith("sqlite:///"):
        _create_tables(mlflow, Path(uri.removeprefix("sqlite:///")))
    return mlflow


def _create_tables(mlflow: Any, path: Path) -> None:
    """Create or migrate the tables of a local store, one process at a time."""
    from filelock import FileLock

    check_folder(path.parent)
    with FileLock(f"{path}.lock"), as_user_error():
        mlflow.search_experiments(max_results=1)


def patiently(work: Callable[[], Result]) -> Result:
    """The result of ``work``, which is done again while another program has locked the store."""
    end, told = time.monotonic() + _LOCKED, False
    while True:
        try:
            return work()
        except Exception as error:
            if "database is locked" not in str(error) or time.monotonic() > end:
                raise
        if not told:
            notify(f"note: another program has locked the tracking store {store_uri()}; waiting")
        told = True
        time.sleep(1)


def unreachable(uri: str) -> str | None:
    """Why a server does not answer; None if it does, and for a local store."""
    if not is_remote(uri):
        return None
    answered: list[str | None] = []
    probe = threading.Thread(target=lambda: answered.append(_probe(uri)), daemon=True)
    probe.start()
    probe.join(_PATIENCE)  # of the whole answer: a server may send a byte now and then
    return answered[0] if answered else f"no answer in {_PATIENCE} seconds"


def _probe(uri: str) -> str | None:
    try:
        address = _without_user(uri) + "/health"
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:  # noqa: S310 (http or https)
            answer.read(_HEALTH_BYTES)
    except urllib.error.HTTPError:
        return None  # any answer shows that the server is running
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None


def _without_user(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def errors() -> tuple[type[Exception], ...]:
    """The exceptions of a store that refuses or is unreachable."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, RequestException, SQLAlchemyError, OSError


@contextmanager
def as_user_error() -> Iterator[None]:
    """Turn exceptions of the store into a UserError of one line."""
    try:
        yield
    except errors() as error:
        if getattr(error, "get_http_status_code", lambda: 0)() == 401:
            raise UserError(
                f"the tracking server {store_uri()} does not accept this user and password; set "
                "MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD"
            ) from error
        reason = reason_of(error)
        wrong_name = getattr(error, "error_code", "") in {
            "RESOURCE_DOES_NOT_EXIST",
            "INVALID_PARAMETER_VALUE",
        }
        usual = "correct the name" if wrong_name else "check MLFLOW_TRACKING_URI"
        remedy = next((what for word, what in _REMEDIES.items() if word in reason), usual)
        raise UserError(f"the tracking store {store_uri()} refused: {reason}; {remedy}") from error


def make_experiment(mlflow: Any, name: str, artifacts: str | None) -> None:
    """Create an experiment unless it exists; other processes may do so at the same time."""
    from mlflow.exceptions import MlflowException

    tags, experiment = _experiment_tags(), mlflow.get_experiment_by_name(name)
    if experiment is None:
        try:
            mlflow.create_experiment(name, artifacts, tags)
        except MlflowException:
            if mlflow.get_experiment_by_name(name) is None:
                raise
        return
    # of an experiment that an earlier version made: the columns of this one
    view = tags[_VIEW_TAG]
    if experiment.tags.get(_VIEW_TAG, view) != view:
        mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, _VIEW_TAG, view)


def _experiment_tags() -> dict[str, str]:
    """Tags for MLflow's UI: an experiment of trainings, whose table has columns of metrics."""
    names = ("skill/percent", "test/mase", "test/crps", "test/coverage/90")
    columns = [*(f"metrics.`{name}`" for name in names), "attributes.`Dataset`", "params.`model`"]
    view = {"selectedColumns": columns, "columnOrder": columns}
    return {"mlflow.experimentKind": "custom_model_development", _VIEW_TAG: json.dumps(view)}


def ui_page(port: int) -> str:
    """The URL of the newest experiment's runs; MLflow's start page is about language models."""
    mlflow = connect()
    with as_user_error():
        newest = mlflow.search_experiments(max_results=1, order_by=["last_update_time DESC"])
    path = f"experiments/{newest[0].experiment_id}/runs" if newest else "experiments"
    shown = bool(newest) and _VIEW_TAG in newest[0].tags
    view = f"&viewStateShareKey={_VIEW}" if shown else ""
    local = f"http://127.0.0.1:{port}"
    host = _without_user(store_uri()) if is_remote(store_uri()) else local
    return f"{host}/#/{path}?workflowType=machine_learning{view}"


def ui_command(port: int) -> list[str]:
    """The command that serves the MLflow UI over the store, on this machine only.

    With one worker, and without MLflow's job processes, which are for language models.
    """
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    return [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        store_uri(),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
