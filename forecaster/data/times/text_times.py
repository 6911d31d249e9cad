"""Times as texts in every style of dates that fits a column, or the row that none fits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.reading import RawTable
from forecaster.data.times.month_names import suggested_locale, translated
from forecaster.data.times.styles import (
    FIRST_YEAR,
    ISO_WEEK,
    LAST_YEAR,
    fitting,
    has_day,
    read_dates,
)
from forecaster.data.times.time_of_day import (
    SEVERAL,
    Cells,
    Coded,
    clock_times,
    date_then_clock,
    dates_alone,
    interval_ends,
    offset_minutes,
    split,
)
from forecaster.data.times.zones import names_in
from forecaster.errors import UserError

Times = tuple[pd.DatetimeIndex, NDArray[np.int64] | None]
_ISO_DATE = len("2020-01-01")
_IF_WEEKS = f"if these are weeks, give --date-format {ISO_WEEK}"
_ISO_ZONE = re.compile(r"(?<=\d)(?:Z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True)
class Source:
    """The texts of a file's time column; ``locale``, ``zone``: as given, of its names."""

    raw: RawTable
    name: str
    texts: pa.StringArray
    locale: str | None = None
    zone: str | None = None

    def cell(self, row: int) -> str:
        """The text of a row."""
        return self.texts[row].as_py()

    def fault(self, row: int, what: str) -> UserError:
        """A message about a row's cell, which it begins with."""
        return UserError(f"{self.raw.where(row, self.name)}: '{self.cell(row)}' {what}")


@dataclass(frozen=True)
class Texts:
    """The parts of a column's times, the different dates in English, and what they can be read as.

    ``intervals``: whether the texts are intervals, of which these are the starts; ``weeks``: what
    ``take_apart`` was told.
    """

    cells: Cells
    dates: list[str]
    styles: list[str]
    intervals: bool
    weeks: bool

    @property
    def timed(self) -> bool:
        """Whether a row has a time of day."""
        return any(self.cells.time.values)


def take_apart(source: Source, weeks: bool, only: Sequence[str] | None = None) -> Texts:
    """The parts of the texts, and the styles, of those in ``only``, that fit all dates.

    ``weeks``: as for ``fitting``.
    """
    texts, intervals = source.texts, False
    ends = interval_ends(texts)
    if ends is not None and could_be_times(ends[0][:1].to_pylist(), source.locale):
        texts, intervals = _starts(source, ends), True
    texts = date_then_clock(texts)
    cells = _split_as_fits(texts, source.locale, weeks)
    dates = translated(cells.date.values, source.locale)
    styles = fitting(dates, weeks, only)
    timed = any(cells.time.values)
    styles = [style for style in styles if not timed or has_day(style)]
    return Texts(cells, dates, styles, intervals, weeks)


def could_be_times(texts: Sequence[str], locale: str | None = None, weeks: bool = False) -> bool:
    """Whether all of a few texts are times in one style, or intervals (``weeks``: ``fitting``)."""
    array = pa.array(texts, pa.string())
    ends = interval_ends(array)
    if ends is not None and ends[0].null_count == 0 and could_be_times(ends[0].to_pylist(), locale):
        return True
    cells = _split_as_fits(date_then_clock(array), locale, weeks)
    return bool(fitting(translated(cells.date.values, locale), weeks))


def _starts(source: Source, ends: tuple[pa.StringArray, pa.StringArray]) -> pa.StringArray:
    odd = np.flatnonzero(pc.is_null(ends[0]).to_numpy(zero_copy_only=False))
    if len(odd):
        raise source.fault(
            int(odd[0]),
            f"is no interval like '{source.cell(0)}' in the first row; write all times in one "
            "format",
        )
    return ends[0]


def _split_as_fits(texts: pa.StringArray, locale: str | None, weeks: bool) -> Cells:
    """The first way of splitting that makes times of the first, middle and last text."""
    probe = texts.take([0, len(texts) // 2, len(texts) - 1])
    for sample in (probe, probe[:1]):
        for way in (split, _split_hours, dates_alone):
            cells = way(sample)
            styles = fitting(translated(cells.date.values, locale), weeks)
            if any(has_day(style) or not cells.time.at(0) for style in styles):
                return way(texts)
    return split(texts)


def _split_hours(texts: pa.StringArray) -> Cells:
    return split(texts, hours=True)


def read_texts(
    source: Source, parts: Texts
) -> dict[str, tuple[pd.DatetimeIndex, NDArray[np.int64] | None]]:
    """Local times and offsets (None without) in each style; raises UserError for an odd row."""
    cells = parts.cells
    if not parts.styles:
        raise _odd_date(source, parts)
    _check_shapes(source, cells)
    clock = _clock(source, cells) if parts.timed else None
    offsets = _offsets(source, cells) if any(cells.zone.values) else None
    found = {}
    for style in parts.styles:
        wall = read_dates(parts.dates, style).take(cells.date.codes)
        found[style] = (wall if clock is None else wall + clock, offsets)
    return found


def _check_shapes(source: Source, cells: Cells) -> None:
    for part in (cells.time, cells.zone):
        given = part.given()
        odd = np.flatnonzero(given != given[0])
        if len(odd) and not (part is cells.time and _only_midnights_lack(cells)):
            raise source.fault(int(odd[0]), _other_format(source))


def _only_midnights_lack(cells: Cells) -> bool:
    """Whether no row says midnight, as some programs do, and at most half have no time of day."""
    midnight = np.asarray(clock_times(cells.time.values) == pd.Timedelta(0))
    return cells.time.first(midnight) is None and bool(cells.time.given().mean() >= 0.5)


def _clock(source: Source, cells: Cells) -> pd.TimedeltaIndex:
    times = clock_times([time or "0:00" for time in cells.time.values])
    row = cells.time.first(np.asarray(times.isna()))
    if row is not None:
        raise source.fault(row, "has no such time of day; correct it")
    return times.take(cells.time.codes)


def _offsets(source: Source, cells: Cells) -> NDArray[np.int64]:
    """Minutes east of UTC (n,)."""
    names = frozenset(cells.zone.values)
    known = names_in(source.zone)
    minutes = [known.get(name, offset_minutes(name, names)) for name in cells.zone.values]
    row = cells.zone.first(np.array([value is None for value in minutes]))
    if row is not None:
        name = cells.zone.at(row)
        raise source.fault(row, _no_offset(name))
    return np.array(minutes, dtype=np.int64)[cells.zone.codes]


def _no_offset(name: str) -> str:
    if name in SEVERAL:
        return (
            f"names a zone that several places have; name the place, such as --timezone "
            f"{SEVERAL[name]}"
        )
    return "has no such offset from UTC; correct it"


def _odd_date(source: Source, parts: Texts) -> UserError:
    """The first row that no style fits which fits the first, or that has a year too early."""
    cells, dates = parts.cells, parts.dates
    first = dates[cells.date.codes[0]]
    outside = _outside_years(dates)
    styles = fitting([first], parts.weeks)
    row = cells.date.first(outside)
    if row is not None and (outside[cells.date.codes[0]] or styles):
        return out_of_range(source, row, int(outside[cells.date.codes].sum()))
    are_weeks = bool(fitting(dates, only=[ISO_WEEK]))
    if not styles and are_weeks:
        return source.fault(0, f"is not a time; {_IF_WEEKS}")
    if not styles or (parts.timed and not any(map(has_day, styles))):
        anyhow = "write times as YYYY-MM-DD HH:MM:SS, or tell their format with --date-format"
        return source.fault(0, f"is not a time; {_language(source, dates[:20]) or anyhow}")
    misfits = [np.asarray(read_dates(dates, style).isna()) for style in styles]
    row = max(cells.date.first(misfit) or 0 for misfit in misfits)
    odd = dates[cells.date.codes[row]]
    if fitting([odd], parts.weeks):
        return source.fault(row, _other_format(source))
    remedy = _language(source, [first, odd]) or (
        "write all times in one format, or remove what is no row of data"
    )
    remedy = _IF_WEEKS if are_weeks else remedy
    return source.fault(row, f"is not a time like '{source.cell(0)}' in the first row; {remedy}")


def _other_format(source: Source) -> str:
    return (
        f"is in another format than '{source.cell(0)}' in the first row; write all times in one "
        "format"
    )


def _outside_years(dates: Sequence[str]) -> NDArray[np.bool_]:
    """Which dates are times but for their years, too early or too late to be told."""
    modern = [re.sub(r"(?<!\d)\d{4}(?!\d)", "2000", date, count=1) for date in dates]
    outside = np.zeros(len(dates), bool)
    for style in fitting(modern[:1]):
        early, known = read_dates(dates, style).isna(), read_dates(modern, style).notna()
        outside |= np.asarray(early) & np.asarray(known)
    return outside


def out_of_range(source: Source, row: int, count: int) -> UserError:
    """The message for a year that cannot be told."""
    return source.fault(
        row,
        f"is outside the years {FIRST_YEAR} to {LAST_YEAR}, the only ones that can be told "
        f"({count} such row(s)); leave those rows out, or correct them",
    )


def _language(source: Source, dates: Sequence[str]) -> str | None:
    """The remedy for names of months in another language, if they make times in one."""
    locale = suggested_locale(dates) if source.locale is None else None
    return None if locale is None else f"give the language of its names, --locale {locale}"


def iso_times(texts: pa.StringArray) -> Times | None:
    """Local times and offsets where all texts are ISO 8601 of one length; None for others."""
    lengths = pc.unique(pc.utf8_length(texts)).to_pylist()
    if len(lengths) != 1 or lengths[0] < _ISO_DATE:
        return None
    zone = _ISO_ZONE.search(texts[0].as_py())
    offsets = None
    if zone is not None:
        zones = Coded.of(pc.utf8_slice_codeunits(texts, zone.start()))
        minutes = [
            offset_minutes(name) if _ISO_ZONE.search("0" + name) else None for name in zones.values
        ]
        if None in minutes:
            return None
        offsets = np.array(minutes, dtype=np.int64)[zones.codes]
        texts = pc.utf8_slice_codeunits(texts, 0, zone.start())
    try:
        found = pc.cast(texts, pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return None
    return pd.DatetimeIndex(found.to_numpy(zero_copy_only=False)), offsets
