"""Which columns give the time together: year, month …, or a date and a time of day."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.cells import Column, Text
from forecaster.data.reading import RawTable
from forecaster.data.texts import as_texts
from forecaster.data.times.month_names import translated
from forecaster.data.times.parts import (
    NAMED,
    NUMBERED,
    OF_DAY,
    Parts,
    holds,
    is_plain_clock,
    plain_name,
)
from forecaster.data.times.styles import fitting, has_day
from forecaster.data.times.text_times import could_be_times
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

_CLOCKS = ("clock", "hhmm", "hour")
_SMALLER = ("minute", "second")
_ZONED = frozenset(("tz", "tzcd", "tzoffset", "timezone", "timezonecode", "zone", "zeitzone"))
_ZONED |= {"offset", "utcoffset", "gmtoffset"}
_UNIQUE = 0.95  # of the rows have a time of their own, but for the hour that an autumn repeats
_ALL = {"month": 12, "day": 28, "hour": 24}
_IN_ORDER = ("year", "month", "day", "hour", "minute", "second")
# with what follows a day
_CALENDARS = (("year", "month", "day"), ("year", "yearday"), ("year", "week"), ("year", "quarter"))

Given = Mapping[str, Column]


def find_parts(raw: RawTable, columns: Columns, zoned: bool = False) -> Parts | None:
    """The columns that give the time together, if they do; raises UserError for wrong ones.

    ``zoned``: whether a zone counts that is the same in all rows.
    """
    if columns.timestamp is not None:
        return _named(raw, columns)
    taken = {*(columns.item_id or ()), *(columns.target or ())}
    free = {name: column for name, column in raw.columns.items() if name not in taken}
    parts = _calendar(free, columns) or _date_and_clock(free, columns)
    return _with_zone(parts, free, columns, 1 if zoned else 2) or parts


def _with_zone(parts: Parts | None, free: Given, columns: Columns, fewest: int) -> Parts | None:
    """The parts, or the one column of times, with a column of zones, if they make times.

    ``fewest``: different zones.
    """
    zone = next((n for n, c in free.items() if plain_name(n) in _ZONED and holds("zone", c)), None)
    if zone is None or columns.date_format is not None or _count_values(free, [zone]) < fewest:
        return None
    if parts is None:
        times = [n for n, c in free.items() if n != zone and looks_like_time(n, c, columns)]
        if len(times) != 1 or not isinstance(free[times[0]], Text):
            return None
        parts = Parts((times[0],), ("date",), times[0])
    names = (*parts.columns, zone)
    whole = Parts(names, (*parts.kinds, "zone"), ",".join(names))
    first = {name: Text.of([as_texts(free[name][:1])[0].as_py()]) for name in names}
    joined = as_texts(whole.join(first)[whole.name]).to_pylist()
    if not could_be_times(joined, columns.locale):
        return None
    # a zone tells apart the hours of a night, not the rows of every time
    once = _count_values(free, parts.columns)
    return whole if _UNIQUE * _count_values(free, names) <= once else None


def _count_values(free: Given, names: Sequence[str]) -> int:
    """The number of different rows that these columns have."""
    return (
        pa.table({str(i): as_texts(free[n]) for i, n in enumerate(names)})
        .group_by([str(i) for i in range(len(names))])
        .aggregate([])
        .num_rows
    )


def _parts(found: Mapping[str, str], kinds: Sequence[str]) -> Parts:
    """The parts of these kinds, by the names that are ``found``."""
    names = tuple(found[kind] for kind in kinds)
    return Parts(names, tuple(kinds), ",".join(names))


def _calendar(free: Given, columns: Columns) -> Parts | None:
    """A year and smaller parts, by their names, unless another column holds the time."""
    found = _by_name(free)
    if "year" not in found or not _repeats(free[found["year"]]):
        return None
    chains = [_chain(calendar, found, free) for calendar in _CALENDARS]
    whole = [_parts(found, chain) for chain in chains if len(chain) > 1]
    if not whole:
        return None
    best = max(whole, key=lambda parts: _count(parts, free))
    others = (name for name in free if name not in found.values())
    if any(looks_like_time(name, free[name], columns) for name in others):
        return None
    return best


def _by_name(free: Given) -> dict[str, str]:
    """The first column that is named as each kind of part and holds it."""
    found: dict[str, str] = {}
    for name, column in free.items():
        plain = plain_name(name)
        for kind, names in NAMED.items():
            if kind not in found and plain in names and holds(kind, column):
                found[kind] = name
                break
    return found


def _chain(calendar: Sequence[str], found: dict[str, str], free: Given) -> list[str]:
    """The kinds of a calendar that are there without a break, and the time of day after a day."""
    chain = [kind for i, kind in enumerate(calendar) if all(k in found for k in calendar[: i + 1])]
    if chain and chain[-1] in {"day", "yearday"}:
        return chain + _of_day(found, free)
    return chain


def _of_day(found: dict[str, str], free: Given) -> list[str]:
    """The kinds of a time of day: of hours and smaller parts, or of a column of clock times."""
    if "hour" in found:
        kinds = ["hour", *_SMALLER]
        return [k for i, k in enumerate(kinds) if all(each in found for each in kinds[: i + 1])]
    for name, column in free.items():
        if name not in found.values() and (kind := _clock_kind(name, column)) is not None:
            found[kind] = name
            return [kind]
    return []


def _clock_kind(name: str, column: Column) -> str | None:
    """What a column named as a time of day holds."""
    plain = plain_name(name)
    if plain in OF_DAY | NAMED["hour"]:
        return next((kind for kind in _CLOCKS if holds(kind, column)), None)
    return next((k for k in NUMBERED if plain in NAMED[k] and holds(k, column)), None)


def _date_and_clock(free: Given, columns: Columns) -> Parts | None:
    """A column of dates that repeat, and one of the times of day on them."""
    named = {n: kind for n, c in free.items() if (kind := _clock_kind(n, c)) is not None}
    clocks = named or {n: "clock" for n, c in free.items() if is_plain_clock(c)}
    if not clocks:
        return None
    others = {n: c for n, c in free.items() if n not in clocks and looks_like_time(n, c, columns)}
    dates = [name for name, column in others.items() if _are_days(column, columns)]
    date = _first_date(dates, others, clocks, list(free))
    if date is None or not _repeats(free[date]):
        return None
    clock = next(iter(clocks))
    found = {"date": date, clocks[clock]: clock}
    kinds = ["date", clocks[clock]]
    if clocks[clock] == "hour":
        found |= {k: n for k, n in _by_name(free).items() if k in _SMALLER and n != clock}
        kinds += _of_day(found, free)[1:]
    parts = _parts(found, kinds)
    if parts.has_short_days(free):
        return None
    unique = bool(named) or _count(parts, free) >= _UNIQUE * len(free[date])
    return parts if unique else None


def _first_date(
    dates: list[str], others: Given, clocks: Mapping[str, str], order: list[str]
) -> str | None:
    """The date, if all other times are dates, too: the one that a clock time follows at once."""
    if len(dates) != len(others):
        return None
    if len(dates) == 1:
        return dates[0]
    following = dict(pairwise(order))
    return next((name for name in dates if following.get(name) in clocks), None)


def _are_days(column: Column, columns: Columns) -> bool:
    """Whether a column of times tells days without a time of day."""
    if isinstance(column, pd.DatetimeIndex):
        return column.tz is None and bool((column == column.normalize()).all())
    texts = as_texts(column[:: max(len(column) // 30, 1)])
    texts = texts.filter(pc.not_equal(texts, ""))
    first = translated(texts[:1].to_pylist(), columns.locale)
    given = columns.date_format
    if given is not None and "%" in given:
        return "%H" not in given and "%I" not in given
    return any(has_day(style) for style in fitting(first))


def _repeats(column: Column) -> bool:
    return column.repeats() if isinstance(column, Text) else not pd.Index(column).is_unique


def _count(parts: Parts, free: Given) -> int:
    """The number of different times that the parts make."""
    whole = parts.join({name: free[name] for name in parts.columns})[parts.name]
    return int(pc.count_distinct(as_texts(whole)).as_py())


def _named(raw: RawTable, columns: Columns) -> Parts | None:
    """The columns that ``--timestamp`` names, if it names several."""
    given = re.sub(r"\s*,\s*", ",", str(columns.timestamp))
    names = given.split(",")
    if len(names) == 1 or given in {re.sub(r"\s*,\s*", ",", name) for name in raw.columns}:
        return None
    unknown = [name for name in names if name not in raw.columns]
    if unknown:
        listed = ", ".join(f"'{name}'" for name in raw.columns)
        near = nearest(unknown[0], list(raw.columns))
        raise UserError(f"{raw.path}: no column '{unknown[0]}'{near}; the columns are {listed}")
    kinds = _kinds(raw, names, columns)
    if kinds is None:
        raise UserError(
            f"{raw.path}: --timestamp {given}: these columns do not make a time; name a date and a "
            "time of day, or the year, month, day, hour, or the year and the quarter or week"
        )
    parts = Parts(tuple(names), kinds, given)
    if parts.has_short_days(raw.columns):
        raise UserError(
            f"{raw.path}: --timestamp {given}: a day is an hour short, as where the clock goes "
            "forward, so that its later periods have other times; write whole times into one column"
        )
    return parts


def joined_with(
    raw: RawTable, timestamp: str, others: Sequence[str], columns: Columns
) -> Parts | None:
    """The time column and others as one, if that makes a time of its own for nearly every row.

    Columns that are not named as a part have all of its numbers.
    """
    names = (timestamp, *others)
    kinds = _kinds(raw, names, columns)
    if kinds is None:
        return None
    for kind, name in zip(kinds, names, strict=True):
        few = pc.count_distinct(as_texts(raw.columns[name])).as_py() < _ALL.get(kind, 0)
        if few and plain_name(name) not in NAMED[kind]:
            return None
    parts = Parts(names, kinds, ",".join(names))
    if parts.has_short_days(raw.columns):
        return None
    unique = _count(parts, raw.columns) >= _UNIQUE * len(raw.columns[timestamp])
    return parts if unique else None


def _kinds(raw: RawTable, names: Sequence[str], columns: Columns) -> tuple[str, ...] | None:
    """What each of the named columns is: by names, by cells, or by their order."""
    found = _by_name({name: raw.columns[name] for name in names})
    by_name = {name: kind for kind, name in found.items()}
    kinds = [by_name.get(name) or _by_cells(name, raw.columns[name], columns) for name in names]
    if kinds == [None, "zone"] and looks_like_time(names[0], raw.columns[names[0]], columns):
        return "date", "zone"
    if _is_time(kinds):
        return tuple(str(kind) for kind in kinds)
    in_order = _IN_ORDER[: len(names)]
    if all(holds(kind, raw.columns[name]) for kind, name in zip(in_order, names, strict=False)):
        return in_order if len(in_order) == len(names) else None
    return None


def _by_cells(name: str, column: Column, columns: Columns) -> str | None:
    if plain_name(name) in _ZONED and holds("zone", column):
        return "zone"
    clock = _clock_kind(name, column) or next((k for k in _CLOCKS if holds(k, column)), None)
    if clock is not None:
        return clock
    return "date" if looks_like_time(name, column, columns) and _are_days(column, columns) else None


def _is_time(kinds: Sequence[str | None]) -> bool:
    """Whether the kinds make a time: a date or parts of a calendar, and a time of day."""
    given = {kind for kind in kinds if kind is not None}
    if None in kinds or len(given) < len(kinds):
        return False
    if "zone" in given and (given := given - {"zone"}) == {"date"}:
        return True
    hours = [{"hour"}, {"hour", "minute"}, {"hour", "minute", "second"}]
    clocks = [{"clock"}, {"hhmm"}, *({kind} for kind in NUMBERED), *hours]
    days = [{"date"}, {"year", "month", "day"}, {"year", "yearday"}]
    dates = [{"year", "month"}, {"year", "week"}, {"year", "quarter"}, *days]
    return given in dates or any(given == day | clock for day in days for clock in clocks)
