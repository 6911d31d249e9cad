"""A warm start: a training that begins with the weights of an earlier one.

They are kept beside the checkpoints, so that a training that is resumed begins with them, too.
"""

from pathlib import Path

import safetensors.torch
import torch

from forecaster.models.base import Forecaster

_FILE = "start.safetensors"


def keep(earlier: Forecaster, checkpoints: Path) -> None:
    """Keep the weights of an earlier model for the trainings with these checkpoints."""
    weights = {name: each.detach().cpu().contiguous() for name, each in earlier.named_parameters()}
    safetensors.torch.save_file(weights, checkpoints / _FILE)


def is_warm(checkpoints: Path) -> bool:
    """Whether weights are kept."""
    return (checkpoints / _FILE).is_file()


def start(model: Forecaster, checkpoints: Path) -> bool:
    """Begin with the weights that are kept; False, and nothing changes, if they do not fit.

    What a model has besides weights is measured on its own data.
    """
    weights = safetensors.torch.load_file(checkpoints / _FILE)
    own = dict(model.named_parameters())
    if {name: each.shape for name, each in own.items()} != {
        name: each.shape for name, each in weights.items()
    }:
        return False
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])
    return True
