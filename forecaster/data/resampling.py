"""Times that are irregular, or several to a step: moved to a grid, or put together in steps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock
from forecaster.data.intervals import Interval, parse_interval
from forecaster.data.report import IntakeReport
from forecaster.errors import UserError

_DAY = pd.Timedelta(days=1)


def in_steps(
    times: pd.DatetimeIndex, clock: Clock, columns: Columns, report: IntakeReport
) -> tuple[pd.DatetimeIndex, Clock, Interval | None]:
    """Working times moved to steps, their clock, and the step whose rows are put together."""
    step = step_of(columns)
    if columns.snap is not None:
        times, way = snapped(times, columns.snap)
        seconds = way.total_seconds()
        report.decisions.append(f"times moved to steps of {columns.snap}, by {seconds:g} s at most")
    return *on_local_days(times, clock, step), step


def said_together(columns: Columns, step: Interval | None, rows: int, count: int) -> str:
    """What is said of ``rows`` that were put together in ``count`` steps."""
    each = "a time" if step is None else f"each {step.alias}"
    cut = "" if step is None else "; the first and the last may hold less than a whole step"
    return f"the rows of {each} are one, their {columns.aggregate}: {count} of {rows}{cut}"


def step_of(columns: Columns) -> Interval | None:
    """The step whose rows are put together: ``resample``, or ``freq`` where rows are aggregated."""
    if columns.resample is not None and columns.aggregate is None:
        raise UserError(
            f"--resample {columns.resample}: say how the rows of a step are put together, with "
            "--aggregate mean (or sum, last, max …)"
        )
    if columns.aggregate is None:
        return None
    if columns.resample is not None:
        return parse_interval(columns.resample, "resample")
    return None if columns.freq is None else parse_interval(columns.freq)


def on_local_days(
    times: pd.DatetimeIndex, clock: Clock, step: Interval | None
) -> tuple[pd.DatetimeIndex, Clock]:
    """Working times and clock; of steps of days or longer those of the local calendar."""
    if step is None or (step.tick is not None and step.tick < _DAY):
        return times, clock
    if clock.utc:
        times = times.tz_localize("UTC").tz_convert(clock.zone or "UTC").tz_localize(None)
    return times, Clock(False, clock.zone, True)


def snapped(times: pd.DatetimeIndex, alias: str) -> tuple[pd.DatetimeIndex, pd.Timedelta]:
    """Each time moved to the nearest step, and the longest way.

    The steps begin at midnight, or half a step later if the times lie closer to those.
    """
    tick = parse_interval(alias, "snap").tick
    if tick is None or tick >= _DAY:
        raise UserError(
            f"--snap {alias}: only to steps shorter than a day; give one like 10min, or put the "
            "rows of each step together with --resample and --aggregate"
        )
    now = times.to_numpy(np.int64)
    ways = [_nearest(now, tick.value, phase) for phase in (0, tick.value // 2)]
    moved = min(ways, key=lambda found: float(np.abs(found - now).mean()))
    return pd.DatetimeIndex(moved.view("M8[ns]")), pd.Timedelta(np.abs(moved - now).max())


def _nearest(times: NDArray[np.int64], step: int, phase: int) -> NDArray[np.int64]:
    return (times - phase + step // 2) // step * step + phase


@dataclass(frozen=True)
class Steps:
    """Rows put together: the ``times`` (m,) of the steps that have any, their ``values`` (m, K).

    ``first`` (m,): the first row of each.
    """

    times: pd.DatetimeIndex
    values: NDArray[np.float64]
    first: NDArray[np.int64]


def put_together(
    times: pd.DatetimeIndex,
    values: NDArray[np.float64],
    how: str,
    step: Interval | None = None,
    zone: str | None = None,
) -> Steps:
    """The rows of each step, or without one of each time; ``times`` (n,) ascend.

    ``zone``: of times in UTC, whose steps begin at local midnight. What is missing counts for
    nothing; of missing values alone it is missing.
    """
    labels = times if step is None else step_labels(times, step, zone)
    codes, found = pd.factorize(labels)
    rows = pd.DataFrame(values).groupby(codes, sort=False)
    result = rows.sum(min_count=1) if how == "sum" else rows.agg(how)
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    return Steps(pd.DatetimeIndex(found), result.to_numpy(np.float64), first)


def step_labels(
    times: pd.DatetimeIndex, step: Interval, zone: str | None = None
) -> pd.DatetimeIndex:
    """The time that names the step of each of ``times`` (n,), which ascend.

    That is its beginning; of weeks, and of ``ME``, ``QE``, ``YE``, the last day.
    """
    if step.tick is not None:
        length = step.tick.value
        phase = _midnight(times[0], zone).value % length
        steps = (times.to_numpy(np.int64) - phase) // length
        return pd.DatetimeIndex((phase + steps * length).view("M8[ns]"))
    days, offset = times.normalize(), step.offset
    if step.named_by_end:
        grid = pd.date_range(offset.rollforward(days[0]), days[-1] + 2 * offset, freq=offset)
        return pd.DatetimeIndex(grid[grid.searchsorted(days, side="left")])
    grid = pd.date_range(offset.rollback(days[0]), days[-1], freq=offset)
    return pd.DatetimeIndex(grid[grid.searchsorted(days, side="right") - 1])


def _midnight(time: pd.Timestamp, zone: str | None) -> pd.Timestamp:
    if zone is None:
        return time.normalize()
    local = time.tz_localize("UTC").tz_convert(zone)
    return local.normalize().tz_convert("UTC").tz_localize(None)
