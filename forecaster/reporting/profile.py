"""What ``check`` found, as short tables and lines: many columns and series are summarised."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

HEAD = ("column", "role", "holds", "min", "median", "max", "missing", "why")
_ROWS = 12  # of value columns, and of all others
_LINES = 4  # of one kind
_WIDEST = 40
# facts that the table of columns tells, and what is said elsewhere
_ELSEWHERE = (
    "commands",
    "of_several",
    "columns",
    "time column",
    "value columns",
    "horizon",
    "lookback",
)
_LAST = ("refused",)


def column_table(columns: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row a column, in the order of the file; of many value columns the first, and a summary."""
    values = [each for each in columns if each["role"] == "value"]
    others = [each for each in columns if each["role"] != "value"]
    shown = {each["name"] for each in [*values[:_ROWS], *others[:_ROWS]]}
    rows = [_row(each) for each in columns if each["name"] in shown]
    return [*rows, *_rest("value", values[_ROWS:]), *_rest("", others[_ROWS:])]


def _row(column: Mapping[str, Any]) -> list[str]:
    holds, why = column["holds"], column["why"]
    if column["distinct"] is not None:
        holds = f"{column['distinct']} texts" if column["distinct"] > 1 else "one text"
    numbers = [_number(column[key]) for key in ("minimum", "median", "maximum")]
    return [_short(column["name"]), column["role"], holds, *numbers, _share(column["missing"]), why]


def _rest(role: str, columns: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One row for columns that are not shown."""
    if not columns:
        return []
    low = [c["minimum"] for c in columns if isinstance(c["minimum"], float)]
    high = [c["maximum"] for c in columns if isinstance(c["maximum"], float)]
    ends = [_number(min(low)), "", _number(max(high))] if low and high else ["", "", ""]
    most = max(c["missing"] for c in columns)
    at_most = f"≤ {_share(most)}" if most else _share(most)
    return [[f"… {len(columns)} more", role, "", *ends, at_most, ""]]


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def _share(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def lines_of(outcome: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts, decisions and plans as name and text; the refusal is the last."""
    ordered = [key for key in outcome if key not in (*_ELSEWHERE, *_LAST)]
    found = []
    for key in [*ordered, *_LAST]:
        value = outcome[key]
        if key == "seasons" or value is None:
            continue
        if isinstance(value, Mapping):
            value = [f"{name}: {text}" for name, text in value.items()]
        texts = collapsed(value) if isinstance(value, list) else [str(value)]
        found += [(key, text) for text in texts]
    return found


def collapsed(lines: Sequence[object]) -> list[str]:
    """The lines, of those that differ in names and numbers alone the first few and their number."""
    kinds: dict[str, list[str]] = {}
    for line in map(str, lines):
        kinds.setdefault(re.sub(r"'[^']*'|[\d.]+|^[^:]+(?=: \d)", "#", line), []).append(line)
    found = []
    for alike in kinds.values():
        more = len(alike) - _LINES
        found += alike if more <= 1 else [*alike[:_LINES], f"… and {more} more like these"]
    return found
