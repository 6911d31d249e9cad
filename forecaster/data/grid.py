"""The rows of a file → series on one regular grid; gaps and duplicates by the user's policy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.intervals import Interval, find_interval, parse_interval
from forecaster.data.reading import RawTable
from forecaster.data.report import IntakeReport
from forecaster.errors import UserError


@dataclass(frozen=True)
class SeriesRows:
    """The rows of a series: ``times`` (n,), ``values`` (n, K), and ``rows`` (n,) of the file."""

    item: str | None
    times: pd.DatetimeIndex
    values: NDArray[np.float64]
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        """The series' name as a prefix of messages, empty in a wide file."""
        return "" if self.item is None else f"series '{self.item}': "

    def select(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "SeriesRows":
        """The rows of these indices, or of this mask."""
        return SeriesRows(self.item, self.times[index], self.values[index], self.rows[index])


@dataclass(frozen=True)
class Gridder:
    """Puts series on a grid by the policies in ``columns``; decisions go to ``report``."""

    raw: RawTable
    columns: Columns
    report: IntakeReport

    def ordered(self, series: SeriesRows) -> SeriesRows:
        """The rows in ascending order of time, without duplicate times."""
        if not series.times.is_monotonic_increasing:
            series = series.select(np.argsort(series.times.to_numpy(), kind="stable"))
            self.report.decisions.append(
                f"{series.name}rows were not in ascending order of time: sorted"
            )
        return self._without_duplicates(series) if series.times.has_duplicates else series

    def _without_duplicates(self, series: SeriesRows) -> SeriesRows:
        repeated = series.times.duplicated()
        again = int(np.flatnonzero(repeated)[0])
        duplicates = (
            f"{series.name}{int(repeated.sum())} time(s) occur more than once, first "
            f"{series.times[again]} "
            f"({self.raw.unit}s {self._line(series, again - 1)} and {self._line(series, again)})"
        )
        self.report.facts.setdefault("duplicates", []).append(duplicates)
        policy = self.columns.on_duplicate
        if policy == "error":
            raise UserError(
                f"{self.raw.path}: {duplicates}; remove them or give "
                "--on-duplicate first|last|mean (in a file of several series, name their column "
                "with --item-id)"
            )
        self.report.decisions.append(f"{duplicates}: used the {policy}")
        if policy == "mean":
            means = pd.DataFrame(series.values).groupby(series.times.to_numpy()).mean().to_numpy()
            return SeriesRows(series.item, series.times[~repeated], means, series.rows[~repeated])
        return series.select(~series.times.duplicated(keep=policy))

    def _line(self, series: SeriesRows, row: int) -> int:
        return int(self.raw.places[series.rows[row]])

    def interval(self, series: Sequence[SeriesRows]) -> Interval:
        """The interval given by the user, or the one that all series have in common."""
        if self.columns.freq is not None:
            return parse_interval(self.columns.freq)
        interval = find_interval([each.times for each in series])
        if interval is None:
            raise UserError(
                f"{self.raw.path}: one time only, so the interval is unknown; add rows or "
                "give --freq"
            )
        return interval

    def on_grid(self, interval: Interval, series: SeriesRows) -> NDArray[np.float64]:
        """The values (n, K) on the grid that starts at the first time, nan without a row."""
        times, rows = series.times, series.rows
        if (
            interval.tick is not None and times[-1].value - times[0].value > np.iinfo(np.int64).max
        ):  # nanoseconds
            raise UserError(
                f"{self.raw.path}: {series.name}{times[0]} to {times[-1]} is more than 292 years, "
                "too long for steps of "
                f"{interval.alias}; correct the times or give --freq"
            )
        positions = interval.positions(times)
        off_grid = np.flatnonzero(positions < 0)
        if len(off_grid):
            row = int(off_grid[0])
            raise UserError(
                f"{self.raw.where(int(rows[row]))}: {series.name}the time {times[row]} is not on "
                "the grid of interval "
                f"{interval.alias} from {times[0]} on ({len(off_grid)} such rows); make the times "
                "regular or give --freq"
            )
        if (np.diff(positions) < 1).any():
            row = int(np.flatnonzero(np.diff(positions) < 1)[0]) + 1
            raise UserError(
                f"{self.raw.where(int(rows[row]))}: {series.name}the time {times[row]} falls into "
                f"the same {interval.alias} "
                "as the row before; give the file's own interval with --freq"
            )
        length = int(positions[-1]) + 1
        if length > len(times):
            self._report_gaps(series, positions)
        if length == len(times):
            return series.values
        grid = np.full((length, series.values.shape[1]), np.nan)
        grid[positions] = series.values
        return grid

    def _report_gaps(self, series: SeriesRows, positions: NDArray[np.int64]) -> None:
        jumps = np.flatnonzero(np.diff(positions) > 1)
        missing, first = int((np.diff(positions)[jumps] - 1).sum()), int(jumps[0])
        before, after = series.times[first], series.times[first + 1]
        gaps = (
            f"{series.name}{missing} time(s) are missing in {len(jumps)} gap(s), first between "
            f"{before} and {after} "
            f"({self.raw.unit}s {self._line(series, first)} and {self._line(series, first + 1)})"
        )
        self.report.facts.setdefault("gaps", []).append(gaps)
        if missing > 10 * len(series.times):
            raise UserError(
                f"{self.raw.path}: {gaps}: more gaps than data; give the interval with --freq"
            )
        if self.columns.on_gap == "error":
            hint = "" if self.columns.timezone is not None else _daylight_hint(before, after)
            raise UserError(
                f"{self.raw.path}: {gaps}; add the rows, or give --on-gap fill to take them as "
                f"missing values{hint}"
            )
        self.report.decisions.append(f"{gaps}: taken as missing values")


def _daylight_hint(before: pd.Timestamp, after: pd.Timestamp) -> str:
    spring = after.month in (3, 4, 9, 10) and after.weekday() == 6 and after.hour <= 3
    skipped = spring and after - before <= pd.Timedelta(hours=2)
    return (
        " (a change to daylight-saving time? then name the zone with --timezone)" if skipped else ""
    )
