"""A column of times as text → local times and, if they are given, offsets from UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.cells import Column, Text
from forecaster.data.delimited import Lines
from forecaster.data.reading import RawTable
from forecaster.errors import UserError

_SHAPE = re.compile(
    r"^(?P<date>.+?)"
    r"(?:[T ]\s*(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)(?:\s?(?P<half>[AaPp][Mm]))?"
    r"\s?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?$"
)
_NUMBER = re.compile(r"[+-]?\d*\.\d+|[+-]\d+")  # beside whole ones, which may be years
_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%Y-%m",
    "%Y/%m",
    "%b %Y",
    "%b-%Y",
    "%B %Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
)
_ISO = {  # styles that Arrow reads
    "%Y-%m-%d": r"^\d{4}-\d{2}-\d{2}$",
    "%Y-%m-%d with a time of day": r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$",
}
_MAX_OFFSET = 18 * 60  # minutes from UTC
_YEARS = (1678, 2261)  # the range of nanoseconds since 1970, with a margin
_QUARTER = re.compile(r"^(\d{4})[- ]?Q([1-4])$")


@dataclass(frozen=True)
class Stamps:
    """Local times ``wall`` (n,); ``offsets`` (n,) in minutes east of UTC, or None if not given."""

    wall: pd.DatetimeIndex
    offsets: NDArray[np.int64] | None
    style: str
    date_only: bool


def looks_like_time(name: str, column: Column) -> bool:
    """Whether a column holds times, by its name and its first, middle and last value."""
    if isinstance(column, pd.DatetimeIndex):
        return True
    if isinstance(column, np.ndarray):
        return False
    present = np.flatnonzero(pc.not_equal(column.arrow, "").to_numpy())
    if not len(present):
        return False
    probe = [column[present[0]], column[present[len(present) // 2]], column[present[-1]]]
    if _is_year(name, probe):
        return _is_year(name, [cell for cell in column if cell])
    if any(_NUMBER.fullmatch(cell) for cell in probe):
        return False
    # eight digits may be a count: they are dates only if the column's name indicates it
    if all(cell.isdigit() for cell in probe) and not _named_as_time(name):
        return False
    return all(_split(cell) is not None and any(_formats([cell_date(cell)])) for cell in probe)


def _named_as_time(name: str) -> bool:
    return bool(
        re.search(
            r"date|time|year|month|day|week|quarter|^ds$|^t$|stamp|period", name, re.IGNORECASE
        )
    )


def _is_year(name: str, cells: list[str]) -> bool:
    return _named_as_time(name) and all(re.fullmatch(r"(1[6-9]|20|21)\d\d", cell) for cell in cells)


def _split(cell: str) -> re.Match[str] | None:
    return _SHAPE.match(cell)


def cell_date(cell: str) -> str:
    """The date part of a time as text."""
    match = _split(cell)
    return match["date"] if match else cell


def _formats(dates: list[str]) -> Iterator[str]:
    """Every known format that fits all of ``dates``, the more common ones first."""
    if all(_QUARTER.match(date) for date in dates):
        yield "quarter"
    elif all(re.fullmatch(r"\d{4}", date) for date in dates):
        yield "%Y"
    else:
        first = dates[:1]
        yield from (
            f
            for f in _DATES
            if not _read_dates(first, f).hasnans and not _read_dates(dates, f).hasnans
        )


def _read_dates(dates: list[str], style: str) -> pd.DatetimeIndex:
    if style == "quarter":
        matches = [_QUARTER.match(date) for date in dates]
        months = [f"{m[1]}-{3 * int(m[2]) - 2:02d}" if m else "" for m in matches]
        return pd.DatetimeIndex(pd.to_datetime(months, format="%Y-%m", errors="coerce"))
    if style.startswith("%Y") and len(style) > 2 and style != "%Y%m%d":
        dates = [date if re.match(r"\d{4}\D", date) else "" for date in dates]
    if style == "%Y%m%d":
        dates = [date if re.fullmatch(r"\d{8}", date) else "" for date in dates]
    return pd.DatetimeIndex(pd.to_datetime(dates, format=style, errors="coerce"))


def parse_stamps(raw: RawTable, name: str, known: str | None = None) -> Stamps:
    """Parse the time column ``name``; all rows must have one format, the ``known`` one if given."""
    column = raw.columns[name]
    if isinstance(column, pd.DatetimeIndex):
        return _typed_stamps(raw, name, column)
    if isinstance(column, np.ndarray):
        column = Text.of(str(int(v)) if v.is_integer() else str(v) for v in column)
    quick = _iso_stamps(column) if known is None else None
    if quick is not None:
        _check_years(raw, name, quick.wall)
        return quick
    once, first, rows = column.distinct()
    places = Lines(len(first), lambda: np.array([raw.places[row] for row in first]))
    stamps = _parse(replace(raw, columns={name: once}, places=places), name, list(once), known)
    offsets = None if stamps.offsets is None else stamps.offsets[rows]
    return replace(stamps, wall=stamps.wall[rows], offsets=offsets)


def _iso_stamps(column: Text) -> Stamps | None:
    for style, pattern in _ISO.items():
        if (
            pc.all(pc.match_substring_regex(column.arrow[:1], pattern)).as_py()
            and pc.all(pc.match_substring_regex(column.arrow, pattern)).as_py()
        ):
            try:
                wall = pd.DatetimeIndex(column.arrow.cast(pa.timestamp("ns")).to_numpy())
            except pa.ArrowInvalid:
                return None
            return Stamps(wall, None, style, style == "%Y-%m-%d")
    return None


def _parse(raw: RawTable, name: str, column: list[str], known: str | None) -> Stamps:
    parts = [_split(cell) for cell in column]
    for row, cell in enumerate(column):
        if not cell:
            raise UserError(
                f"{raw.where(row, name)}: the time is missing; fill it in or remove the row"
            )
    dates = [match["date"] if match else cell for match, cell in zip(parts, column, strict=True)]
    style = (
        _choose_format(raw, name, dates, column)
        if known is None
        else _known_format(raw, name, dates, known)
    )
    shapes = [(bool(m and m["time"]), bool(m and m["half"]), bool(m and m["zone"])) for m in parts]
    odd = next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        raise UserError(
            f"{raw.where(odd, name)}: '{column[odd]}' is in another format than '{column[0]}' in "
            "the first row; write all times in one format"
        )
    wall = _read_dates(dates, style)
    _check_years(raw, name, wall)
    has_time, _, has_zone = shapes[0]
    if has_time:
        wall = wall + _clock_times(raw, name, column, [m for m in parts if m])
    offsets = None
    if has_zone:
        offsets = np.array([_offset_minutes(m["zone"]) for m in parts if m], dtype=np.int64)
        wrong = np.flatnonzero(np.abs(offsets) > _MAX_OFFSET)  # beyond every zone
        if len(wrong):
            row = int(wrong[0])
            raise UserError(
                f"{raw.where(row, name)}: '{column[row]}' has no such offset from UTC; correct it"
            )
    full_style = style + (" with a time of day" if has_time and style != "quarter" else "")
    return Stamps(wall, offsets, full_style + (" and offset" if has_zone else ""), not has_time)


def _check_years(raw: RawTable, name: str, wall: pd.DatetimeIndex) -> None:
    years = wall.year.to_numpy()
    outside = np.flatnonzero((years < _YEARS[0]) | (years > _YEARS[1]))
    if len(outside):
        row = int(outside[0])
        cell = raw.columns[name][row]
        raise UserError(
            f"{raw.where(row, name)}: '{cell}' is outside the years {_YEARS[0]} to {_YEARS[1]}; "
            "correct it"
        )


def _typed_stamps(raw: RawTable, name: str, column: pd.DatetimeIndex) -> Stamps:
    blank = np.flatnonzero(column.isna())
    if len(blank):
        raise UserError(
            f"{raw.where(int(blank[0]), name)}: the time is missing; fill it in or remove the row"
        )
    _check_years(raw, name, column)
    date_only = bool((column == column.normalize()).all())
    if column.tz is None:
        return Stamps(column.as_unit("ns"), None, "timestamps", date_only)
    wall = column.tz_localize(None).as_unit("ns")
    utc = column.tz_convert("UTC").tz_localize(None).as_unit("ns")
    offsets = ((wall - utc) // pd.Timedelta(minutes=1)).to_numpy(dtype=np.int64)
    return Stamps(wall, offsets, "timestamps with a zone", False)


def _choose_format(raw: RawTable, name: str, dates: list[str], cells: list[str]) -> str:
    styles = list(_formats(dates))
    if len(styles) > 1:
        # 03/04/2024: of the two interpretations take the one with the more regular steps
        spread = {style: _irregularity(_read_dates(dates, style)) for style in styles}
        styles = sorted(styles, key=spread.__getitem__)
        if spread[styles[0]] == spread[styles[1]]:
            raise UserError(
                f"{raw.path}, column '{name}': '{cells[0]}' can be read as {styles[0]} and as "
                f"{styles[1]}; write the dates as YYYY-MM-DD"
            )
    if styles:
        return styles[0]
    _refuse_dates(raw, name, dates, cells)
    raise AssertionError("unreachable: some date fits no format")


def _known_format(raw: RawTable, name: str, dates: list[str], known: str) -> str:
    style = known.removesuffix(" and offset").removesuffix(" with a time of day")
    bad = np.flatnonzero(_read_dates(dates, style).isna())
    if len(bad):
        raise UserError(
            f"{raw.where(int(bad[0]), name)}: '{dates[int(bad[0])]}' is not a time written as "
            f"{style}; correct it"
        )
    return style


def _irregularity(wall: pd.DatetimeIndex) -> int:
    return len(set(np.diff(np.unique(wall.to_numpy())).tolist()))


def _refuse_dates(raw: RawTable, name: str, dates: list[str], cells: list[str]) -> None:
    fitting = list(_formats(dates[:1]))
    if not fitting:
        raise UserError(
            f"{raw.where(0, name)}: '{cells[0]}' is not a time; write times as YYYY-MM-DD HH:MM:SS"
        )
    # the odd row is the first that the best fitting format does not fit
    row = max(int(np.argmax(_read_dates(dates, style).isna())) for style in fitting)
    kind = "is in another format than" if any(_formats([dates[row]])) else "is not a time like"
    raise UserError(
        f"{raw.where(row, name)}: '{cells[row]}' {kind} '{cells[0]}' in the first row; write all "
        "times in one format"
    )


def _clock_times(
    raw: RawTable, name: str, cells: list[str], parts: list[re.Match[str]]
) -> pd.TimedeltaIndex:
    texts = [m["time"].replace(",", ".") for m in parts]
    texts = [t if t.count(":") == 2 else t + ":00" for t in texts]
    times = pd.TimedeltaIndex(pd.to_timedelta(texts, errors="coerce"))
    if parts[0]["half"]:
        hours = times.components.hours.to_numpy()
        noon = np.array([m["half"].lower() == "pm" for m in parts])
        times = times + pd.to_timedelta(np.where(hours == 12, -12, 0) + 12 * noon, unit="h")
    bad = np.flatnonzero(times.isna() | (times > pd.Timedelta(hours=24)))
    if len(bad):
        row = int(bad[0])
        raise UserError(
            f"{raw.where(row, name)}: '{cells[row]}' has no such time of day; correct it"
        )
    return times


def _offset_minutes(zone: str) -> int:
    if zone in {"Z", "UTC"}:
        return 0
    sign, hours, minutes = -1 if zone[0] == "-" else 1, int(zone[1:3]), int(zone[-2:])
    return sign * (hours * 60 + minutes) if minutes < 60 else 2 * _MAX_OFFSET
