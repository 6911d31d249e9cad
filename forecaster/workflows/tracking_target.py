"""Where a workflow's runs and models go: to the tracking store, or nowhere."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from forecaster.data.tables import Table
from forecaster.inference.saved_model import SavedModel
from forecaster.io.atomic import check_folder, exclusive_lock
from forecaster.serving import registry
from forecaster.tracking import run as tracking
from forecaster.tracking import store


class Run(Protocol):
    """What a workflow tells of itself; see ``tracking.run.Run``. ``run_id`` is '' where there is
    no store.
    """

    run_id: str

    def save_unsent_beside(self, folder: Path) -> None:
        """What cannot be logged is left beside ``folder``."""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log flat parameters."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, of an epoch or final."""

    def curves(self, values: Mapping[str, Sequence[float]]) -> None:
        """Log each list as a metric of the steps 1, 2, …."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""

    def dataset(
        self, name: str, digest: str, source: str, columns: Sequence[str], use: str
    ) -> None:
        """Log which data the run works on."""

    def folder(self, path: Path, name: str) -> None:
        """Log a folder's files under ``name``."""


class Tracker(Protocol):
    """Opens runs, and has a place for what a training leaves while it goes on and at its end."""

    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> AbstractContextManager[Run]:
        """A new run, or ``run_id`` again; as a part of ``parent`` if there is one."""

    def check(self) -> None:
        """Refuse, before any work is done, a place that cannot be written."""

    def model_folder(self, run_id: str) -> Path:
        """Where a run's model is saved if no other place is named."""

    def checkpoints(self, run_id: str) -> AbstractContextManager[Path]:
        """The folder of a training's checkpoints, for one process at a time; removed once the
        training has ended well.
        """

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        """Log the files and folders that ``write`` puts into the folder it is given."""

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        """Log a saved model with the open run; its id, None where models are not logged."""


class Store:
    """The tracking store, as the command line uses it."""

    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> AbstractContextManager[Run]:
        """A run of MLflow."""
        return tracking.open_run(experiment, name, run_id, parent)

    def check(self) -> None:
        """The folders of models and checkpoints."""
        for folder in (store.MODELS, store.CHECKPOINTS):
            check_folder(folder)

    def model_folder(self, run_id: str) -> Path:
        """Beside the store."""
        return store.MODELS / run_id

    @contextmanager
    def checkpoints(self, run_id: str) -> Iterator[Path]:
        """Beside the store, where an interrupted training is found again."""
        folder = store.CHECKPOINTS / run_id
        folder.mkdir(exist_ok=True)
        refusal = (
            f"run {run_id}: another process is training it; wait for its end, or stop it first"
        )
        with exclusive_lock(folder / "lock", refusal):
            yield folder
            shutil.rmtree(folder)

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        """As artifacts under the names that they have there."""
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            run.folder(Path(folder), "")

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        """A logged model, that can be registered and served."""
        return registry.log_model(saved, table)


class NoRun:
    """A run that logs nothing."""

    run_id = ""

    def save_unsent_beside(self, folder: Path) -> None:
        """Nothing is left."""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log nothing."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log nothing."""

    def curves(self, values: Mapping[str, Sequence[float]]) -> None:
        """Log nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set none."""

    def dataset(
        self, name: str, digest: str, source: str, columns: Sequence[str], use: str
    ) -> None:
        """Log nothing."""

    def folder(self, path: Path, name: str) -> None:
        """Log nothing."""


class Untracked:
    """No store: a model is saved where the caller says, checkpoints lie in a temporary folder."""

    @contextmanager
    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> Iterator[Run]:
        """A run that logs nothing."""
        yield NoRun()

    def check(self) -> None:
        """There is no place of its own."""

    def model_folder(self, run_id: str) -> Path:
        """There is none: the caller names one."""
        raise ValueError("a training that is not tracked needs an output")

    @contextmanager
    def checkpoints(self, run_id: str) -> Iterator[Path]:
        """Removed at the end."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        """They are not even made."""

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        """Log nothing."""
        return None


STORE: Tracker = Store()
UNTRACKED: Tracker = Untracked()


def tracker_of(tracking: bool) -> Tracker:
    """The store, or none."""
    return STORE if tracking else UNTRACKED
