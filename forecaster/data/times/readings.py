"""A column of texts → its times in every style and kind that fits it."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from forecaster.data.times.formats import allowed, has_time, is_own
from forecaster.data.times.month_names import translated
from forecaster.data.times.numeric_times import (
    KINDS,
    fitting_numbers,
    is_utc,
    read_numbers,
    whole_numbers,
)
from forecaster.data.times.styles import ISO, MONTH_OF_YEAR, STYLES, fitting, read_dates
from forecaster.data.times.text_times import (
    Source,
    Texts,
    could_be_times,
    iso_times,
    read_texts,
    take_apart,
)
from forecaster.data.times.time_of_day import Coded, date_then_clock, split
from forecaster.errors import UserError

_WEEKLY = re.compile(r"week|woche|semaine|semana|^kw$|^wk$", re.IGNORECASE)


@dataclass(frozen=True)
class Stamps:
    """Local times ``wall`` (n,); ``offsets`` (n,) in minutes east of UTC, or None if not given.

    ``date_style``: how the dates are written, as ``--date-format`` takes it.
    """

    wall: pd.DatetimeIndex
    offsets: NDArray[np.int64] | None
    date_style: str
    date_only: bool
    decisions: tuple[str, ...] = ()

    @property
    def style(self) -> str:
        """The format in words, with what there is beside dates."""
        timed = "" if self.date_only else " with a time of day"
        return self.date_style + timed + ("" if self.offsets is None else " and offset")


def readings_of(source: Source, given: str | None) -> dict[str, Stamps]:
    """The times in every style and kind that fits, of those that ``given`` allows.

    Raises UserError if none does.
    """
    if given in {None, "ymd", ISO} and (iso := iso_times(source.texts)) is not None:
        date_only = iso[1] is None and len(source.cell(0)) == len("2020-01-01")
        return {ISO: Stamps(*iso, ISO, date_only)}
    if given is not None and is_own(given):
        return {given: _by_own_format(source, given)}
    found: dict[str, Stamps] = {}
    numbers = whole_numbers(source.texts)
    if numbers is not None:
        source = replace(source, texts=numbers)
        kinds = fitting_numbers(numbers) if given is None else [given] if given in KINDS else []
        found = {kind: _of_numbers(numbers, kind) for kind in kinds}
        if found and not any(could_be_times([cell]) for cell in numbers[:1].to_pylist()):
            return found
    parts = take_apart(source, is_weekly(source.name), None if given is None else allowed(given))
    if parts.styles or (given is None and not found):
        return found | _of_texts(source, parts)
    if not found:
        raise _not_as_given(source, parts, str(given))
    return found


def days_without_year(source: Source) -> pd.DatetimeIndex | None:
    """The texts as months and days of a leap year, if all of them can be."""
    parts = take_apart(source, weeks=False, only=[MONTH_OF_YEAR])
    wall = read_dates([f"{date} 2000" for date in parts.dates], "%b %d %Y")
    return None if wall.hasnans else wall.take(parts.cells.date.codes)


def is_written_as(source: Source, style: str) -> bool:
    """Whether all texts are times in a style or kind."""
    if style in KINDS:
        numbers = whole_numbers(source.texts)
        return numbers is not None and style in fitting_numbers(numbers)
    if style in STYLES:
        return bool(take_apart(source, is_weekly(source.name), [style]).styles)
    return is_own(style) and fits_own_format(source.texts, style, source.locale)


def fits_own_format(texts: pa.StringArray, given: str, locale: str | None = None) -> bool:
    """Whether all texts, or their dates, are in a strptime format."""
    wholes = (texts,) if has_time(given) else (texts, split(texts).date.values)
    return any(
        not read_dates(translated(pa.array(each).unique().to_pylist(), locale), given).hasnans
        for each in wholes
    )


def is_weekly(name: str) -> bool:
    """Whether a column's name says that it holds weeks."""
    return _WEEKLY.search(name) is not None


def _of_texts(source: Source, parts: Texts) -> dict[str, Stamps]:
    note = f"column '{source.name}': times are intervals, of which the start counts"
    decisions = (note,) if parts.intervals else ()
    return {
        style: Stamps(wall, offsets, style, not parts.timed, decisions)
        for style, (wall, offsets) in read_texts(source, parts).items()
    }


def _of_numbers(numbers: pa.StringArray, kind: str) -> Stamps:
    wall = read_numbers(numbers, kind)
    date_only = bool((wall == wall.normalize()).all())
    utc = is_utc(kind) and not date_only
    return Stamps(wall, np.zeros(len(wall), np.int64) if utc else None, kind, date_only)


def _by_own_format(source: Source, given: str) -> Stamps:
    """The times in a strptime format of the user's; without one of a time of day, of the dates."""
    timed = has_time(given)
    parts = None if timed else take_apart(source, weeks=False, only=())
    coded = Coded.of(source.texts) if parts is None else parts.cells.date
    texts = translated(coded.values, source.locale)
    if parts is not None and not read_dates(texts, given).hasnans:
        wall, offsets = read_texts(source, replace(parts, styles=[given]))[given]
        return Stamps(wall, offsets, given, not parts.timed)
    utc = "%z" in given
    read = pd.to_datetime(texts, format=given, errors="coerce", utc=utc)
    wall = pd.DatetimeIndex(read.tz_localize(None) if utc else read)
    row = coded.first(np.asarray(wall.isna()))
    if row is not None:
        raise not_written_as(source, row, given)
    offsets = np.zeros(len(coded.codes), np.int64) if utc else None
    return Stamps(wall.take(coded.codes), offsets, given, not timed)


def _not_as_given(source: Source, parts: Texts, given: str) -> UserError:
    """The first row that no allowed style fits."""
    misfits = [np.asarray(read_dates(parts.dates, style).isna()) for style in allowed(given)]
    rows = [row for misfit in misfits if (row := parts.cells.date.first(misfit)) is not None]
    return not_written_as(source, max(rows, default=0), given)


def not_written_as(source: Source, row: int, given: str) -> UserError:
    """The message for a row that is not in the given format."""
    return source.fault(
        row, f"is not a time written as {given}; correct it, or give another --date-format"
    )


def numeric_styles(name: str, numbers: pa.StringArray) -> list[str]:
    """The styles and kinds that numbers in a column of this name can be."""
    texts = date_then_clock(numbers).unique().to_pylist()
    dates = {text.partition(" ")[0]: None for text in texts}
    return fitting_numbers(numbers) + fitting([*dates], is_weekly(name))
