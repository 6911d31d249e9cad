"""The job file beside a training's checkpoints, by which it can be resumed."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forecaster.config.sections import Section, nearest
from forecaster.errors import UserError
from forecaster.tracking import store
from forecaster.tracking.references import SHORTEST, short
from forecaster.workflows.tracking_target import Tracker

FILE = "job.json"
_SHOWN = 5  # trainings that a message names


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
    """The interrupted training that is meant by a run's name, its id or the first characters of
    that, ``runs:/ID``, a checkpoint folder, or ``latest``; of several of one name the newest.
    """
    paths = sorted(store.CHECKPOINTS.glob(f"*/{FILE}"), key=lambda p: p.stat().st_mtime)
    if not paths:
        raise UserError(f"--resume {reference}: no interrupted training; see: runs list")
    if reference == "latest":
        return _read(paths[-1])
    folder = Path(reference).resolve()
    name = reference.removeprefix("runs:/").split("/")[0]
    for path in paths:
        if path.parent == folder or path.parent.name == name:
            return _read(path)
    jobs = [_read(path) for path in paths]
    found = [job for job in jobs if job.run_name == reference][-1:]
    found = found or [job for job in jobs if len(name) >= SHORTEST and job.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = [text for job in jobs for text in (short(job.run_id), job.run_name or "")]
    there = ", ".join(f"{short(job.run_id)} ('{job.run_name}')" for job in jobs[::-1][:_SHOWN])
    fault = f"{len(found)} begin so" if found else f"no such one{nearest(reference, known)}"
    raise UserError(
        f"--resume {reference}: of the interrupted trainings {fault}; there are {there}"
    )


def _read(path: Path) -> Job:
    try:
        return Job.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise UserError(f"{path}: damaged; train anew") from error
