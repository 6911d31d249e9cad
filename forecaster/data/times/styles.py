"""The ways in which dates are written, and reading them: texts → dates, NaT where one is not so.

A style is a strptime format of a date whose spelling is plain (``plain``), or ``half-year``,
``quarter``, ``iso-week``, ``years`` (2010/11). Only different dates are read, of which a column
has few.
"""

import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MONTH_OF_YEAR = "%b %y"
FIRST_YEAR, LAST_YEAR = 1678, 2261  # the range of nanoseconds since 1970, with a margin
ISO, HALF_YEAR, QUARTER = "%Y-%m-%d", "half-year", "quarter"
ISO_WEEK, YEARS = "iso-week", "years"
# of styles on one line, those on the next are taken only where none of these fits
_USUAL = (
    *(ISO, "%Y/%m/%d", "%Y.%m.%d", "%Y %m %d", "%Y%m%d"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d %m %Y"),
    *("%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    *("%y%m%d", "%d%m%y", "%m%d%y"),
    *("%d.%m.%y", "%y.%m.%d"),
    *("%d %b %Y", "%b %d %Y", "%Y %b %d", "%d %b %y", "%b %d %y"),
    *("%b %Y", "%Y %b", MONTH_OF_YEAR),
    *("%Y-%m", "%Y/%m", "%Y.%m", "%Y %m", "%Y:%m", "%YM%m", "%Y%m", "%m/%Y", "%m-%Y", "%m.%Y"),
    *("%Y-%j", "%Y%j", "%Y年%m月%d日", "%Y年%m月", "%Y"),
    *(HALF_YEAR, QUARTER, ISO_WEEK, YEARS),
)
_UNUSUAL = ("%m.%d.%Y", "%m.%d.%y", "%Y-%d-%m", "%Y/%d/%m", "%y %b %d", "%d%m%Y", "%m%d%Y")
STYLES = (*_USUAL, *_UNUSUAL)
_DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%j": r"\d{3}", "%b": r"[A-Za-z]{3}"}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = re.compile(
    r"(?<![a-z])(?:(jan)(?:uary)?|(feb)(?:ruary)?|(mar)(?:ch)?|(apr)(?:il)?|(may)|(june?)|(july?)|"
    r"(aug)(?:ust)?|(sep)(?:t(?:ember)?)?|(oct)(?:ober)?|(nov)(?:ember)?|(dec)(?:ember)?)"
    r"(?![a-z])\.?",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(
    r"^(?:mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?\.?,?\s+|"
    r",?\s+(?:mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?\.?$",
    re.IGNORECASE,
)
_QUARTERS = (
    re.compile(r"(?P<y>\d{4})\s?[-:/. ]?\s?[QT]0?(?P<q>[1-4])", re.IGNORECASE),
    re.compile(r"[QT]0?(?P<q>[1-4])\s?[-:/. ]?\s?(?P<y>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<q>[1-4])[QT]\s?[-:/. ]?\s?(?P<y>\d{4})", re.IGNORECASE),
)
_HALF_YEARS = (
    re.compile(r"(?P<y>\d{4})\s?[-:/. ]?\s?[HS](?P<h>[12])", re.IGNORECASE),
    re.compile(r"[HS](?P<h>[12])\s?[-:/. ]?\s?(?P<y>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<h>[12])H\s?[-:/. ]?\s?(?P<y>\d{4})", re.IGNORECASE),
)
# years of two digits, where a letter or a mark parts them from the quarter: Q1 10, 1Q10, 10-Q1
_SHORT_QUARTERS = (
    re.compile(r"Q(?P<q>[1-4])\s?[-:/.' ]\s?'?(?P<y>\d\d)", re.IGNORECASE),
    re.compile(r"(?P<q>[1-4])Q\s?[-:/.']?\s?(?P<y>\d\d)", re.IGNORECASE),
    re.compile(r"(?P<y>\d\d)\s?[-:/.]?\s?Q(?P<q>[1-4])", re.IGNORECASE),
)
_WEEKS = (
    re.compile(
        r"(?P<y>\d{4})\s?[-:/ ]?\s?(?:K?W|Week|Woche)\s?(?P<w>\d{1,2})(?:-?(?P<d>[1-7]))?",
        re.IGNORECASE,
    ),
    re.compile(r"(?:K?W|Week|Woche)\s?(?P<w>\d{1,2})\s?[-:/ ]?\s?(?P<y>\d{4})", re.IGNORECASE),
    # where they are known to be weeks: 202005, 2020.05, 2020-05, 05/2020
    re.compile(r"(?P<y>\d{4})\.?(?P<w>\d{2})"),
    re.compile(r"(?P<y>\d{4})[-/ ](?P<w>\d{1,2})"),
    re.compile(r"(?P<w>\d{1,2})[-/. ](?P<y>\d{4})"),
)
_BARE_WEEKS = _WEEKS[2:]
_LAST_SHORT_YEAR = 2049  # 49 is 2049, 50 is 1950, unless the other dates continue over it


@lru_cache(maxsize=1024)
def plain(date: str) -> str:
    """A date in plain spelling: ``Mon, 1st June, 2019``, ``01JUN2019`` → ``1 jun 2019``."""
    date = _WEEKDAY.sub("", date.strip())
    found = _MONTH.search(date)
    if found is None:
        return re.sub(r"(?<=\d)\.\s+(?=\d)", ".", date)
    name = found[0][:3].lower()
    date = f"{date[: found.start()]} {name} {date[found.end() :]}"
    date = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", date, flags=re.IGNORECASE)
    return " ".join(re.sub(r"[-/.,]|\b(?:de|of)\b", " ", date).split())


def has_day(style: str) -> bool:
    """Whether a style tells the day, so that a time of day may follow."""
    return style not in STYLES or any(code in style for code in ("%d", "%j", ISO_WEEK))


def fitting(
    dates: Sequence[str], weeks: bool = False, only: Sequence[str] | None = None
) -> list[str]:
    """The styles, of those in ``only``, that fit all dates; unusual ones where no usual one does.

    ``weeks``: six digits are known to be years and weeks, and a year and another number may be.
    """
    if not dates:
        return []
    if only is not None:
        return [style for style in only if style in STYLES and _fits(dates, style)]
    if weeks and all(re.fullmatch(r"\d{6}", date) for date in dates):
        return [ISO_WEEK] if _fits(dates, ISO_WEEK) else []
    spans = len(set(dates)) > 1 or re.fullmatch(r"\d{4}.\d{4}", dates[0])
    if spans and _fits(dates, YEARS):  # no months that all are their years' numbers
        return [YEARS]
    unmarked = not weeks and _is_bare_week(dates[0])
    tried = [style for style in _USUAL if style != YEARS and not (unmarked and style == ISO_WEEK)]
    if found := [style for style in tried if _fits(dates, style)]:
        return found
    # without a name that says so 202035 is a week, 35/2020 may be anything
    last = (*_UNUSUAL, ISO_WEEK) if dates[0].isdigit() else _UNUSUAL
    return [style for style in last if _fits(dates, style)]


def _fits(dates: Sequence[str], style: str) -> bool:
    if dates and not _has_shape(dates[0], style):
        return False
    return not (read_dates(dates[:20], style).hasnans or read_dates(dates, style).hasnans)


def _has_shape(date: str, style: str) -> bool:
    """Whether a date could be in a style, told without reading it."""
    if style == QUARTER and _short_quarter(date):
        return True
    if style in _COUNTED:
        return _COUNTED[style](date) is not None
    if style not in STYLES or style == "%Y.%m":
        return True
    return _shape(style).fullmatch(plain(date)) is not None


def read_dates(dates: Sequence[str], style: str) -> pd.DatetimeIndex:
    """Dates in a style of ``STYLES``, or, as they are spelt, in any other strptime format."""
    if style == QUARTER and dates and _short_quarter(dates[0]):
        return _with_century([_short_quarter(date) for date in dates], "%y-%m")
    if style in _COUNTED:
        return _from_numbers([_COUNTED[style](date) for date in dates])
    if style == "%Y.%m" and any(re.fullmatch(r"\d{4}\.0\d", date) for date in dates):
        dates = [re.sub(r"^(\d{4}\.1)$", r"\g<1>0", date) for date in dates]  # as a number
    if style in STYLES:
        shape = _shape(style)
        spelt = [plain(date) for date in dates]
        dates = [date if shape.fullmatch(date) else "" for date in spelt]
    if "%y" in style:
        return _with_century(dates, style)
    return pd.DatetimeIndex(pd.to_datetime(list(dates), format=style, errors="coerce"))


@cache
def _shape(style: str) -> re.Pattern[str]:
    """Digits of the years as the style says; of days and months two where nothing parts them."""
    parted = re.search(r"%[md]%|%[Yy]%", style) is None
    codes = {**_DIGITS, "%m": r"\d{1,2}" if parted else r"\d\d", "%d": r"\d{1,2}"}
    codes |= {} if parted else {"%d": r"\d\d"}
    parts = re.split(r"(%[A-Za-z])", style)
    return re.compile("".join(codes.get(part, re.escape(part)) for part in parts), re.IGNORECASE)


def is_half_year(cell: str) -> bool:
    """Whether a cell is a half-year."""
    return _half_year(cell) is not None


def _half_year(date: str) -> tuple[int, int, int] | None:
    match = next((m for p in _HALF_YEARS if (m := p.fullmatch(date.strip()))), None)
    return None if match is None else (int(match["y"]), 6 * int(match["h"]) - 5, 1)


def _quarter(date: str) -> tuple[int, int, int] | None:
    match = next((m for p in _QUARTERS if (m := p.fullmatch(date.strip()))), None)
    return None if match is None else (int(match["y"]), 3 * int(match["q"]) - 2, 1)


def _short_quarter(date: str) -> str:
    """The year of two digits and the first month of a quarter, ``10-01``; '' for other texts."""
    match = next((m for p in _SHORT_QUARTERS if (m := p.fullmatch(date.strip()))), None)
    return "" if match is None else f"{match['y']}-{3 * int(match['q']) - 2:02d}"


def _years(date: str) -> tuple[int, int, int] | None:
    """The first of two consecutive years."""
    match = re.fullmatch(r"(\d{4})\s?[-/–]\s?(\d{2}|\d{4})", date.strip())
    if match is None or not str(int(match[1]) + 1).endswith(match[2]):
        return None
    return int(match[1]), 1, 1


def _is_bare_week(date: str) -> bool:
    """Whether it is a year and another number, without a letter that says what that counts."""
    return any(pattern.fullmatch(date.strip()) for pattern in _BARE_WEEKS)


def _week(date: str) -> tuple[int, int, int] | None:
    match = next((m for p in _WEEKS if (m := p.fullmatch(date.strip()))), None)
    if match is None:
        return None
    try:
        monday = dt.date.fromisocalendar(
            int(match["y"]), int(match["w"]), int(match.groupdict().get("d") or 1)
        )
    except ValueError:
        return None
    return monday.year, monday.month, monday.day


_COUNTED: dict[str, Callable[[str], tuple[int, int, int] | None]] = {
    HALF_YEAR: _half_year,
    QUARTER: _quarter,
    ISO_WEEK: _week,
    YEARS: _years,
}


def _from_numbers(dates: list[tuple[int, int, int] | None]) -> pd.DatetimeIndex:
    texts = ["" if date is None else "{:04d}-{:02d}-{:02d}".format(*date) for date in dates]
    return pd.DatetimeIndex(pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce"))


def _with_century(dates: Sequence[str], style: str) -> pd.DatetimeIndex:
    """Years of two digits, in the century in which all of them lie closest together."""
    found = pd.DatetimeIndex(pd.to_datetime(list(dates), format=style, errors="coerce"))
    known = np.asarray(found.notna())
    if not known.any():
        return found
    short = found.year.to_numpy()[known].astype(np.int64) % 100
    shift = np.zeros(len(found), np.int64)
    shift[known] = _centuries(short) + short - found.year.to_numpy()[known].astype(np.int64)
    moved = [
        "" if not ok else f"{stamp.year + by:04d}-{stamp.month:02d}-{stamp.day:02d}"
        for stamp, by, ok in zip(found, shift, known, strict=True)
    ]
    return pd.DatetimeIndex(pd.to_datetime(moved, format="%Y-%m-%d", errors="coerce"))


def _centuries(short: NDArray[np.int64]) -> NDArray[np.int64]:
    """The century (1900, …) of each year of two digits.

    On the circle of a hundred years the longest run of unused ones lies before the first.
    """
    used = np.unique(short)
    before = np.diff(used, prepend=used[-1] - 100)  # years since the one before it on the circle
    first = used[int(np.argmax(before))]
    later = (short - first) % 100  # years after the first
    start = 1900 + first
    if start + 100 + later.max() <= _LAST_SHORT_YEAR:
        start += 100
    return start + later - short
