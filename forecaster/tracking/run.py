"""A tracked run: what is logged to it, and how it is logged later if the store is unavailable."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forecaster.errors import UserError
from forecaster.tracking import store
from forecaster.tracking.retry_queue import (
    ANSWER_SECONDS,
    RetryQueue,
    queued,
    read_unsent,
    transaction,
)
from forecaster.tracking.store import (
    as_user_error,
    connect,
    errors,
    make_experiment,
    patiently,
    store_uri,
    unreachable,
)

_LAST_SECONDS = 5.0  # for a server that has failed to learn that a run has ended


class Run(RetryQueue):
    """An open run. What the store does not accept is retried, and at the end saved in a folder.

    The names of its queued methods stand in the saved folders; renaming one makes those unreadable.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        super().__init__(store_uri(), store.HOME / "unlogged" / run_id, errors())
        self._client, self.run_id = client, run_id

    def save_unsent_beside(self, folder: Path) -> None:
        """Use ``FOLDER.unlogged`` for unsent entries; those that this run saved there are sent."""
        self.unsent_folder = folder.with_name(folder.name + ".unlogged")
        if self.unsent_folder.is_dir():
            metadata, writes = read_unsent(self.unsent_folder, Run)
            self.pending += writes if metadata["run_id"] == self.run_id else []
            self.flush()

    def reachable(self) -> bool:
        return unreachable(self.store) is None

    def close(self, status: str) -> None:
        """End the run with an MLflow status: FINISHED, FAILED or KILLED.

        A run that was interrupted does not try again what a server has kept it waiting for.
        """
        if not (status == "KILLED" and self.failing):
            self.flush()
        try:
            with transaction(self.store, _LAST_SECONDS if self.failing else ANSWER_SECONDS):
                self._client.end_run(status)
        except self.transient_errors:
            self.ended(status)
        self.save_unsent({"run_id": self.run_id})

    @queued
    def ended(self, status: str) -> None:
        """Record the run's final status."""
        self._client.MlflowClient().set_terminated(self.run_id, status, self.at)

    @queued
    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log flat parameters."""
        self._client.log_params(
            {key: str(value)[:500] for key, value in values.items()}, run_id=self.run_id
        )

    @queued
    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, of an epoch or final."""
        self._client.log_metrics(dict(values), step=step, run_id=self.run_id, timestamp=self.at)

    @queued
    def curves(self, values: Mapping[str, Sequence[float]]) -> None:
        """Log each list as a metric of the steps 1, 2, …; non-finite values are skipped."""
        entities = self._client.entities
        points = [
            entities.Metric(name, float(value), self.at, step)
            for name, curve in values.items()
            for step, value in enumerate(curve, start=1)
            if math.isfinite(value)
        ]
        for begin in range(0, len(points), 1000):  # as many as one request may hold
            self._client.MlflowClient().log_batch(self.run_id, metrics=points[begin : begin + 1000])

    @queued
    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the run."""
        for key, value in values.items():
            self._client.MlflowClient().set_tag(self.run_id, key, value)

    @queued
    def dataset(
        self, name: str, digest: str, source: str, columns: Sequence[str], use: str
    ) -> None:
        """Log the data set of the run: its name, digest, source and columns, but no values.

        ``use``: MLflow's context of it, such as ``training``.
        """
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.data.sources import HTTPDatasetSource, LocalArtifactDatasetSource
        from mlflow.types import ColSpec, Schema

        kind = (
            HTTPDatasetSource
            if source.startswith(("http://", "https://"))
            else LocalArtifactDatasetSource
        )
        schema = Schema([ColSpec("double", column) for column in columns])
        short = digest[:12]  # MLflow stores 36 characters at most, and displays them all
        self._client.log_input(MetaDataset(kind(source), name, short, schema), context=use)

    @queued
    def folder(self, path: Path, name: str) -> None:
        """Log a folder's files as artifacts under the path ``name``."""
        self._client.MlflowClient().log_artifacts(self.run_id, str(path), name)

    @queued
    def file(self, path: Path, name: str = "") -> None:
        """Log a file as an artifact, in the folder ``name`` of the artifacts."""
        self._client.MlflowClient().log_artifact(self.run_id, str(path), name or None)


@contextmanager
def open_run(
    experiment: str, name: str | None, run_id: str | None = None, parent: str | None = None
) -> Iterator[Run]:
    """Start a run, or continue ``run_id``.

    It ends FINISHED, FAILED on an error, KILLED on an interrupt. ``parent``: the id of the run that
    it is a part of, such as a benchmark's. CPU, memory and GPU usage are logged every half minute
    as ``system/…``.
    """
    mlflow = patiently(connect)
    local = store_uri().startswith("sqlite:")
    artifacts = (store.HOME / "artifacts").as_uri() if local else None

    def start() -> None:
        with transaction(store_uri()):
            make_experiment(mlflow, experiment, artifacts)
            mlflow.set_experiment(experiment)
            mlflow.start_run(
                run_id=run_id,
                run_name=name,
                nested=True,
                parent_run_id=parent,
                log_system_metrics=True,
            )

    with as_user_error():
        patiently(start)
    status, run = "FAILED", Run(mlflow, mlflow.active_run().info.run_id)
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.close(status)


def log_unsent(folder: Path) -> str:
    """Log the entries that a run saved as unsent and remove their folder; returns the run's id."""
    metadata, writes = read_unsent(folder, Run)
    run = Run(connect(), metadata["run_id"])
    run.unsent_folder, run.pending = folder.resolve(), writes
    run.flush()
    if run.pending:
        raise UserError(
            f"{folder}: {len(run.pending)} entries could not be logged; the folder is unchanged, "
            "try again later"
        )
    run.save_unsent(metadata)
    return run.run_id
