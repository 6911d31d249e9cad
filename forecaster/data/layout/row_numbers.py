"""Columns that number a file's rows, which are no series."""

import re

import numpy as np
from numpy.typing import NDArray

_NAMED = re.compile(
    r"(?:unnamed: \d+(?:\.\d+)*|level_\d+|_?index_?|idx|rn|"
    r"row_?(?:num(?:ber)?s?|names?|id|no|nr)?|"
    r"(?:s|sr|sl|lfd|ser(?:ial)?)?[ ._]*n(?:o|r|um|umber|ummer)\b\.?|#|n°|"
    r"_?id|obs(?:ervation)?s?|rec(?:ord)?(?:_?(?:id|no|nr|num|number))?|"
    r"instant|seq(?:uence)?|objectid|fid|gid)",
    re.IGNORECASE,
)
_WRITTEN = re.compile(r"(?:unnamed: \d+(?:\.\d+)*|level_\d+)", re.IGNORECASE)


def could_number(name: str, is_first: bool) -> bool:
    """Whether a column of this name and place may be a row number."""
    return is_first or _NAMED.fullmatch(name.strip()) is not None


def numbers_rows(
    name: str, values: NDArray[np.float64], items: NDArray[np.int64], is_first: bool
) -> bool:
    """Whether a column is the number of the row, by its values (n,) and its name or first place.

    It rises or falls by one from row to row, of the file or of each item: ``items`` (n,). A column
    named as libraries name an index may also have been sorted or thinned out.
    """
    if len(values) < 2 or not np.isfinite(values).all() or (values % 1).any():
        return False
    if _WRITTEN.fullmatch(name) and _differs(values, items):
        return True
    if not could_number(name, is_first):
        return False
    order = np.argsort(items, kind="stable")
    within = np.diff(items[order]) == 0
    return _by_one(np.diff(values)) or bool(
        within.any() and _by_one(np.diff(values[order])[within])
    )


def _by_one(steps: NDArray[np.float64]) -> bool:
    return bool((steps == 1).all() or (steps == -1).all())


def _differs(values: NDArray[np.float64], items: NDArray[np.int64]) -> bool:
    """Whether no item has a value twice."""
    pairs = np.stack([items.astype(np.float64), values])
    return np.unique(pairs, axis=1).shape[1] == len(values)
