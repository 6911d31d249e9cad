"""A file → a checked table of series on a regular grid → GluonTS entries.

Every finding and every decision goes into one report; nothing about the data is decided in silence.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config import Columns
from forecaster.data.clock import Clock, working_times
from forecaster.data.intervals import Interval, find_interval, parse_interval
from forecaster.data.reading import RawTable, numbers, read_file
from forecaster.data.roles import Layout, find_layout
from forecaster.data.rows import RowFormat, row_format
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError


@dataclass
class Report:
    """What was found in a file and what was decided about it, in order; ``facts`` for people and programs."""

    facts: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Series:
    """One series: ``values`` (n, K) on the grid from ``first`` on, nan where missing.

    ``item_id`` is the name in a long file and None in a wide one (there the columns are the series).
    """

    item_id: str | None
    first: pd.Timestamp
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Series that share their channels, their interval and their clock. ``names`` (K,) are the value columns."""

    path: str
    digest: str
    names: tuple[str, ...]
    interval: Interval
    clock: Clock
    newest_first: bool
    series: tuple[Series, ...]
    report: Report
    rows: RowFormat | None = None

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """GluonTS entries: ``item_id``, ``start`` (a period) and ``target`` (K, n) float32 with nan for missing."""
        for series in self.series:
            yield {
                "item_id": series.item_id or "",
                "start": self.start(series),
                "target": series.values.T.astype(np.float32),
            }

    def start(self, series: Series) -> pd.Period:
        """A series' first period."""
        return pd.Period(series.first, freq=self.interval.period_alias)

    @property
    def labels(self) -> list[str]:
        """The ``item_id`` of all output rows."""
        return [self.channel_label(series, k) for series in self.series for k in range(len(self.names))]

    def channel_label(self, series: Series, channel: int) -> str:
        """The ``item_id`` of an output row: the item, the column, or both where a long file has several columns."""
        if series.item_id is None:
            return self.names[channel]
        return series.item_id if len(self.names) == 1 else f"{series.item_id}/{self.names[channel]}"


def read_table(
    source: str | Path | RawTable, columns: Columns, report: Report | None = None, by_row: bool = False
) -> Table:
    """Read and check a file. Findings go to ``report`` as they are made, so that it tells them even if this refuses.

    ``source``: a file's path, or cells that were read already.

    ``by_row`` takes the rows of a benchmark file as equally spaced, as its protocol does, and says how many are not.

    Raises UserError for anything that training or forecasting could not honestly use.
    """
    report = report if report is not None else Report()
    raw = source if isinstance(source, RawTable) else read_file(source)
    report.facts |= {"file": raw.path, "sha256": raw.digest, "format": ", ".join(raw.notes), "rows": len(raw.places)}
    layout = find_layout(raw, columns)
    report.facts |= {"time column": layout.timestamp, "value columns": list(layout.targets), "layout": layout.kind}
    report.decisions += layout.decisions
    stamps = parse_stamps(raw, layout.timestamp)
    groups, items = _groups(raw, layout)
    times, clock, said = working_times(raw, layout.timestamp, stamps, groups, columns.timezone)
    report.facts |= {"time format": stamps.style, "clock": said}
    values = np.column_stack([numbers(raw, name) for name in layout.targets])
    rows = [np.flatnonzero(groups == g) for g in range(len(items))]
    newest_first = _is_newest_first(times, rows)
    if by_row:
        times = _equally_spaced(times, report)
    pieces = [
        _one_series(raw, layout, columns, item, times[index], values[index], index, report)
        for item, index in zip(items, rows, strict=True)
    ]
    interval = _interval(raw, columns, [times for times, _, _ in pieces])
    report.facts["interval"] = interval.alias
    series = tuple(_on_grid(raw, columns, interval, item, piece, report) for item, piece in zip(items, pieces, strict=True))
    table = Table(
        raw.path, raw.digest, layout.targets, interval, clock, newest_first, series, report, row_format(raw, layout, stamps)
    )
    _check_labels(table)
    _describe(raw, table, values, report)
    return table


def _check_labels(table: Table) -> None:
    """No two of its series are called alike in an output."""
    labels = [table.channel_label(series, k) for series in table.series for k in range(len(table.names))]
    if len(set(labels)) < len(labels):
        twice = next(label for label, count in Counter(labels).items() if count > 1)
        raise UserError(
            f"{table.path}: two series would both be called '{twice}' in a forecast; rename an item or a column"
        )


def _equally_spaced(times: pd.DatetimeIndex, report: Report) -> pd.DatetimeIndex:
    """The times of a benchmark file's rows at their usual distance, the last one as it is written."""
    steps = np.diff(times.to_numpy(np.int64))
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[np.argmax(counts)])
    odd = int((steps != usual).sum())
    if odd:
        report.decisions.append(f"{odd} step(s) are not the usual one: rows taken as equally spaced, by the protocol")
    first = times[-1] - pd.Timedelta(usual * (len(times) - 1), unit="ns")
    return pd.date_range(first, periods=len(times), freq=pd.Timedelta(usual, unit="ns"))


def _groups(raw: RawTable, layout: Layout) -> tuple[NDArray[np.int64], list[str | None]]:
    """The number of the series each row belongs to, and the series' names in the order of the file."""
    if layout.item_id is None:
        return np.zeros(len(raw.places), np.int64), [None]
    names = ["" if v is None else str(v) for v in _as_text(raw, layout.item_id)]
    blank = next((row for row, name in enumerate(names) if not name), None)
    if blank is not None:
        raise UserError(f"{raw.where(blank, layout.item_id)}: the item has no name; fill it in or remove the row")
    codes, uniques = pd.factorize(np.asarray(names, dtype=object))
    return codes.astype(np.int64), [str(name) for name in uniques]


def _as_text(raw: RawTable, name: str) -> list[str]:
    column = raw.columns[name]
    if isinstance(column, np.ndarray):
        return [f"{value:g}" if np.isfinite(value) else "" for value in column]
    return [str(value) for value in column]


def _is_newest_first(times: pd.DatetimeIndex, rows: list[NDArray[np.int64]]) -> bool:
    return any(len(r) > 1 for r in rows) and all(times[r].is_monotonic_decreasing for r in rows)


Piece = tuple[pd.DatetimeIndex, NDArray[np.float64], NDArray[np.int64]]


def _one_series(
    raw: RawTable,
    layout: Layout,
    columns: Columns,
    item: str | None,
    times: pd.DatetimeIndex,
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
    report: Report,
) -> Piece:
    """Rows of one series in the order of time, each time once."""
    if not times.is_monotonic_increasing:
        order = np.argsort(times.to_numpy(), kind="stable")
        times, values, rows = times[order], values[order], rows[order]
        report.decisions.append(f"{_of(item)}rows were not in the order of time: sorted")
    repeated = times.duplicated()
    if repeated.any():
        times, values, rows = _merge_duplicates(raw, columns, item, times, values, rows, repeated, report)
    return times, values, rows


def _of(item: str | None) -> str:
    return "" if item is None else f"series '{item}': "


def _merge_duplicates(
    raw: RawTable,
    columns: Columns,
    item: str | None,
    times: pd.DatetimeIndex,
    values: NDArray[np.float64],
    rows: NDArray[np.int64],
    repeated: NDArray[np.bool_],
    report: Report,
) -> Piece:
    again = int(np.flatnonzero(repeated)[0])
    found = (
        f"{_of(item)}{int(repeated.sum())} time(s) stand more than once, first {times[again]} "
        f"({raw.unit}s {raw.places[rows[again - 1]]} and {raw.places[rows[again]]})"
    )
    report.facts.setdefault("duplicates", []).append(found)
    policy = columns.on_duplicate
    if policy == "error":
        raise UserError(
            f"{raw.path}: {found}; remove them or give --on-duplicate first|last|mean "
            "(in a file of several series, name their column with --item-id)"
        )
    report.decisions.append(f"{found}: kept the {policy}")
    if policy == "mean":
        means = pd.DataFrame(values).groupby(times.to_numpy()).mean().to_numpy()
        return times[~repeated], means, rows[~repeated]
    keep = ~times.duplicated(keep=policy)
    return times[keep], values[keep], rows[keep]


def _interval(raw: RawTable, columns: Columns, times: list[pd.DatetimeIndex]) -> Interval:
    if columns.freq is not None:
        return parse_interval(columns.freq)
    interval = find_interval(times)
    if interval is None:
        raise UserError(f"{raw.path}: one time only, so the interval cannot be found; add rows or give --freq")
    return interval


def _on_grid(raw: RawTable, columns: Columns, interval: Interval, item: str | None, piece: Piece, report: Report) -> Series:
    """The rows laid on the grid; grid points without a row are a gap."""
    times, values, rows = piece
    if interval.tick is not None and times[-1].value - times[0].value > np.iinfo(np.int64).max:  # nanoseconds
        raise UserError(
            f"{raw.path}: {_of(item)}{times[0]} to {times[-1]} is more than 292 years, too long for steps of "
            f"{interval.alias}; correct the times or give --freq"
        )
    positions = interval.positions(times)
    off = np.flatnonzero(positions < 0)
    if len(off):
        row = int(off[0])
        raise UserError(
            f"{raw.where(int(rows[row]))}: {_of(item)}the time {times[row]} is not on the grid of interval "
            f"{interval.alias} from {times[0]} on ({len(off)} such rows); make the times regular or give --freq"
        )
    if (np.diff(positions) < 1).any():
        row = int(np.flatnonzero(np.diff(positions) < 1)[0]) + 1
        raise UserError(
            f"{raw.where(int(rows[row]))}: {_of(item)}the time {times[row]} falls into the same {interval.alias} "
            "as the row before; give the file's own interval with --freq"
        )
    length = int(positions[-1]) + 1
    if length > len(times):
        _gap(raw, columns, item, times, rows, positions, report)
    grid = np.full((length, values.shape[1]), np.nan)
    grid[positions] = values
    return Series(item, times[0], grid)


def _gap(
    raw: RawTable,
    columns: Columns,
    item: str | None,
    times: pd.DatetimeIndex,
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    report: Report,
) -> None:
    jumps = np.flatnonzero(np.diff(positions) > 1)
    missing = int((np.diff(positions)[jumps] - 1).sum())
    first = int(jumps[0])
    found = (
        f"{_of(item)}{missing} time(s) are missing in {len(jumps)} gap(s), first between {times[first]} and "
        f"{times[first + 1]} ({raw.unit}s {raw.places[rows[first]]} and {raw.places[rows[first + 1]]})"
    )
    report.facts.setdefault("gaps", []).append(found)
    if missing > 10 * len(times):
        raise UserError(f"{raw.path}: {found}: more gaps than data; give the interval with --freq")
    if columns.on_gap == "error":
        hint = _daylight_hint(times[first], times[first + 1], columns)
        raise UserError(f"{raw.path}: {found}; add the rows, or give --on-gap fill to take them as missing values{hint}")
    report.decisions.append(f"{found}: taken as missing values")


def _daylight_hint(before: pd.Timestamp, after: pd.Timestamp, columns: Columns) -> str:
    spring = after.month in (3, 4, 9, 10) and after.weekday() == 6 and after.hour <= 3
    skipped = spring and after - before <= pd.Timedelta(hours=2) and columns.timezone is None
    return " (a change to daylight-saving time? then name the zone with --timezone)" if skipped else ""


def _describe(raw: RawTable, table: Table, values: NDArray[np.float64], report: Report) -> None:
    """Lengths, spans and missing values, with the places of the first ones."""
    lengths = [len(series.values) for series in table.series]
    first = min(series.first for series in table.series)
    ends = [table.interval.stamps(s.first, len(s.values))[-1] for s in table.series]
    report.facts |= {
        "series": len(table.series),
        "length": lengths[0] if len(set(lengths)) == 1 else f"{min(lengths)} to {max(lengths)}",
        "from": table.clock.write(pd.DatetimeIndex([first]))[0],
        "to": table.clock.write(pd.DatetimeIndex([max(ends)]))[0],
    }
    missing, constant = {}, []
    for k, name in enumerate(table.names):
        blank = np.flatnonzero(np.isnan(values[:, k]))
        if len(blank) == len(values):
            raise UserError(f"{raw.path}, column '{name}': all values are missing; leave it out with --target")
        if len(blank):
            shown = ", ".join(str(raw.places[row]) for row in blank[:5])
            missing[name] = f"{len(blank)} ({raw.unit} {shown}{', …' if len(blank) > 5 else ''})"
        if np.nanmin(values[:, k]) == np.nanmax(values[:, k]):
            constant.append(name)
    if missing:
        report.facts["missing"] = missing
    if constant:
        report.facts["constant columns"] = constant
