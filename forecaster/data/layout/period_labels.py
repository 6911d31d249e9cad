"""Names of columns that are periods of a longer time: months of a year, hours of a day."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_CLOCK = re.compile(
    r"(\d{1,2})(?:[:.h]([0-5]\d)(?::00)?)\s?(am|pm)?|(\d{1,2})\s?(am|pm)", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?:(?P<word>[^\W\d_]*)[\s_.-]?)(?P<number>\d{1,3})", re.IGNORECASE)
_DAY = pd.Timedelta(days=1)
_FEWEST_MONTHS = 4

# words before the numbers of periods, by what they number
_WORDS = {
    "month": {"m", "mon", "month", "monat", "mes", "mois"},
    "quarter": {"q", "qtr", "quarter", "quartal", "t", "trimestre"},
    "hour": {"h", "hr", "hour", "hours", "he", "stunde", "std", "heure", "hora", "t"},
    "day": {"d", "day", "tag", "jour", "dia"},
    "period": {"p", "sp", "period", "interval", "slot"},
}


@dataclass(frozen=True)
class Periods:
    """Columns that are the periods of a longer time, the ``base``: a year, month, week or day.

    ``shifts``: months and time from the beginning of the base, one for each of ``columns``.
    """

    columns: tuple[str, ...]
    what: str
    base: str
    shifts: tuple[tuple[int, pd.Timedelta], ...]
    first_weekday: int = 0

    def after(self, begin: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """The times of all periods (n · p,), base by base; NaT for the 30th of a February."""
        columns = [_shifted(begin, months, time) for months, time in self.shifts]
        times = pd.DatetimeIndex(np.stack([each.to_numpy() for each in columns], axis=1).ravel())
        if self.base != "month":
            return times
        months = begin.to_period("M").repeat(len(self.shifts))
        return pd.DatetimeIndex(times.where(times.to_period("M") == months))


def _shifted(begin: pd.DatetimeIndex, months: int, time: pd.Timedelta) -> pd.DatetimeIndex:
    first = begin.to_numpy().astype("datetime64[M]")
    since = begin.to_numpy() - first
    return (
        pd.DatetimeIndex((first + np.timedelta64(months, "M") + since).astype("datetime64[ns]"))
        + time
    )


def find_periods(names: Sequence[str]) -> Iterator[Periods]:
    """What columns of these names, some of them or all, can be the periods of."""
    for read in (_months, _quarters, _weekdays, _clock_times):
        numbers = {name: number for name in names if (number := read(name)) is not None}
        yield from _of_names(read, numbers)
    yield from _numbered(names)


def _months(name: str) -> int | None:
    return _beginning(name, _MONTHS)


def _weekdays(name: str) -> int | None:
    return _beginning(name, _DAYS)


def _beginning(name: str, known: str) -> int | None:
    """The number of the word of ``known`` that a name abbreviates, by three letters at least."""
    text = name.strip().rstrip(".").lower()
    if len(text) < 3:
        return None
    return next((i for i, word in enumerate(known.split()) if word.startswith(text)), None)


def _quarters(name: str) -> int | None:
    match = re.fullmatch(
        r"(?:q|qtr|quarter)[\s_.-]?([1-4])|([1-4])(?:st|nd|rd|th)?[\s_.-]?(?:q|qtr|quarter)",
        name.strip(),
        re.IGNORECASE,
    )
    return None if match is None else int(match[1] or match[2]) - 1


def _clock_times(name: str) -> int | None:
    """Minutes since midnight."""
    match = _CLOCK.fullmatch(name.strip())
    if match is None:
        return None
    hour, half = int(match[1] or match[4]), (match[3] or match[5] or "").lower()
    if hour > (12 if half else 24) or (half and hour == 0):
        return None
    hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
    return 60 * hour + int(match[2] or 0)


def _of_names(read: Callable[[str], int | None], numbers: dict[str, int]) -> Iterator[Periods]:
    values = list(numbers.values())
    if read is _weekdays:
        values = [(n - values[0]) % 7 for n in values]
    if len(values) < 2 or values != sorted(set(values)):
        return
    columns, zero = tuple(numbers), pd.Timedelta(0)
    if read is _months and len(values) >= _FEWEST_MONTHS:
        yield Periods(columns, "months", "year", tuple((n, zero) for n in values))
    elif read is _quarters and len(values) == 4:
        yield Periods(columns, "quarters", "year", tuple((3 * n, zero) for n in values))
    elif read is _weekdays and len(values) >= 5:
        days = tuple((0, n * _DAY) for n in values)
        yield Periods(columns, "weekdays", "week", days, next(iter(numbers.values())))
    elif read is _clock_times and _fill_a_day(values):
        shifts = tuple((0, pd.Timedelta(minutes=n)) for n in values)
        yield Periods(columns, "times of day", "day", shifts)


def _fill_a_day(minutes: Sequence[int]) -> bool:
    steps = set(np.diff(minutes).tolist())
    return len(steps) == 1 and len(minutes) * steps.pop() == 24 * 60


def _numbered(names: Sequence[str]) -> Iterator[Periods]:
    """Columns numbered from 0 or 1 on, as many as there are periods in a base."""
    by_word: dict[str, dict[str, int]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name.strip())
        if match is not None:
            by_word.setdefault(match["word"].lower(), {})[name] = int(match["number"])
    for word, numbers in by_word.items():
        values = list(numbers.values())
        if values[0] > 1 or values != list(range(values[0], values[0] + len(values))):
            continue
        for what, base, counts, shift in _CYCLES:
            if len(values) in counts and (not word or word in _WORDS[what] | _WORDS["period"]):
                shifts = tuple(shift(i, len(values)) for i in range(len(values)))
                yield Periods(tuple(numbers), f"{what}s", base, shifts)


Shift = tuple[int, pd.Timedelta]


def _month(number: int, count: int) -> Shift:
    return 12 // count * number, pd.Timedelta(0)


def _part_of_a_day(number: int, count: int) -> Shift:
    return 0, number * (_DAY / count)


def _day(number: int, count: int) -> Shift:
    return 0, number * _DAY


# what is numbered, its base, how many there are, and their times after the base's beginning
_CYCLES: tuple[tuple[str, str, tuple[int, ...], Callable[[int, int], Shift]], ...] = (
    ("month", "year", (12,), _month),
    ("quarter", "year", (4,), _month),
    ("hour", "day", (24, 48, 96), _part_of_a_day),
    ("day", "month", (31,), _day),
    ("day", "week", (7,), _day),
)
