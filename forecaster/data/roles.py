"""The roles of a file's columns: time, item and values."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.reading import RawTable, is_text
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

_ITEM_NAMES = frozenset({"item_id", "item", "id", "series", "series_id", "unique_id"})


@dataclass(frozen=True)
class Layout:
    """The roles of the columns.

    Wide: a time column, and a column a series. Long: item, time and values; ``item_id`` is None in
    a wide file.
    """

    timestamp: str
    targets: tuple[str, ...]
    item_id: str | None
    decisions: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``wide`` or ``long``."""
        return "wide" if self.item_id is None else "long"


def find_layout(raw: RawTable, columns: Columns) -> Layout:
    """The roles given in ``columns``, the others inferred; raises UserError for ambiguous ones."""
    named = [columns.timestamp, columns.item_id, *(columns.target or ())]
    for name in named:
        if name is not None and name not in raw.columns:
            raise UserError(
                f"{raw.path}: no column '{name}'; the columns are {_listed(raw.columns)}"
            )
    decisions: list[str] = []
    timestamp = columns.timestamp or _find_timestamp(raw, columns)
    item_id = columns.item_id or _find_item(raw, timestamp, columns)
    if item_id is not None and columns.item_id is None:
        decisions.append(f"column '{item_id}' names the series")
    rest = [name for name in raw.columns if name not in {timestamp, item_id}]
    targets = tuple(columns.target) if columns.target else tuple(rest)
    if not targets:
        raise UserError(f"{raw.path}: no value column beside {_listed([timestamp])}; add one")
    if {timestamp, item_id} & set(targets):
        raise UserError(
            f"{raw.path}: a column cannot be both a value and the time or the item; check --target"
        )
    if columns.target is not None:
        unused = [name for name in rest if name not in targets]
        if unused:
            decisions.append(f"columns left out: {_listed(unused)}")
    return Layout(timestamp, targets, item_id, tuple(decisions))


def _listed(names: object) -> str:
    return ", ".join(f"'{name}'" for name in names)  # type: ignore[attr-defined]


def _find_timestamp(raw: RawTable, columns: Columns) -> str:
    taken = {columns.item_id, *(columns.target or ())}
    candidates = [
        name
        for name, column in raw.columns.items()
        if name not in taken and looks_like_time(name, column)
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


def _find_item(raw: RawTable, timestamp: str, columns: Columns) -> str | None:
    """The column that names the series: by its name, or the only text column if times repeat."""
    candidates: list[tuple[str, Literal["name", "text"]]] = []
    for name, column in raw.columns.items():
        if name == timestamp or name in (columns.target or ()):
            continue
        if name.lower() in _ITEM_NAMES:
            candidates.append((name, "name"))
        elif is_text(column, raw.decimal):
            candidates.append((name, "text"))
    repeats = bool(pd.Index(raw.columns[timestamp]).duplicated().any())
    by_name = [name for name, how in candidates if how == "name"]
    texts = [name for name, how in candidates if how == "text"]
    if len(by_name) == 1 and (repeats or is_text(raw.columns[by_name[0]], raw.decimal)):
        return by_name[0]
    if len(texts) == 1 and repeats:
        return texts[0]
    return None
