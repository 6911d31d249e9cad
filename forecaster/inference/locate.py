"""References to saved models: find the folder, and load the model."""

from pathlib import Path

import torch

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.tracking import query as runs
from forecaster.tracking import store


def find_model(reference: str) -> Path:
    """The folder of a referenced model.

    A reference is a folder, ``runs:/ID/model``, ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``,
    or ``latest``.
    """
    if reference == "latest":
        folders = sorted(
            store.MODELS.glob("*/metadata.json"), key=lambda path: path.stat().st_mtime
        )
        if not folders:
            raise UserError("--model latest: nothing has been trained yet; train a model first")
        return folders[-1].parent
    if reference.startswith(("runs:/", "models:/")):
        return runs.download_model(reference)
    return runs.inner_model(Path(reference))


def open_model(reference: str, accelerator: str | None, trust_code: bool = False) -> SavedModel:
    """Find and load a saved model onto the requested device; ``trust_code``: see ``load_model``."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("--accelerator gpu: no CUDA device is available here; use cpu or auto")
    device = "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"
    return load_model(find_model(reference), device, trust_code)
