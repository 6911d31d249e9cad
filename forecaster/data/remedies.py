"""What a message proposes for times that are on no grid: options that are tried before."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock
from forecaster.data.exchanges import exchange_of
from forecaster.data.intervals import Interval, parse_interval
from forecaster.data.resampling import snapped, step_labels
from forecaster.data.times.zones import zone_of_gap, zone_of_midnights, zone_of_repeats

_COUNTS = {"ms": (1, 2, 5, 10, 20, 50, 100, 200, 500), "s": (1, 2, 5, 10, 15, 20, 30)}
_COUNTS |= {"min": (1, 2, 5, 10, 15, 20, 30), "h": (1, 2, 3, 4, 6, 8, 12)}
_SHORT = [f"{n}{unit}" if n > 1 else unit for unit, counts in _COUNTS.items() for n in counts]
_LONG = ["D", "W-SUN", "MS", "QS-JAN", "YS-JAN"]
_LENGTHS = dict(zip(_LONG, (1, 7, 30, 91, 365), strict=True))  # days, about
_JITTER = 0.3  # of a step, by which times may miss it
_ALIKE = 1.25
_FULL = 0.8  # of the steps have a row
_DAY = pd.Timedelta(days=1)
_USUAL = 0.4  # of the distances are the most frequent one
_FEW = 10  # distances that tell
_MANY = 1.5  # rows of a time, on average, that are no slips
_ONE_A_TIME = "remove them or give --on-duplicate first|last|mean"
_TOTALS = frozenset({"sum", "count"})
_NEAR = 0.25  # how far from the usual distance one may be that is near it, as a share
_SCATTERED = 0.35  # so many distances of events are near it at most, of measurements more
_EVENTS = 3  # in a step, on average
_OPEN = 0.6  # of the steps have events, as of five days a week
_NATURAL = frozenset({"min", "h", *_LONG})


def for_irregular(times: pd.DatetimeIndex, columns: Columns, clock: Clock) -> str:
    """What makes a grid of ascending, different times."""
    if columns.freq is not None and step_labels(times, parse_interval(columns.freq)).has_duplicates:
        return (
            f"put the rows of each {columns.freq} together with --aggregate mean (or sum, last …), "
            "or give the interval of the rows themselves with --freq"
        )
    usual = _usual(times)
    if clock.utc and columns.timezone is None and usual == _DAY:
        zone = zone_of_midnights(times)
        if zone is not None:
            return f"if these are days of another zone, give --timezone {zone}"
    return _snap(times, usual) or _resample(times, usual)


def for_duplicates(times: pd.DatetimeIndex, columns: Columns, clock: Clock) -> str:
    """What tells ascending times apart, of which some repeat, or puts them together."""
    zone = zone_of_repeats(times) if _is_local(columns, clock) else None
    if zone is not None:
        return (
            f"where the clock goes back, give --timezone {zone}, or the zone meant; otherwise "
            f"{_ONE_A_TIME}"
        )
    if columns.snap is not None:
        return "put the rows of a step together with --aggregate mean (or sum, last …)"
    if columns.known or columns.past or columns.static or columns.prior_column:
        # rows with covariates are not put together
        named = "" if columns.item_id else "name the series with --item-id, or "
        return f"{named}{_ONE_A_TIME}"
    if len(times) < _MANY * times.nunique():
        return _for_events(times.unique()) or _ONE_A_TIME
    clocks = (times - times.normalize()).nunique()
    step = "" if clocks == 1 else " --freq D" if times[-1] - times[0] >= 14 * _DAY else " --freq h"
    return f"put the rows of a time together with --aggregate sum{step} (or mean, last …)"


def _for_events(times: pd.DatetimeIndex) -> str | None:
    """What puts events together: different times that keep no usual distance, nor nearly one."""
    counts = np.unique(np.diff(times.to_numpy(np.int64)), return_counts=True)[1]
    if counts.sum() < _FEW or counts.max() > _USUAL * counts.sum():
        return None
    usual = _usual(times)
    return None if _snap(times, usual) else _resample(times, usual)


def for_gaps(
    times: pd.DatetimeIndex, first: int, interval: Interval, columns: Columns, clock: Clock
) -> str:
    """What to do about missing times, first after time number ``first``."""
    exchange = exchange_of(times) if interval.alias == "B" else None
    if exchange is not None:
        return (
            f"these are the trading days of an exchange: give --calendar-of {exchange}, or "
            "--on-gap fill to take holidays as missing values"
        )
    zone = zone_of_gap(times, first) if _is_local(columns, clock) else None
    if zone is not None:
        return (
            f"where the clock goes forward, give --timezone {zone}, or the zone meant; otherwise "
            "add the rows, or give --on-gap fill to take them as missing values"
        )
    # a shop's closed days, a sum of nothing
    idle = columns.aggregate in _TOTALS or interval.alias == "D"
    nothing = ", or --on-gap zero where nothing happened" if idle else ""
    return f"add the rows, or give --on-gap fill to take them as missing values{nothing}"


def _usual(times: pd.DatetimeIndex) -> pd.Timedelta:
    """The median distance; one of more than 292 years, which is beyond int64, as 292."""
    steps = np.diff(times.to_numpy(np.int64))
    known = np.sort(np.where(steps < 0, np.iinfo(np.int64).max, steps))
    return pd.Timedelta(int(known[len(known) // 2]))


def _is_local(columns: Columns, clock: Clock) -> bool:
    return not (clock.utc or clock.date_only) and columns.timezone is None


def _snap(times: pd.DatetimeIndex, usual: pd.Timedelta) -> str | None:
    """The step that times miss by seconds, if each is closest to another one."""
    for alias in _SHORT:
        tick = pd.Timedelta(pd.tseries.frequencies.to_offset(alias).nanos)
        if not tick / _ALIKE <= usual <= tick * _ALIKE:
            continue
        moved, longest = snapped(times, alias)
        if longest <= _JITTER * tick and not moved.has_duplicates:
            steps = (moved[-1].value - moved[0].value) // tick.value + 1
            return (
                None if moved.equals(times) else f"give --snap {alias}{_filled(steps, len(times))}"
            )
    return None


def _resample(times: pd.DatetimeIndex, usual: pd.Timedelta) -> str:
    """The shortest step that mostly has a row, of those no shorter than the usual distance."""
    alias, steps, used = _fullest(times, _steps_from(usual), _FULL)
    if len(times) >= _EVENTS * used and _are_scattered(times, usual):
        natural = (alias for alias in _steps_from(usual) if alias in _NATURAL)
        alias, steps, used = _fullest(times, natural, _OPEN)
        nothing = " --on-gap zero" if steps > used else ""
        return (
            f"put the rows of each step together: of events with --resample {alias} --aggregate "
            f"sum{nothing}, of measurements with --resample {alias} --aggregate "
            f"mean{_filled(steps, used)}"
        )
    how, others = ("mean", "sum, last") if usual < _DAY else ("last", "mean, sum")
    together = f"--resample {alias} --aggregate {how}{_filled(steps, used)}"
    return f"put the rows of each step together with {together} (or {others} …)"


def _fullest(times: pd.DatetimeIndex, aliases: Iterator[str], share: float) -> tuple[str, int, int]:
    """The first step of which a ``share`` has rows, or the last; how many there are, and have."""
    for alias in aliases:
        step = Interval(alias)
        used = step_labels(times, step).unique()
        steps = _count(step, used)
        if len(used) >= share * steps or alias == _LONG[-1]:
            break
    return alias, steps, len(used)


def _are_scattered(times: pd.DatetimeIndex, usual: pd.Timedelta) -> bool:
    """Whether times keep no usual distance, not even nearly, as events do."""
    steps = np.diff(times.to_numpy(np.int64))
    near = np.abs(steps - usual.value) <= _NEAR * usual.value
    return bool(near.mean() < _SCATTERED)


def _steps_from(usual: pd.Timedelta) -> Iterator[str]:
    for alias in _SHORT:
        if pd.tseries.frequencies.to_offset(alias).nanos >= usual.value:
            yield alias
    for alias, days in _LENGTHS.items():
        if days * _DAY >= 0.9 * usual or alias == _LONG[-1]:
            yield alias


def _count(step: Interval, used: pd.DatetimeIndex) -> int:
    """The number of steps from the first used one to the last."""
    if step.tick is not None:
        return (used[-1].value - used[0].value) // step.tick.value + 1
    return len(pd.date_range(used[0], used[-1], freq=step.offset))


def _filled(steps: int, rows: int) -> str:
    return " --on-gap fill" if steps > rows else ""
