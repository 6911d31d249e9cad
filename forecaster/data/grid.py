"""The rows of a file → series on one regular grid; gaps and duplicates by the user's policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock
from forecaster.data.intervals import CLOSE_DAYS, EXCHANGE, Interval, find_interval, parse_interval
from forecaster.data.reading import RawTable
from forecaster.data.remedies import for_duplicates, for_gaps, for_irregular
from forecaster.data.report import IntakeReport
from forecaster.data.resampling import put_together, step_labels
from forecaster.errors import UserError


class UnknownIntervalError(UserError):
    """No series has two times, so that no interval can be seen."""


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
class Grid:
    """The values (n, K) of a series on its grid, nan where missing; ``put_in`` (n,): the rows that
    the file lacks, with --on-gap zero; else empty.
    """

    values: NDArray[np.float64]
    put_in: NDArray[np.bool_]


@dataclass(frozen=True)
class Gridder:
    """Puts series on a grid by the policies in ``columns``; decisions go to ``report``.

    ``targets``: the number of columns that --on-gap zero fills (None: all); it leaves covariates
    missing. ``texts``: the places of covariates that are texts, by their names.
    """

    raw: RawTable
    columns: Columns
    report: IntakeReport
    clock: Clock
    step: Interval | None = None
    targets: int | None = None
    texts: Mapping[str, int] = field(default_factory=dict)

    def ordered(self, series: SeriesRows) -> SeriesRows:
        """The rows in ascending order of time, without duplicate times.

        With a policy to aggregate, those of each step, or of each time, are one.
        """
        if not series.times.is_monotonic_increasing:
            series = series.select(np.argsort(series.times.to_numpy(), kind="stable"))
            self.report.decisions.append(
                f"{series.name}rows were not in ascending order of time: sorted"
            )
        if self.columns.aggregate is not None:
            return self._put_together(series, self.columns.aggregate)
        return self._without_duplicates(series) if series.times.has_duplicates else series

    def _put_together(self, series: SeriesRows, how: str) -> SeriesRows:
        zone = (self.clock.zone or "UTC") if self.clock.utc else None
        steps = put_together(series.times, series.values, how, self.step, zone)
        return SeriesRows(series.item, steps.times, steps.values, series.rows[steps.first])

    def _without_duplicates(self, series: SeriesRows) -> SeriesRows:
        repeated = series.times.duplicated()
        again = int(np.flatnonzero(repeated)[0])
        duplicates = (
            f"{series.name}{int(repeated.sum())} time(s) occur more than once, first "
            f"{self.clock.said(series.times[again])} "
            f"({self.raw.unit}s {self._line(series, again - 1)} and {self._line(series, again)})"
        )
        self.report.facts.setdefault("duplicates", []).append(duplicates)
        policy = self.columns.on_duplicate
        if policy == "error":
            remedy = for_duplicates(series.times, self.columns, self.clock)
            raise UserError(f"{self.raw.path}: {duplicates}; {remedy}")
        self.report.decisions.append(f"{duplicates}: used the {policy}")
        if policy == "mean":
            self._check_texts(series)
            return self._put_together(series, "mean")
        return series.select(~series.times.duplicated(keep=policy))

    def _check_texts(self, series: SeriesRows) -> None:
        """Raise UserError for rows of the same time with different texts, which have no mean."""
        numbers, _ = pd.factorize(series.times)
        for name, place in self.texts.items():
            values = series.values[:, place]
            _, first = np.unique(numbers, return_index=True)
            other = np.flatnonzero(~np.equal(values, values[first][numbers]) & ~np.isnan(values))
            if len(other):
                row = int(other[0])
                raise UserError(
                    f"{self.raw.where(int(series.rows[row]), name)}: {series.name}another text at "
                    f"{self.clock.said(series.times[row])} than in the row before, and texts have "
                    "no mean; correct it, or give --on-duplicate first, or --on-duplicate last"
                )

    def _line(self, series: SeriesRows, row: int) -> int:
        return int(self.raw.places[series.rows[row]])

    def interval(self, series: Sequence[SeriesRows]) -> Interval:
        """The interval given by the user, or the one that all series have in common."""
        if self.step is not None:
            return self.step
        if self.columns.calendar_of is not None:
            return Interval(f"{EXCHANGE}{self.columns.calendar_of}")
        if self.columns.freq is not None:
            return parse_interval(self.columns.freq)
        interval = find_interval([each.times for each in series])
        if interval is None:
            raise UnknownIntervalError(
                f"{self.raw.path}: one time only, so the interval is unknown; add rows or "
                "give --freq"
            )
        return interval

    def on_days(self, interval: Interval, series: SeriesRows) -> SeriesRows:
        """The rows of a calendar interval on its days, where each period has one row or none.

        Times off those days are moved if the interval was given, or if they are business days close
        to the first or the last of their period: exchanges are closed on further days.
        """
        if interval.tick is not None or interval.of_business_days:
            return series
        if (interval.positions(series.times) >= 0).all():
            return series
        days = step_labels(series.times, interval)
        away = np.abs((days - series.times.normalize()).days.to_numpy())
        trading = interval.of_trading and bool((series.times.weekday < 5).all())
        close = trading and away.max() <= CLOSE_DAYS and (away == 0).mean() >= 0.5
        if days.has_duplicates or not (close or self.columns.freq is not None):
            return series
        self.report.decisions.append(
            f"{series.name}{int((away > 0).sum())} time(s) taken as those of {interval.alias}, "
            f"{int(away.max())} day(s) away at most"
        )
        return SeriesRows(series.item, days, series.values, series.rows)

    def on_grid(self, interval: Interval, series: SeriesRows) -> Grid:
        """The values on the grid that starts at the first time, nan without a row.

        With --on-gap zero, 0 without a row, from the first value of each target to its last: before
        it there was none yet, after it there is none any more, or it is to be forecast.
        """
        times, rows = series.times, series.rows
        if (
            interval.tick is not None and times[-1].value - times[0].value > np.iinfo(np.int64).max
        ):  # nanoseconds
            raise UserError(
                f"{self.raw.path}: {series.name}{times[0]} to {times[-1]} is more than 292 years, "
                f"too long for steps of {interval.alias}; correct the times, or give "
                "--resample YS --aggregate mean"
            )
        positions = interval.positions(times)
        off_grid = np.flatnonzero(positions < 0)
        if len(off_grid):
            row = int(off_grid[0])
            raise UserError(
                f"{self.raw.where(int(rows[row]))}: {series.name}the time {times[row]} is not on "
                "the grid of interval "
                f"{interval.alias} from {times[0]} on ({len(off_grid)} such rows); "
                f"{for_irregular(times, self.columns, self.clock)}"
            )
        length = int(positions[-1]) + 1
        if length > len(times):
            self._report_gaps(interval, series, positions)
        zero = self.columns.on_gap == "zero"
        if length == len(times):
            return Grid(series.values, np.zeros(length if zero else 0, bool))
        grid = np.full((length, series.values.shape[1]), np.nan)
        grid[positions] = series.values
        if not zero:
            return Grid(grid, np.zeros(0, bool))
        put_in = np.ones(length, bool)
        put_in[positions] = False
        targets = grid[:, : self.targets]
        rows = np.arange(length)[:, None]
        given = ~np.isnan(targets)
        begin, end = given.argmax(axis=0), length - given[::-1].argmax(axis=0)
        targets[put_in[:, None] & given.any(axis=0) & (rows > begin) & (rows < end)] = 0.0
        return Grid(grid, put_in)

    def _report_gaps(
        self, interval: Interval, series: SeriesRows, positions: NDArray[np.int64]
    ) -> None:
        jumps = np.flatnonzero(np.diff(positions) > 1)
        missing, first = int((np.diff(positions)[jumps] - 1).sum()), int(jumps[0])
        before, after = (self.clock.said(series.times[row]) for row in (first, first + 1))
        gaps = (
            f"{series.name}{missing} time(s) are missing in {len(jumps)} gap(s), first between "
            f"{before} and {after} "
            f"({self.raw.unit}s {self._line(series, first)} and {self._line(series, first + 1)})"
        )
        self.report.facts.setdefault("gaps", []).append(gaps)
        if missing > 10 * len(series.times):
            remedy = for_irregular(series.times, self.columns, self.clock)
            raise UserError(f"{self.raw.path}: {gaps}: more gaps than data; {remedy}")
        if self.columns.on_gap == "error":
            remedy = for_gaps(series.times, first, interval, self.columns, self.clock)
            raise UserError(f"{self.raw.path}: {gaps}; {remedy}")
        taken = "0" if self.columns.on_gap == "zero" else "missing values"
        self.report.decisions.append(f"{gaps}: taken as {taken}")
