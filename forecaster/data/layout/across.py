"""Columns that stand for times, not for series: how they are recognised, and their times."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Text
from forecaster.data.intervals import Interval, parse_interval
from forecaster.data.layout.codes import starts_with_words
from forecaster.data.layout.flags import CORNER, has_flags
from forecaster.data.layout.period_labels import Periods, find_periods
from forecaster.data.layout.time_names import time_names
from forecaster.data.missing import is_missing
from forecaster.data.reading import RawTable
from forecaster.data.timestamps import looks_like_time, parse_stamps
from forecaster.errors import UserError

Times = NDArray[np.datetime64]

_FEWEST_NUMBERED = 8
_SHOWN = 40  # letters of a cell
COUNTED_FROM = pd.Timestamp("2000-01-01")
_NUMBERED = re.compile(r"([^\W\d]*)[\s_.-]?(\d+)")
# days between two beginnings of a base of periods
_DAYS = {"year": (360, 370), "month": (28, 31), "week": (7, 7), "day": (1, 1)}


@dataclass(frozen=True)
class Across:
    """Columns that stand for times; ``times()`` (rows, columns): of each cell, NaT for none.

    ``used``: further columns that tell the times. ``what``: in words. ``by_row``: a row is a
    series, or the rows continue one another.
    """

    columns: tuple[str, ...]
    used: tuple[str, ...]
    what: str
    by_row: bool
    times: Callable[[], Times]


def dates_across(raw: RawTable, columns: Columns) -> Across | None:
    """Columns whose names are times, in a table without a column of times."""
    plain = time_names(list(raw.columns), columns)
    rest = [name for name in raw.columns if name not in plain]
    if not plain or len(plain) < len(rest):
        return None
    if columns.layout is None and (columns.timestamp in rest or _has_words(raw, plain)):
        return None
    begin = _read_names(raw, list(plain.values()), columns)
    if begin is None or _time_of(raw, rest, columns) is not None:
        return None
    names = tuple(plain)
    what = f"the names of {len(names)} columns are times, '{names[0]}' to '{names[-1]}'"
    found = _periods_down(raw, rest, begin)
    if found is None:
        tile = partial(np.tile, begin.to_numpy(), (len(raw.places), 1))
        return Across(names, (), f"{what}: a row is a series", True, tile)
    label, periods = found
    what = f"{what}, and the rows are their {periods.what}"
    return Across(names, (label,), what, False, lambda: _grid(periods, begin).T)


def words_across(raw: RawTable, columns: Columns) -> str:
    """What to tell of columns named as times without plain numbers, where no column holds times;
    '' if there are none.
    """
    plain = time_names(list(raw.columns), columns)
    if 2 * len(plain) < len(raw.columns):
        return ""
    texts = {name: raw.columns[name] for name in plain if starts_with_words(raw.columns[name])}
    if not texts:
        return ""
    (worded, column), *_ = texts.items()
    names = list(plain)
    cell = next(cell for cell in map(str, column) if not is_missing(cell))
    shown = cell if len(cell) <= _SHOWN else f"{cell[:_SHOWN]}…"
    also = f", or, for Eurostat's flags, name the first one as there, '{CORNER}'"
    return (
        f"the names of {len(names)} columns are times, '{names[0]}' to '{names[-1]}', but "
        f"'{worded}' holds no plain numbers ('{shown}'); if a row is a series, give --layout "
        f"dates-across{also if has_flags(cell) else ''}"
    )


def _read_names(raw: RawTable, names: Sequence[str], columns: Columns) -> pd.DatetimeIndex | None:
    cells = {"names": Text.of(names)}
    heads = RawTable(raw.path, dict(cells), range(1, len(names) + 1), "column", "", ())
    try:
        return parse_stamps(heads, "names", columns).wall
    except UserError:
        return None


def _periods_down(
    raw: RawTable, rest: Sequence[str], begin: pd.DatetimeIndex
) -> tuple[str, Periods] | None:
    """The one column beside times that names periods of them in its rows."""
    if len(rest) != 1 or not isinstance(raw.columns[rest[0]], Text):
        return None
    labels = list(raw.columns[rest[0]])
    for periods in find_periods(labels):
        if list(periods.columns) == labels and _begins(begin, periods) is not None:
            return rest[0], periods
    return None


def periods_across(raw: RawTable, columns: Columns) -> Across | None:
    """Columns whose names are the periods of the times of another column."""
    for periods in sorted(find_periods(list(raw.columns)), key=lambda p: -len(p.columns)):
        if _has_words(raw, periods.columns):
            continue
        rest = [name for name in raw.columns if name not in periods.columns]
        base = columns.timestamp or _base_of(raw, rest, periods, columns)
        begin = None if base not in rest else _read_begins(raw, base, periods, columns)
        if base is not None and begin is not None:
            first, last = periods.columns[0], periods.columns[-1]
            what = f"columns '{first}' to '{last}' are the {periods.what} of '{base}'"
            return Across(periods.columns, (base,), what, False, partial(_grid, periods, begin))
    return None


def _grid(periods: Periods, begin: pd.DatetimeIndex) -> Times:
    """The times (bases, periods)."""
    return periods.after(begin).to_numpy().reshape(len(begin), -1)


def _base_of(raw: RawTable, rest: Sequence[str], periods: Periods, columns: Columns) -> str | None:
    base = _time_of(raw, rest, columns)
    if base is None and periods.base == "year":
        return next(
            (name for name in rest if looks_like_time("year", raw.columns[name], columns)), None
        )
    return base


def _read_begins(
    raw: RawTable, base: str, periods: Periods, columns: Columns
) -> pd.DatetimeIndex | None:
    try:
        return _begins(parse_stamps(raw, base, columns).wall, periods)
    except UserError:
        return None


def _begins(wall: pd.DatetimeIndex, periods: Periods) -> pd.DatetimeIndex | None:
    """The beginnings of the times' base; None unless they are as far apart as its beginnings."""
    unique = np.unique(wall.to_numpy())
    low, high = _DAYS[periods.base]
    days = np.diff(unique) / np.timedelta64(1, "D")
    if len(days) == 0 or not low <= np.median(days) <= high:
        return None
    if bool((wall != wall.normalize()).any()):
        return None
    if periods.base == "week":
        return wall if bool((wall.weekday == periods.first_weekday).all()) else None
    if periods.base == "day":
        return wall
    begin = wall.to_period("Y" if periods.base == "year" else "M").to_timestamp()
    return begin if len(begin.unique()) == len(unique) else None


def numbered(raw: RawTable, columns: Columns) -> Across | None:
    """Columns that are only numbered, each row a series, in a table without times."""
    names = tuple(_last_numbered(raw))
    rest = [name for name in raw.columns if name not in names]
    if len(names) < _FEWEST_NUMBERED:
        return None
    start = columns.timestamp or _time_of(raw, rest, columns)
    many = len(raw.places) > 1 and start is not None
    if start is not None and not (many and columns.layout == "series-in-rows"):
        return None  # a wide table
    since = f"'{start}'" if start is not None else f"{COUNTED_FROM:%Y-%m-%d}"
    return Across(
        names,
        () if start is None else (start,),
        f"{len(names)} columns are numbered and no names are times: a row is a series, whose steps "
        f"are counted from {since}",
        True,
        lambda: _counted(raw, start, len(names), columns),
    )


def _last_numbered(raw: RawTable) -> Sequence[str]:
    """The last columns without words, numbered one by one after the same word."""
    after: tuple[str, int] | None = None
    found: list[str] = []
    for name in reversed(raw.columns):
        match = _NUMBERED.fullmatch(name.strip())
        if match is None or (after is not None and (match[1], int(match[2]) + 1) != after):
            break
        if starts_with_words(raw.columns[name]):
            break
        after = match[1], int(match[2])
        found.append(name)
    return found[::-1]


def _counted(raw: RawTable, start: str | None, steps: int, columns: Columns) -> Times:
    if columns.freq is None:
        raise UserError(f"{raw.path}: steps have no times; give their interval, such as --freq D")
    interval = parse_interval(columns.freq)
    if start is None:
        grid = interval.stamps(_on(interval, COUNTED_FROM), steps).to_numpy()
        return np.tile(grid, (len(raw.places), 1))
    wall = parse_stamps(raw, start, columns).wall
    unique, places = np.unique(wall.to_numpy(), return_inverse=True)
    grids = [interval.stamps(pd.Timestamp(first), steps).to_numpy() for first in unique]
    return np.stack(grids)[places]


def _on(interval: Interval, time: pd.Timestamp) -> pd.Timestamp:
    return pd.Timestamp(interval.offset.rollforward(time)) if interval.tick is None else time


def _time_of(raw: RawTable, names: Sequence[str], columns: Columns) -> str | None:
    return next((name for name in names if looks_like_time(name, raw.columns[name], columns)), None)


def _has_words(raw: RawTable, names: Sequence[str] | dict[str, str]) -> bool:
    return any(starts_with_words(raw.columns[name]) for name in names)
