"""Which column is the time."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.files.kinds import is_numeric_time
from forecaster.data.layout.across import words_across
from forecaster.data.layout.codes import Coded, coded
from forecaster.data.layout.words import listed, option, or_without
from forecaster.data.marks import is_number
from forecaster.data.reading import RawTable
from forecaster.data.times.month_names import suggested_locale
from forecaster.data.times.styles import is_half_year
from forecaster.data.timestamps import looks_like_time, parse_stamps
from forecaster.errors import UserError

_WORD_AND_YEAR = re.compile(r"[^\W\d_]{3}.*\d|\d.*[^\W\d_]{3}")  # März 2024, 24-mai

_DAY = len("20240131")


@dataclass(frozen=True)
class TimeColumn:
    """The time column, the columns that follow from it, and what is said of them."""

    name: str
    others: tuple[str, ...]
    decisions: tuple[str, ...]


def find_time(raw: RawTable, columns: Columns) -> TimeColumn:
    """The time column; raises UserError where there is none, or several.

    Of several the one is meant that the others follow from: the start of an interval, a day beside
    its year. Numbers that do not follow the time are values.
    """
    if columns.timestamp is not None:
        return TimeColumn(columns.timestamp, (), ())
    taken = {*(columns.item_id or ()), *(columns.target or ())}
    found = {
        name: column
        for name, column in raw.columns.items()
        if name not in taken and looks_like_time(name, column, columns)
    }
    # beside a time H1 2020 is a name
    found = {name: c for name, c in found.items() if not _holds_half_years(c)} or found
    if not found:
        _check_targets(raw, columns)
        check_language(raw, columns)
        days = {
            name: day
            for name, column in raw.columns.items()
            if name not in taken and (day := _first_day(column))
        }
        if days:
            raise UserError(
                f"{raw.path}: no column is called like one of times, but {listed(days)} could hold "
                f"days such as '{next(iter(days.values()))}'; give "
                f"{' or '.join(option('timestamp', [name]) for name in days)}"
            )
        for name, column in raw.columns.items():
            first = [] if name in taken or not isinstance(column, Text) else column.present[:1]
            locale = None if columns.locale else suggested_locale(first)
            if locale is not None:
                raise UserError(
                    f"{raw.path}: column '{name}' may hold times in another language, such as "
                    f"'{first[0]}'; give --locale {locale}"
                )
        if said := words_across(raw, columns):
            raise UserError(f"{raw.path}: no column holds times; {said}")
        raise UserError(
            f"{raw.path}: no column holds times (columns: {listed(raw.columns)}); name it with "
            "--timestamp"
        )
    certain = [name for name, column in found.items() if not _is_numeric(column)]
    time = _leading(raw, list(found), columns) or _leading(raw, certain, columns)
    if time is None:
        raise UserError(
            f"{raw.path}: {listed(found)} could each be the time; choose with "
            f"{' or '.join(option('timestamp', [name]) for name in found)}"
        )
    if time.name.startswith("Unnamed: "):
        said = "the column without a name holds times: it is the time"
        return replace(time, decisions=(said, *time.decisions))
    return time


def _first_day(column: Column) -> str:
    """The first cell of numbers that could be days, 20240131; '' for other columns."""
    if not isinstance(column, Text) or not looks_like_time("date", column):
        return ""
    days = all(len(cell) == _DAY and is_numeric_time(cell) for cell in column.present)
    return next(iter(column.present), "") if days else ""


def _check_targets(raw: RawTable, columns: Columns) -> None:
    """Raise UserError if the times are asked for as values."""
    targets = columns.target or ()
    for name in targets:
        if looks_like_time(name, raw.columns[name], columns):
            raise UserError(
                f"{raw.path}: column '{name}' holds the times, so it cannot be a value; name "
                f"others{or_without(name, targets)}"
            )


def check_language(raw: RawTable, columns: Columns) -> None:
    """Raise UserError if most names of columns are times in another language."""
    named = [name for name in raw.columns if _WORD_AND_YEAR.search(name)]
    if columns.locale is not None or 2 * len(named) <= len(raw.columns):
        return
    locale = suggested_locale([name.strip() for name in named])
    if locale is not None:
        raise UserError(
            f"{raw.path}: the names of {len(named)} columns, '{named[0]}' to '{named[-1]}', are "
            f"times in another language; give --locale {locale}"
        )


def _leading(raw: RawTable, names: Sequence[str], columns: Columns) -> TimeColumn | None:
    """The one of these columns that the others follow from."""
    if len(names) < 2:
        return TimeColumn(names[0], (), ()) if names else None
    codes = {name: coded(raw.columns[name]) for name in names}
    for name in names:
        if _leads(raw, name, codes, columns):
            others = tuple(other for other in names if other != name)
            said = f"column '{name}' is the time; {listed(others)} follow from it: left out"
            return TimeColumn(name, others, (said,))
    return None


def _leads(raw: RawTable, name: str, codes: Mapping[str, Coded], columns: Columns) -> bool:
    """Whether all other columns follow from this one: as late, its next time, or coarser."""
    own = codes[name]
    others = {rival: other for rival, other in codes.items() if rival != name and other.count > 1}
    if not all(own.determines(other) for other in others.values()):
        return False
    try:
        times = {each: parse_stamps(raw, each, columns).wall for each in (name, *others)}
    except UserError:
        return False
    return all(
        _rises_with(times[name], times[rival])
        if other.count < own.count
        else _goes_along(times[name], times[rival])
        for rival, other in others.items()
    )


def _rises_with(first: pd.DatetimeIndex, second: pd.DatetimeIndex) -> bool:
    return second[np.argsort(first.to_numpy(), kind="stable")].is_monotonic_increasing


def _goes_along(first: pd.DatetimeIndex, second: pd.DatetimeIndex) -> bool:
    """Whether the second holds the same times, or the ends of the intervals that begin there."""
    later = second - first
    if bool((later == later[0]).all()):
        return bool(later[0].value >= 0)
    return bool((second[:-1] == first[1:]).all())


def _holds_half_years(column: Column) -> bool:
    return isinstance(column, Text) and is_half_year(column.first)


def _is_numeric(column: Column) -> bool:
    return isinstance(column, np.ndarray) or (
        isinstance(column, Text) and any(map(is_number, column.head))
    )
