"""The sampling interval of a series, inferred from its times, and the grid of times it spans."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.offsets import BaseOffset

from forecaster.data.exchanges import trading_day
from forecaster.errors import UserError

EXCHANGE = "exchange:"
CLOSE_DAYS = 4  # that exchanges may be closed at the end of a month
_DAY = pd.Timedelta(days=1)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# older aliases that are still in use
_OLD_ALIASES = {
    "M": "ME",
    "Q": "QE-DEC",
    "A": "YE-DEC",
    "Y": "YE-DEC",
    "H": "h",
    "T": "min",
    "S": "s",
    "W": "W-SUN",
}


@dataclass(frozen=True)
class Interval:
    """An interval by its pandas offset alias, such as ``15min``, ``D``, ``W-TUE``, ``QS-JAN``.

    ``exchange:XNYS`` are the trading days of an exchange.
    Calendar intervals may have a constant shift within the period (the 15th of a month, 06:00 of a
    business day), which the first time of a series determines.
    """

    alias: str

    @cached_property
    def offset(self) -> BaseOffset:
        """The pandas offset of the alias."""
        if self.of_exchange:
            return trading_day(self.alias.removeprefix(EXCHANGE))
        return pd.tseries.frequencies.to_offset(self.alias)

    @property
    def of_exchange(self) -> bool:
        """Whether it is the trading days of an exchange."""
        return self.alias.startswith(EXCHANGE)

    @property
    def of_business_days(self) -> bool:
        """Whether its steps are business or trading days."""
        return self.of_exchange or self.alias == "B"

    @cached_property
    def tick(self) -> pd.Timedelta | None:
        """The fixed length of one step, or None for a calendar interval."""
        offset = self.offset
        return (
            pd.Timedelta(offset.nanos, unit="ns")
            if isinstance(offset, pd.tseries.offsets.Tick)
            else None
        )

    @property
    def length(self) -> pd.Timedelta | None:
        """The length of every step: of weeks, too, which are counted from a day."""
        weekly = isinstance(self.offset, pd.tseries.offsets.Week)
        return pd.Timedelta(7 * self.offset.n, unit="D") if weekly else self.tick

    @property
    def named_by_end(self) -> bool:
        """Whether a period is named by its last day: weeks, and ``ME``, ``QE``, ``YE``."""
        name = self.offset.name.partition("-")[0]
        return name == "W" or name.endswith("E")

    @property
    def of_trading(self) -> bool:
        """Whether it may be the first or the last trading day of a longer period."""
        return self.alias.startswith("W-") or (
            not self.of_business_days and self.offset.name[0] == "B"
        )

    @cached_property
    def period_alias(self) -> str:
        """The pandas period alias that GluonTS works with."""
        if self.of_exchange:
            return "B"
        if self.tick is not None or self.alias == "B" or self.alias.startswith("W-"):
            return self.alias
        name, _, anchor = self.offset.name.partition("-")
        count = "" if self.offset.n == 1 else str(self.offset.n)
        kind = name.removeprefix("B")[0]
        if kind == "M" or not anchor:
            return f"{count}{kind}"
        # a period is named by the month it ends in, a start offset by the month it begins in
        month = _MONTHS.index(anchor) - (1 if name.endswith("S") else 0)
        return f"{count}{kind}-{_MONTHS[month % 12]}"

    @property
    def season(self) -> int:
        """Steps in a season: a day for shorter steps, a week for days, a year for longer steps."""
        tick = self.tick
        if tick is not None and tick < _DAY:
            return int(_DAY / tick) if _DAY % tick == pd.Timedelta(0) else 1
        if tick is not None:
            return 7 if tick == _DAY else 1
        if self.of_exchange:
            return 5
        per_year = {"B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
        return max(
            per_year[self.offset.name.partition("-")[0].removeprefix("B")[:1] or "B"]
            // self.offset.n,
            1,
        )

    def stamps(self, first: pd.Timestamp, periods: int) -> pd.DatetimeIndex:
        """``periods`` times on the grid, beginning with ``first``."""
        base = first if self.tick is not None else self._base(first)
        try:
            return pd.date_range(base, periods=periods, freq=self.offset) + (first - base)
        except (pd.errors.OutOfBoundsDatetime, OverflowError) as error:
            raise UserError(
                f"{periods} steps of {self.alias} from {first} on go beyond the year 2262, the "
                "last one that can be represented; correct the times, or give a smaller --horizon"
            ) from error

    def stamp(self, first: pd.Timestamp, position: int) -> pd.Timestamp:
        """The time at a ``position`` of the grid that begins with ``first`` at 0."""
        return _stamp(self, first, position)

    def after(self, first: pd.Timestamp, stamp: pd.Timestamp) -> pd.Timestamp:
        """The time that follows ``stamp`` on the grid that begins with ``first``."""
        shift = pd.Timedelta(0) if self.tick is not None else first - self._base(first)
        return stamp - shift + self.offset + shift

    def steps_before(self, first: pd.Timestamp, stamp: pd.Timestamp) -> int:
        """The number of times before ``stamp`` on the grid that begins with ``first``."""
        if self.tick is not None:
            return max(-((first - stamp) // self.tick), 0)
        base = self._base(first)
        end = stamp - (first - base)
        return int(pd.date_range(base, end, freq=self.offset).searchsorted(end))

    def positions(self, stamps: pd.DatetimeIndex) -> NDArray[np.int64]:
        """The grid index of each time (n,), counted from the first; -1 for a time off the grid."""
        first, last = stamps[0], stamps[-1]
        if self.tick is not None:
            steps, rest = np.divmod((stamps - first).to_numpy(np.int64), self.tick.value)
            return np.where(rest == 0, steps, -1).astype(np.int64)
        base = self._base(first)
        shift = first - base
        grid = pd.date_range(base, last - shift, freq=self.offset)
        return np.asarray(grid.get_indexer(stamps - shift), dtype=np.int64)

    def _base(self, first: pd.Timestamp) -> pd.Timestamp:
        return pd.Timestamp(self.offset.rollback(first.normalize()))


@lru_cache(maxsize=4096)  # many series begin and end at the same times
def _stamp(interval: Interval, first: pd.Timestamp, position: int) -> pd.Timestamp:
    return interval.stamps(first, position + 1)[-1]


def step_number(period: pd.Period) -> int:
    """The number of periods since 1970, so that two files agree on the phase of a season."""
    return int(period.ordinal // period.freq.n)


def parse_interval(alias: str, option: str = "freq") -> Interval:
    """The interval of an alias given as an option; raises UserError for an unknown one."""
    try:
        with warnings.catch_warnings():  # of aliases that pandas is about to give up
            warnings.simplefilter("ignore", FutureWarning)
            offset = pd.tseries.frequencies.to_offset(_OLD_ALIASES.get(alias, alias))
        if offset.n < 1:
            raise ValueError("not a positive step")
        interval = Interval(offset.freqstr)
        pd.Period("2020-01-01", freq=interval.period_alias)
        _ = interval.season
    except (ValueError, KeyError, AttributeError, IndexError) as error:
        raise UserError(
            f"--{option} {alias}: no such interval; give one like 15min, h, D, B, W-MON, MS, ME, "
            "QE-DEC"
        ) from error
    return interval


def read_interval(alias: str) -> Interval:
    """The interval of an alias as it was saved; raises ValueError for another."""
    try:
        if not alias.startswith(EXCHANGE):
            return parse_interval(alias)
        trading_day(alias.removeprefix(EXCHANGE))
        return Interval(alias)
    except (AttributeError, UserError) as error:
        raise ValueError(f"the interval {alias!r}") from error


def find_interval(series: Sequence[pd.DatetimeIndex]) -> Interval | None:
    """The interval of sorted, unique times, common to all series; None without two times."""
    steps = np.concatenate([np.diff(stamps.to_numpy(np.int64)) for stamps in series])
    if len(steps) == 0:
        return None
    steps[steps < 0] = np.iinfo(np.int64).max  # more nanoseconds than fit
    values, counts = np.unique(steps, return_counts=True)
    modal = pd.Timedelta(int(values[np.argmax(counts)]), unit="ns")
    if modal >= pd.Timedelta(days=28) and not (len(values) == 1 < len(steps) and _in_weeks(modal)):
        return _find_months(series)
    if modal == _DAY and _is_business(series):
        return Interval("B")
    if modal == 7 * _DAY:
        return Interval(f"W-{_WEEKDAYS[series[0][0].weekday()]}")
    return Interval(pd.tseries.frequencies.to_offset(modal).freqstr)  # type: ignore[call-overload]


def _in_weeks(step: pd.Timedelta) -> bool:
    return step % (7 * _DAY) == pd.Timedelta(0)


def _is_business(series: Sequence[pd.DatetimeIndex]) -> bool:
    stamps = pd.DatetimeIndex(np.concatenate([each.to_numpy() for each in series]))
    weekdays = stamps.weekday.to_numpy()
    if (weekdays >= 5).any():
        return False
    steps = np.diff(stamps.to_numpy(), prepend=stamps[0].to_numpy())
    firsts = np.cumsum([0, *map(len, series[:-1])])
    steps[firsts[firsts < len(steps)]] = np.timedelta64(0)
    return bool(((steps >= np.timedelta64(3, "D")) & (weekdays == 0)).any())


def _find_months(series: Sequence[pd.DatetimeIndex]) -> Interval:
    stamps = series[int(np.argmax([len(s) for s in series]))]
    months = (stamps.year * 12 + stamps.month).to_numpy()
    values, counts = np.unique(np.diff(months), return_counts=True)
    step = int(values[np.argmax(counts)])
    days = stamps.normalize()
    month_ends = bool((days.day == days.days_in_month).all())
    month = int(stamps[0].month)
    business, letter = "", "E"
    if (days.day == 1).all():
        letter = "S"
    elif not month_ends and (trading := _trading_edge(days)) is not None:
        business, letter = "B", trading
    elif not month_ends and days.day.max() <= 28:
        letter = "S"
    if step % 12 == 0 and step > 0:
        return Interval(_times(step // 12, f"{business}Y{letter}-{_MONTHS[month - 1]}"))
    if step == 3:
        anchor = _MONTHS[(month - 1) % 3 + (9 if letter == "E" else 0)]
        return Interval(f"{business}Q{letter}-{anchor}")
    return Interval(_times(max(step, 1), f"{business}M{letter}"))


def _trading_edge(days: pd.DatetimeIndex) -> str | None:
    """S or E for business days that are mostly the first or the last of their months."""
    if not (days.weekday < 5).all():
        return None
    months = days.to_numpy().astype("M8[M]")
    firsts = np.busday_offset(months.astype("M8[D]"), 0, "forward")
    lasts = np.busday_offset((months + 1).astype("M8[D]"), -1, "forward")
    away = days.to_numpy().astype("M8[D]") - firsts, lasts - days.to_numpy().astype("M8[D]")
    for letter, distance in zip("SE", (d.astype(int) for d in away), strict=True):
        if (distance == 0).mean() >= 0.5 and ((distance >= 0) & (distance <= CLOSE_DAYS)).all():
            return letter
    return None


def _times(count: int, alias: str) -> str:
    return alias if count == 1 else f"{count}{alias}"
