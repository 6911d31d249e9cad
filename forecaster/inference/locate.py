"""References to models and runs: find the folder or the run, and load the model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.tracking import query, references, trained

_RUN = "runs:/"
_REGISTERED = "models:/"
_FILES = ("metadata.json", "config.yaml", "weights.safetensors")


class NoRunError(UserError):
    """A reference to a model that has no run."""


def find_model(reference: str) -> Path:
    """The folder of a referenced model.

    A reference is ``latest``, a run's name or the first characters of its id, a folder,
    ``runs:/ID``, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or ``models:/NAME`` for the
    newest version.
    """
    if reference == "latest":
        return _latest()
    if reference.startswith(_REGISTERED):
        return query.download_model(references.find_version(reference).uri)
    folder = query.inner_model(Path(reference))
    if is_model(folder):
        return folder
    name, artifact = _name(reference)
    run = references.find_run(name)
    if run is not None and artifact:
        return query.download_model(f"{_RUN}{run['run_id']}/{artifact}")
    if run is not None:
        return _model_of(run)
    if folder.is_dir():
        return folder  # of which loading says what is missing
    raise references.no_run(reference, _beside(folder), "saved model or run")


def find_run(reference: str) -> dict[str, Any]:
    """The run that a reference means, or whose model it means; see ``find_model``."""
    run_id = _run_id(reference)
    if run_id is not None:
        found = query.runs_beginning(run_id) if run_id.isalnum() else []
        if not found:
            raise NoRunError(f"{reference}: run {run_id} is not in the store; {references.LISTS}")
        return found[0]
    run = references.find_run(_name(reference)[0])
    if run is None:
        raise references.no_run(reference)
    return run


def is_model(folder: Path) -> bool:
    """Whether a folder is that of a saved model, if an incomplete one."""
    return any((folder / name).is_file() for name in _FILES)


def open_model(reference: str, accelerator: str | None, trust_code: bool = False) -> SavedModel:
    """Find and load a saved model onto the requested device; ``trust_code``: see ``load_model``."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("--accelerator gpu: no CUDA device is available here; use cpu or auto")
    device = "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"
    return load_model(find_model(reference), device, trust_code)


def _latest() -> Path:
    folder = trained.newest()
    if folder is None:
        raise UserError("latest: nothing has been trained here yet; train a model first")
    return folder


def _run_id(reference: str) -> str | None:
    """The run of a model's folder, of a registered version, or of the newest training."""
    if reference.startswith(_REGISTERED):
        run_id = references.find_version(reference).run_id
        if run_id is None:
            raise NoRunError(f"{reference}: this version has no run; {references.LISTS}")
        return run_id
    folder = _latest() if reference == "latest" else query.inner_model(Path(reference))
    if not is_model(folder):
        return None
    run_id = trained.run_in(folder)
    if run_id is None:
        raise NoRunError(f"{folder}: trained without tracking, without a run; {references.LISTS}")
    return run_id


def _name(reference: str) -> tuple[str, str]:
    """The name or id in a reference to a run, and the artifact that follows it."""
    if not reference.startswith(_RUN):
        return reference, ""
    name, _, artifact = reference.removeprefix(_RUN).strip("/").partition("/")
    return name, artifact


def _model_of(run: dict[str, Any]) -> Path:
    """The folder of a run's model: on this machine, or else downloaded from the store."""
    run_id, kind = run["run_id"], run["tags"].get("kind", "training")
    folder = trained.folder_of(run_id)
    if folder is not None:
        return folder
    if kind == "evaluation" and "evaluated_run" in run["tags"]:
        of = references.short(run["tags"]["evaluated_run"])
        raise UserError(f"{run['name']}: an evaluation, which has no model; give its training {of}")
    if kind != "training":
        raise UserError(f"{run['name']}: a {kind}, which has no model; {references.LISTS}")
    if run["status"] != "FINISHED":
        raise UserError(
            f"{run['name']}: this training did not finish ({run['status']}), so it has no model; "
            f"go on with it: train --resume {references.short(run_id)}"
        )
    return query.download_model(f"{_RUN}{run_id}/model")


def _beside(folder: Path) -> Iterator[str]:
    """The saved models in the folder that a missing one was looked for in."""
    if folder.parent.is_dir():
        yield from (str(path) for path in sorted(folder.parent.iterdir()) if is_model(path))
