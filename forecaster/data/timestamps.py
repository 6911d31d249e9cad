"""Whether a column holds times, and reading it in the one way in which it is meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.marks import is_number
from forecaster.data.reading import RawTable
from forecaster.data.texts import as_texts
from forecaster.data.times.choice import is_regular, likely
from forecaster.data.times.formats import check_format, is_own, option_for
from forecaster.data.times.numeric_times import EPOCH_DAYS, EXCEL, is_plain_number, whole_numbers
from forecaster.data.times.readings import (
    Stamps,
    days_without_year,
    fits_own_format,
    is_weekly,
    is_written_as,
    numeric_styles,
    readings_of,
)
from forecaster.data.times.styles import FIRST_YEAR, ISO_WEEK, LAST_YEAR, MONTH_OF_YEAR, has_day
from forecaster.data.times.text_times import Source, could_be_times, out_of_range
from forecaster.errors import UserError

_NAMED = re.compile(
    r"date|time|year|month|day|week|quarter|^ds$|^ts?$|stamp|period|epoch|unix|"
    r"datum|zeit|jahr|monat|woche|fecha|hora|mes$|ann[ée]e|heure|jour|"
    r"(?:yyyy|aaaa|jjjj)[-_ ]?mm|mm[-_ ]?(?:yyyy|aaaa|jjjj)",  # written as a format: AAAAMMJJ
    re.IGNORECASE,
)
# numbers of five digits, and of four, are times only in columns of these names
_DATED = re.compile(r"dat[eu]|fecha|stamp", re.IGNORECASE)
_YEARLY = re.compile(
    r"year|yr|jahr|jaar|ann[eéo]|año|dat[eu]|period|season|stamp|^(time|t|ds|ts)$", re.IGNORECASE
)
_QUARTERLY = re.compile(r"quarter|quartal|trimest|kwartaal|kvartal|qtr", re.IGNORECASE)
_REGULAR = "by which the times are regular"
_YEARS = (1400, 2300)  # of four digits; those too early or late to be told are named
_YEAR = 365  # days
_SIX_DIGITS, _DASHED = ("%y%m%d", "%d%m%y", "%m%d%y"), "%y-%m-%d"
_MANY = 2000  # of a column of numbers, enough to tell whether they are times
AS_DEFAULT = Columns()


def looks_like_time(name: str, column: Column, columns: Columns = AS_DEFAULT) -> bool:
    """Whether a column holds times, by its name and its first, middle and last value.

    Numbers are times only if the column's name says so. ``columns``: for the format of dates and
    the language of their names, if they are given.
    """
    if isinstance(column, pd.DatetimeIndex):
        return True
    probe = _probe(column)
    given = columns.date_format
    if given is not None and is_own(given):
        check_format(given)
        return bool(probe) and fits_own_format(pa.array(probe), given, columns.locale)
    if any(is_number(cell) and not is_plain_number(cell) for cell in probe):
        return False  # 1,234.5
    if not all(map(is_plain_number, probe)):
        weeks = is_weekly(name) or given == ISO_WEEK
        return all(could_be_times([cell], columns.locale, weeks) for cell in probe)
    if not probe or _NAMED.search(name) is None:
        return False
    some = column[:: max(len(column) // _MANY, 1)]
    return all(_are_times(name, each) for each in (pa.array(probe), _present(as_texts(some))))


def _are_times(name: str, texts: pa.StringArray) -> bool:
    """Whether the numbers in a column that is named as a time are times."""
    numbers = whole_numbers(texts)
    if numbers is None:
        return True  # a row that is no number is named later
    if pc.all(pc.match_substring_regex(numbers, r"^\d{4}$")).as_py():
        values = pc.cast(numbers, pa.int64()).to_numpy()
        return _YEARLY.search(name) is not None and bool(
            ((values >= _YEARS[0]) & (values < _YEARS[1])).all()
        )
    return any(
        _DATED.search(name) or style not in {EXCEL, EPOCH_DAYS}
        for style in numeric_styles(name, numbers)
    )


def _present(texts: pa.StringArray) -> pa.StringArray:
    return texts.filter(pc.not_equal(texts, ""))


def _probe(column: Text | NDArray[np.float64]) -> list[str]:
    """The first, middle and last value; where one is blank, of those that are not."""
    if isinstance(column, Text) and len(column):
        probe = [column[0], column[len(column) // 2], column[-1]]
        if all(probe):
            return probe
    for step in (max(len(column) // 30, 1), 1):
        present = _present(as_texts(column[::step])).to_pylist()
        if present:
            return [present[0], present[len(present) // 2], present[-1]]
    return []


def parse_stamps(
    raw: RawTable, name: str, columns: Columns = AS_DEFAULT, usual: str | None = None
) -> Stamps:
    """Parse the time column ``name``, whose rows must have one format: ``date_format`` if given.

    ``usual``: the style that a model was trained with, which is taken if it fits.
    """
    column = raw.columns[name]
    if isinstance(column, pd.DatetimeIndex):
        return _typed_stamps(raw, name, column)
    source = Source(raw, name, as_texts(column), columns.locale, columns.timezone)
    blank = np.flatnonzero(pc.equal(source.texts, "").to_numpy(zero_copy_only=False))
    if len(blank):
        raise UserError(
            f"{raw.where(int(blank[0]), name)}: the time is missing; fill it in or remove the row"
        )
    given = columns.date_format
    if given is not None:
        check_format(given)
    elif usual is not None and is_written_as(source, usual):
        given = usual
    stamps = _chosen(source, readings_of(source, given))
    if given is None and stamps.date_style == MONTH_OF_YEAR:
        _check_year(source, stamps.wall)
    if given is None and _QUARTERLY.search(name):
        _check_quarters(source, stamps)
    _check_years(source, stamps.wall)
    return stamps


def _chosen(source: Source, readings: dict[str, Stamps]) -> Stamps:
    """The reading that is meant; raises UserError where that is open."""
    if len(readings) == 1:
        return next(iter(readings.values()))
    readings = _compact(readings)
    rivals = _or_days(readings, likely({style: each.wall for style, each in readings.items()}))
    options, why = {style: option_for(style, list(readings)) for style in readings}, _REGULAR
    if ISO_WEEK in readings and is_weekly(source.name) and is_regular(readings[ISO_WEEK].wall):
        rivals, why = [ISO_WEEK], "as the column is called a week"
    if len(rivals) > 1:
        row = _first_difference([readings[style].wall for style in rivals])
        ways = [f"{_day(readings[s], row)} (--date-format {options[s]})" for s in rivals]
        raise UserError(
            f"{source.raw.path}, column '{source.name}': '{source.cell(row)}' can be read as "
            f"{' and as '.join(ways)}, and every row in both ways; give the one that is meant"
        )
    chosen = readings[rivals[0]]
    others = [s for s in readings if not readings[s].wall.equals(chosen.wall)]
    if not others:
        return chosen
    row = _first_difference([chosen.wall, readings[others[0]].wall])
    note = (
        f"column '{source.name}': '{source.cell(row)}' is read as {_day(chosen, row)}, {why} "
        f"(otherwise --date-format {' or '.join(options[s] for s in others)})"
    )
    return replace(chosen, decisions=(*chosen.decisions, note))


def _compact(readings: dict[str, Stamps]) -> dict[str, Stamps]:
    """Six digits are read with the year first alone, unless that makes yearly times, or irregular
    ones where another order makes regular ones.
    """
    others = [style for style in _SIX_DIGITS[1:] if style in readings]
    first = readings.get(_SIX_DIGITS[0])
    if first is None or not others or _is_yearly(first.wall):
        return readings
    regular = any(is_regular(readings[style].wall) for style in others)
    if regular and not is_regular(first.wall):
        return readings
    return {style: each for style, each in readings.items() if style not in others}


def _or_days(readings: Mapping[str, Stamps], rivals: list[str]) -> list[str]:
    """With the days that ``12-01-01`` to ``12-01-31`` may be, where the rivals are yearly times."""
    days = readings.get(_DASHED)
    if days is None or not is_regular(days.wall) or _is_yearly(days.wall):
        return rivals
    yearly = all(_is_yearly(readings[style].wall) for style in rivals)
    return [*rivals, _DASHED] if yearly else rivals


def _is_yearly(wall: pd.DatetimeIndex) -> bool:
    """Whether no two different times are less than a year apart."""
    times = np.unique(wall)
    return bool((np.diff(times) >= np.timedelta64(_YEAR, "D")).all())


def _check_quarters(source: Source, stamps: Stamps) -> None:
    """Raise UserError for months in a column of quarters, none of them after April."""
    months = stamps.wall.month
    style = stamps.date_style
    if "%m" not in style or has_day(style) or months.max() > 4 or months.nunique() < 2:
        return
    row = int(months.argmax())
    year = stamps.wall.year[row]
    raise UserError(
        f"{source.raw.where(row, source.name)}: '{source.cell(row)}' is a month, but the column is "
        f"called like quarters, and no number is above 4; write quarters as {year}-Q{months[row]}, "
        f"or, if these are months, give --date-format {style}"
    )


def _turns(wall: pd.DatetimeIndex) -> int:
    """How often times go back, or forward where most go back."""
    steps = np.diff(wall.to_numpy(np.int64))
    return int(min((steps < 0).sum(), (steps > 0).sum()))


def _check_year(source: Source, wall: pd.DatetimeIndex) -> None:
    """Raise UserError for months and years of two digits that may be days of months instead."""
    days = days_without_year(source)
    if days is None or (not _is_yearly(wall) and _turns(wall) <= _turns(days)):
        return
    last = source.cell(len(wall) - 1)
    raise UserError(
        f"{source.raw.path}, column '{source.name}': '{source.cell(0)}' to '{last}' may be days "
        f"without their year; write the year into each cell, or, if these are months, give "
        f"--date-format '{MONTH_OF_YEAR}'"
    )


def _first_difference(walls: Sequence[pd.DatetimeIndex]) -> int:
    different = [(wall != walls[0]).argmax() for wall in walls[1:] if not wall.equals(walls[0])]
    return int(min(different))


def _day(stamps: Stamps, row: int) -> str:
    day = stamps.wall[row]
    return f"{day.day} {day.month_name()} {day.year}"


def _check_years(source: Source, wall: pd.DatetimeIndex) -> None:
    years = wall.year.to_numpy()
    outside = np.flatnonzero(~((years >= FIRST_YEAR) & (years <= LAST_YEAR)))
    if len(outside):
        raise out_of_range(source, int(outside[0]), len(outside))


def _typed_stamps(raw: RawTable, name: str, column: pd.DatetimeIndex) -> Stamps:
    blank = np.flatnonzero(column.isna())
    if len(blank):
        raise UserError(
            f"{raw.where(int(blank[0]), name)}: the time is missing; fill it in or remove the row"
        )
    _check_years(Source(raw, name, column), column)
    if column.tz is None:
        date_only = bool((column == column.normalize()).all())
        return Stamps(column.as_unit("ns"), None, "timestamps", date_only)
    wall = column.tz_localize(None).as_unit("ns")
    utc = column.tz_convert("UTC").tz_localize(None).as_unit("ns")
    offsets = ((wall - utc) // pd.Timedelta(minutes=1)).to_numpy(dtype=np.int64)
    return Stamps(wall, offsets, "timestamps with a zone", False)
