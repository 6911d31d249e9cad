"""The models that were trained on this machine, by their runs.

A model is in the folder of its run in the store, or where ``--output`` put it: then a file in the
store says where.
"""

import json
from pathlib import Path

from forecaster.tracking import store

_RECORD = "metadata.json"


def remember(run_id: str, folder: Path) -> None:
    """Note where the model of a run was saved."""
    if folder != store.MODELS / run_id:
        _note(run_id).write_text(str(folder.resolve()), encoding="utf-8")


def folder_of(run_id: str) -> Path | None:
    """The folder of a run's model; None if it is not here, or another model took its place."""
    folder, note = store.MODELS / run_id, _note(run_id)
    if not (folder / _RECORD).is_file() and note.is_file():
        folder = Path(note.read_text(encoding="utf-8"))
    return folder if run_in(folder) == run_id else None


def newest() -> Path | None:
    """The folder of the model that was trained last; None without one."""
    noted = (folder_of(note.stem) for note in store.MODELS.glob("*.path"))
    own = (record.parent for record in store.MODELS.glob(f"*/{_RECORD}"))
    found = [*own, *(folder for folder in noted if folder is not None)]
    return max(found, key=lambda folder: (folder / _RECORD).stat().st_mtime, default=None)


def run_in(folder: Path) -> str | None:
    """The run that a saved model is of; None of one without a run, or without a record."""
    try:
        run_id = json.loads((folder / _RECORD).read_text(encoding="utf-8")).get("run_id")
    except (OSError, ValueError, AttributeError):
        return None
    return str(run_id) if run_id else None


def _note(run_id: str) -> Path:
    return store.MODELS / f"{run_id}.path"
