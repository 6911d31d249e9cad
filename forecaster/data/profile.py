"""What the columns of a file hold: their range, their missing cells, and suspected codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.missing import Codes, Suspect, suspected_codes
from forecaster.data.numbers import numbers
from forecaster.data.reading import RawTable
from forecaster.data.report import Role
from forecaster.errors import UserError

_UNKNOWN = Role("", "")


@dataclass(frozen=True)
class ColumnProfile:
    """A column: its role, what it holds (numbers, times, text or nothing), and its range.

    ``missing``: the share of cells without a value, 0…1; ``distinct``: of text, the number of
    different texts; ``suspects``: numbers that may stand for missing values; ``usual``: the range
    without them.
    """

    name: str
    role: str
    why: str
    holds: str
    minimum: float | str | None = None
    median: float | None = None
    maximum: float | str | None = None
    missing: float = 0.0
    distinct: int | None = None
    suspects: tuple[Suspect, ...] = ()
    usual: tuple[float, float] | None = None


def profile_columns(
    raw: RawTable,
    columns: Columns,
    roles: Mapping[str, Role],
    values: Mapping[str, NDArray[np.float64]],
    times: Mapping[str, tuple[str, str]],
) -> list[ColumnProfile]:
    """A profile of each column.

    ``values`` (n,) of columns that are read already; ``times``: the first and last of others.
    """
    codes, found = Codes(columns.missing or ()), []
    for name, column in raw.columns.items():
        role = roles.get(name, _UNKNOWN)
        make = partial(ColumnProfile, name, role.role, role.why)
        if name in times:
            first, last = times[name]
            found.append(make("times", first, None, last))
        elif isinstance(column, pd.DatetimeIndex):
            first, last = str(column.min()), str(column.max())
            found.append(make("times", first, None, last, float(np.mean(column.isna()))))
        else:
            read = values[name] if name in values else _as_numbers(raw, name, columns)
            if read is not None:
                found.append(_of_numbers(make, read, _suspects(role, read)))
            elif isinstance(column, Text):
                missing = float(np.mean(codes.any(column.arrow).to_numpy()))
                distinct = pc.count_distinct(column.arrow).as_py()
                found.append(make("text", missing=missing, distinct=distinct))
    return found


def _suspects(role: Role, values: NDArray[np.float64]) -> tuple[Suspect, ...]:
    """Of a value column; of one whose role is not known those that programs write."""
    if role.role not in {"value", _UNKNOWN.role}:
        return ()
    found = suspected_codes(values)
    return tuple(each for each in found if each.is_usual or role.role == "value")


def _of_numbers(
    make: partial[ColumnProfile], values: NDArray[np.float64], suspects: tuple[Suspect, ...]
) -> ColumnProfile:
    given = values[~np.isnan(values)]
    if not len(given):
        return make("nothing", missing=1.0)
    others = given[~np.isin(given, [suspect.value for suspect in suspects])]
    return make(
        "numbers",
        float(given.min()),
        float(np.median(given)),
        float(given.max()),
        1 - len(given) / len(values),
        suspects=suspects,
        usual=(float(others.min()), float(others.max())) if suspects else None,
    )


def _as_numbers(raw: RawTable, name: str, columns: Columns) -> NDArray[np.float64] | None:
    """A column that is no value column as numbers; None if it is none of numbers."""
    try:
        read: NDArray[np.float64] = numbers(raw, [name], columns).values[:, 0]
    except UserError:
        return None
    return read


def codes_to_name(found: list[ColumnProfile]) -> list[str]:
    """The suspected codes that programs are known to write, and that no column has as a value."""
    values = [each for each in found if each.role == "value" and each.minimum is not None]
    usual = {s.value for each in values for s in each.suspects if s.is_usual}
    named = []
    for code in sorted(usual):
        meant = [each for each in values if code not in {s.value for s in each.suspects}]
        if not any(each.holds == "numbers" and _within(each, code) for each in meant):
            named.append(f"{code:.15g}")
    return named


def _within(column: ColumnProfile, code: float) -> bool:
    low, high = column.usual or (column.minimum, column.maximum)
    return isinstance(low, float) and isinstance(high, float) and low <= code <= high
