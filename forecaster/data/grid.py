"""The rows of a file → series in the order of time on one regular grid; gaps and duplicates as the
user decided.
"""

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
class Piece:
    """One series' rows: ``times`` (n,), ``values`` (n, K) and their ``rows`` (n,) in the file."""

    item: str | None
    times: pd.DatetimeIndex
    values: NDArray[np.float64]
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        """How a message about it begins."""
        return "" if self.item is None else f"series '{self.item}': "

    def at(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Piece":
        """Some of its rows."""
        return Piece(self.item, self.times[index], self.values[index], self.rows[index])


@dataclass(frozen=True)
class Gridder:
    """Lays pieces of a file on a grid, by the user's decisions in ``columns``; what it finds goes
    to ``report``.
    """

    raw: RawTable
    columns: Columns
    report: IntakeReport

    def ordered(self, piece: Piece) -> Piece:
        """In the order of time, each time once."""
        if not piece.times.is_monotonic_increasing:
            piece = piece.at(np.argsort(piece.times.to_numpy(), kind="stable"))
            self.report.decisions.append(f"{piece.name}rows were not in the order of time: sorted")
        return self._merged(piece) if piece.times.has_duplicates else piece

    def _merged(self, piece: Piece) -> Piece:
        repeated = piece.times.duplicated()
        again = int(np.flatnonzero(repeated)[0])
        found = (
            f"{piece.name}{int(repeated.sum())} time(s) stand more than once, first "
            f"{piece.times[again]} "
            f"({self.raw.unit}s {self._place(piece, again - 1)} and {self._place(piece, again)})"
        )
        self.report.facts.setdefault("duplicates", []).append(found)
        policy = self.columns.on_duplicate
        if policy == "error":
            raise UserError(
                f"{self.raw.path}: {found}; remove them or give --on-duplicate first|last|mean "
                "(in a file of several series, name their column with --item-id)"
            )
        self.report.decisions.append(f"{found}: kept the {policy}")
        if policy == "mean":
            means = pd.DataFrame(piece.values).groupby(piece.times.to_numpy()).mean().to_numpy()
            return Piece(piece.item, piece.times[~repeated], means, piece.rows[~repeated])
        return piece.at(~piece.times.duplicated(keep=policy))

    def _place(self, piece: Piece, row: int) -> int:
        return int(self.raw.places[piece.rows[row]])

    def interval(self, pieces: Sequence[Piece]) -> Interval:
        """The one asked for, or the one that all pieces keep."""
        if self.columns.freq is not None:
            return parse_interval(self.columns.freq)
        interval = find_interval([piece.times for piece in pieces])
        if interval is None:
            raise UserError(
                f"{self.raw.path}: one time only, so the interval cannot be found; add rows or "
                "give --freq"
            )
        return interval

    def laid(self, interval: Interval, piece: Piece) -> NDArray[np.float64]:
        """The values (n, K) on the grid from the piece's first time on; grid points without a row
        are a gap, and nan.
        """
        times, rows = piece.times, piece.rows
        if (
            interval.tick is not None and times[-1].value - times[0].value > np.iinfo(np.int64).max
        ):  # nanoseconds
            raise UserError(
                f"{self.raw.path}: {piece.name}{times[0]} to {times[-1]} is more than 292 years, "
                "too long for steps of "
                f"{interval.alias}; correct the times or give --freq"
            )
        positions = interval.positions(times)
        off = np.flatnonzero(positions < 0)
        if len(off):
            row = int(off[0])
            raise UserError(
                f"{self.raw.where(int(rows[row]))}: {piece.name}the time {times[row]} is not on "
                "the grid of interval "
                f"{interval.alias} from {times[0]} on ({len(off)} such rows); make the times "
                "regular or give --freq"
            )
        if (np.diff(positions) < 1).any():
            row = int(np.flatnonzero(np.diff(positions) < 1)[0]) + 1
            raise UserError(
                f"{self.raw.where(int(rows[row]))}: {piece.name}the time {times[row]} falls into "
                f"the same {interval.alias} "
                "as the row before; give the file's own interval with --freq"
            )
        length = int(positions[-1]) + 1
        if length > len(times):
            self._tell_gaps(piece, positions)
        grid = np.full((length, piece.values.shape[1]), np.nan)
        grid[positions] = piece.values
        return grid

    def _tell_gaps(self, piece: Piece, positions: NDArray[np.int64]) -> None:
        jumps = np.flatnonzero(np.diff(positions) > 1)
        missing, first = int((np.diff(positions)[jumps] - 1).sum()), int(jumps[0])
        before, after = piece.times[first], piece.times[first + 1]
        found = (
            f"{piece.name}{missing} time(s) are missing in {len(jumps)} gap(s), first between "
            f"{before} and {after} "
            f"({self.raw.unit}s {self._place(piece, first)} and {self._place(piece, first + 1)})"
        )
        self.report.facts.setdefault("gaps", []).append(found)
        if missing > 10 * len(piece.times):
            raise UserError(
                f"{self.raw.path}: {found}: more gaps than data; give the interval with --freq"
            )
        if self.columns.on_gap == "error":
            hint = "" if self.columns.timezone is not None else _daylight_hint(before, after)
            raise UserError(
                f"{self.raw.path}: {found}; add the rows, or give --on-gap fill to take them as "
                f"missing values{hint}"
            )
        self.report.decisions.append(f"{found}: taken as missing values")


def _daylight_hint(before: pd.Timestamp, after: pd.Timestamp) -> str:
    spring = after.month in (3, 4, 9, 10) and after.weekday() == 6 and after.hour <= 3
    skipped = spring and after - before <= pd.Timedelta(hours=2)
    return (
        " (a change to daylight-saving time? then name the zone with --timezone)" if skipped else ""
    )
