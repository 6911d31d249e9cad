"""Tracking targets of workflows: the tracking store, or none."""

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
from forecaster.tracking import store, trained


class Run(Protocol):
    """A run to log to; see ``tracking.run.Run``. ``run_id`` is '' without tracking."""

    run_id: str

    def save_unsent_beside(self, folder: Path) -> None:
        """Save what cannot be logged beside ``folder``."""

    def available(self) -> bool:
        """Whether what is logged now arrives."""

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
        """Log the data of the run."""

    def folder(self, path: Path, name: str) -> None:
        """Log a folder's files under ``name``."""


class Tracker(Protocol):
    """Opens runs, and determines the folders of checkpoints and models."""

    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> AbstractContextManager[Run]:
        """A new run, or ``run_id`` resumed; a child of ``parent`` if given."""

    def check(self) -> None:
        """Raise UserError early if the target cannot be written."""

    def model_folder(self, run_id: str) -> Path:
        """The default folder of a run's model."""

    def remember(self, run_id: str, folder: Path) -> None:
        """Note where a run's model was saved, so that it is found by its run."""

    def checkpoints(self, run_id: str) -> AbstractContextManager[Path]:
        """The folder of a training's checkpoints, locked, and removed after success."""

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        """Log the files that ``write`` writes into the folder it is called with."""

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        """Log a saved model with the active run, and return its id; None without tracking."""


class Store:
    """The tracking store, the target of the command line."""

    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> AbstractContextManager[Run]:
        return tracking.open_run(experiment, name, run_id, parent)

    def check(self) -> None:
        for folder in (store.MODELS, store.CHECKPOINTS):
            check_folder(folder)

    def model_folder(self, run_id: str) -> Path:
        return store.MODELS / run_id

    def remember(self, run_id: str, folder: Path) -> None:
        trained.remember(run_id, folder)

    @contextmanager
    def checkpoints(self, run_id: str) -> Iterator[Path]:
        folder = store.CHECKPOINTS / run_id
        folder.mkdir(exist_ok=True)
        refusal = (
            f"run {run_id}: another process is training it; wait for its end, or stop it first"
        )
        with exclusive_lock(folder / "lock", refusal):
            yield folder
            shutil.rmtree(folder)

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            run.folder(Path(folder), "")

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        return registry.log_model(saved, table)


class NoRun:
    """A run that logs nothing."""

    run_id = ""

    def save_unsent_beside(self, folder: Path) -> None:
        pass

    def available(self) -> bool:
        return True

    def parameters(self, values: Mapping[str, Any]) -> None:
        pass

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        pass

    def curves(self, values: Mapping[str, Sequence[float]]) -> None:
        pass

    def tags(self, values: Mapping[str, str]) -> None:
        pass

    def dataset(
        self, name: str, digest: str, source: str, columns: Sequence[str], use: str
    ) -> None:
        pass

    def folder(self, path: Path, name: str) -> None:
        pass


class Untracked:
    """No tracking: models are saved in a given folder, checkpoints in a temporary one."""

    @contextmanager
    def open(
        self,
        experiment: str,
        name: str | None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> Iterator[Run]:
        yield NoRun()

    def check(self) -> None:
        pass

    def model_folder(self, run_id: str) -> Path:
        raise ValueError("a training that is not tracked needs an output")

    def remember(self, run_id: str, folder: Path) -> None:
        pass

    @contextmanager
    def checkpoints(self, run_id: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def log_files(self, run: Run, write: Callable[[Path], object]) -> None:
        pass

    def log_model(self, saved: SavedModel, table: Table) -> str | None:
        return None


STORE: Tracker = Store()
UNTRACKED: Tracker = Untracked()


def tracker_of(tracking: bool) -> Tracker:
    """The store if ``tracking``, else no target."""
    return STORE if tracking else UNTRACKED
