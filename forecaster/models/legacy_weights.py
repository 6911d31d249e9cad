"""Load weights that were saved under former names."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn


def load_legacy_names(module: nn.Module, names: Mapping[str, str]) -> None:
    """Load saved weights under new names: ``names`` maps old to new, relative to ``module``.

    A name is that of a tensor, or of a module with all its tensors.
    """
    module.register_load_state_dict_pre_hook(partial(_rename, dict(names)))


def _rename(
    names: Mapping[str, str], module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any
) -> None:
    for old, new in names.items():
        for key in [k for k in state if k == prefix + old or k.startswith(f"{prefix}{old}.")]:
            state[prefix + new + key[len(prefix + old) :]] = state.pop(key)
