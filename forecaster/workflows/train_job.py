"""The job file beside a training's checkpoints, by which it can be resumed."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forecaster.config.sections import Section
from forecaster.errors import UserError
from forecaster.tracking import store
from forecaster.workflows.tracking_target import Tracker

FILE = "job.json"


class Job(Section):
    """The options and the run of a training, stored so that it can be resumed.

    ``time_limit``: in seconds; ``asked``: see ``TrainOptions``.
    ``config`` is as it was settled by the data, with the ``decisions`` that this took.
    """

    config: dict[str, Any]
    digest: str
    decisions: tuple[str, ...] = ()
    experiment: str
    run_name: str | None
    run_id: str
    output: str | None
    registered_name: str | None = None
    time_limit: float | None = None
    asked: tuple[str, ...] = ()

    def folder(self, tracker: Tracker) -> Path:
        """The folder of the saved model."""
        return Path(self.output) if self.output else tracker.model_folder(self.run_id)


def find_job(reference: str) -> Job:
    """The job of a run id, ``runs:/ID``, a checkpoint folder, or ``latest``."""
    jobs = sorted(store.CHECKPOINTS.glob(f"*/{FILE}"), key=lambda p: p.stat().st_mtime)
    if reference == "latest":
        if not jobs:
            raise UserError(
                "--resume latest: no interrupted training; give the id of a run that did not end"
            )
        path = jobs[-1]
    else:
        name = reference.removeprefix("runs:/").split("/")[0]
        path = next(
            (p for p in jobs if p.parent.name == name or p.parent == Path(reference).resolve()),
            Path(),
        )
    if not path.is_file():
        raise UserError(
            f"--resume {reference}: no interrupted training of that name; see {store.CHECKPOINTS}"
        )
    try:
        return Job.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise UserError(f"{path}: damaged; train anew") from error
