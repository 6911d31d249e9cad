"""The roles of a file's columns: time, item and values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.numbers import is_text
from forecaster.data.reading import RawTable
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

_ITEM_NAMES = frozenset({"item_id", "item", "id", "series", "series_id", "unique_id"})


@dataclass(frozen=True)
class Layout:
    """The roles of the columns.

    Wide: a time column, and a column a series. Long: ``items``, time and values; the names of a
    series in the ``items`` columns, joined by ``/``, are its item id.
    """

    timestamp: str
    targets: tuple[str, ...]
    items: tuple[str, ...]
    decisions: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``wide`` or ``long``."""
        return "long" if self.items else "wide"


def find_layout(raw: RawTable, columns: Columns) -> Layout:
    """The roles given in ``columns``, the others inferred; raises UserError for ambiguous ones."""
    columns = _resolved(raw, columns)
    decisions: list[str] = []
    timestamp = columns.timestamp or _find_timestamp(raw, columns)
    items = columns.item_id or _find_items(raw, timestamp, columns)
    if items and columns.item_id is None:
        decisions.append(f"column {_listed(items)} names the series")
    rest = [name for name in raw.columns if name not in {timestamp, *items}]
    targets = columns.target or tuple(rest)
    if not targets:
        raise UserError(f"{raw.path}: no value column beside {_listed([timestamp])}; add one")
    if {timestamp, *items} & set(targets):
        raise UserError(
            f"{raw.path}: a column cannot be both a value and the time or the item; check --target"
        )
    if columns.target is not None:
        unused = [name for name in rest if name not in targets]
        if unused:
            decisions.append(f"columns left out: {_listed(unused)}")
    return Layout(timestamp, targets, items, tuple(decisions))


def _resolved(raw: RawTable, columns: Columns) -> Columns:
    """The roles with the names as the file has them; raises UserError for unknown ones."""
    found: dict[str, str | tuple[str, ...]] = {}
    for role in ("target", "item_id"):
        if (given := getattr(columns, role)) is not None:
            found[role] = tuple(_columns_of(raw, given))
    if columns.timestamp is not None:
        (found["timestamp"],) = _columns_of(raw, (columns.timestamp,))
    return columns.model_copy(update=found)


def _columns_of(raw: RawTable, names: tuple[str, ...]) -> Iterator[str]:
    """The columns named; a name that has a comma arrives in several parts."""
    known = {_tight(name): name for name in raw.columns}
    start = 0
    while start < len(names):
        for end in range(len(names), start, -1):
            name = _tight(",".join(names[start:end]))
            if name in known:
                yield known[name]
                break
        else:
            raise UserError(
                f"{raw.path}: no column '{names[start]}'; the columns are {_listed(raw.columns)}"
            )
        start = end


def _tight(name: str) -> str:
    """A name without blanks around its commas."""
    return re.sub(r"\s*,\s*", ",", name.strip())


def _listed(names: object) -> str:
    return ", ".join(f"'{name}'" for name in names)  # type: ignore[attr-defined]


def _find_timestamp(raw: RawTable, columns: Columns) -> str:
    taken = {*(columns.item_id or ()), *(columns.target or ())}
    candidates = [
        name
        for name, column in raw.columns.items()
        if name not in taken and looks_like_time(name, column, columns)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise UserError(
            f"{raw.path}: no column holds times (columns: {_listed(raw.columns)}); name it with "
            "--timestamp"
        )
    raise UserError(
        f"{raw.path}: {_listed(candidates)} could each be the time; choose with --timestamp"
    )


def _repeats(column: Column) -> bool:
    return (
        column.repeats() if isinstance(column, Text) else bool(pd.Index(column).duplicated().any())
    )


def _find_items(raw: RawTable, timestamp: str, columns: Columns) -> tuple[str, ...]:
    """The column that names the series: by its name, or the only text column if times repeat."""
    candidates: list[tuple[str, Literal["name", "text"]]] = []
    for name, column in raw.columns.items():
        if name == timestamp or name in (columns.target or ()):
            continue
        if name.lower() in _ITEM_NAMES:
            candidates.append((name, "name"))
        elif is_text(column):
            candidates.append((name, "text"))
    repeats = bool(candidates) and _repeats(raw.columns[timestamp])
    by_name = [name for name, how in candidates if how == "name"]
    texts = [name for name, how in candidates if how == "text"]
    if len(by_name) == 1 and (repeats or is_text(raw.columns[by_name[0]])):
        return (by_name[0],)
    if len(texts) == 1 and repeats:
        return (texts[0],)
    return ()
