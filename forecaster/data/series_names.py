"""The names of a long file's series, from the columns that name them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.cells import Column, Text
from forecaster.data.reading import RawTable
from forecaster.errors import UserError


def groups_of(raw: RawTable, items: Sequence[str]) -> tuple[NDArray[np.int64], list[str | None]]:
    """The number of each row's series, and the series' names in the order of the file.

    ``items``: the columns that name the series, none in a wide file.
    """
    if not items:
        return np.zeros(len(raw.places), np.int64), [None]
    texts = [_as_text(raw.columns[column]) for column in items]
    groups = np.zeros(len(raw.places), np.int64)
    for text in texts:
        distinct, _, rows = text.distinct()
        groups, _ = pd.factorize(groups * len(distinct) + rows)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(groups), prepend=-1))
    names = ["/".join(part for text in texts if (part := text[row])) for row in first]
    if "" in names:
        place = raw.where(int(first[names.index("")]), items[0])
        raise UserError(f"{place}: the item has no name; fill it in or remove the row")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise UserError(f"{raw.path}: two series would both be called '{twice}'; rename an item")
    return groups.astype(np.int64), [*names]


def _as_text(column: Column) -> Text:
    """The names in an item column, whole numbers with all of their digits."""
    if isinstance(column, Text):
        return column
    if isinstance(column, np.ndarray):
        return Text.of(map(_number_name, column))
    return Text.of(str(value) for value in column)


def _number_name(value: float) -> str:
    if not np.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))
