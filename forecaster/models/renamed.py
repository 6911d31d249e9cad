"""Weights of models saved before a part of them was moved."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn


def rename_saved(module: nn.Module, names: Mapping[str, str]) -> None:
    """Load what was saved as ``names``' keys, relative to ``module``, into its values: a tensor, or
    a module with all that is in it.
    """
    module.register_load_state_dict_pre_hook(partial(_rename, dict(names)))


def _rename(
    names: Mapping[str, str], module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any
) -> None:
    for old, new in names.items():
        for key in [k for k in state if k == prefix + old or k.startswith(f"{prefix}{old}.")]:
            state[prefix + new + key[len(prefix + old) :]] = state.pop(key)
