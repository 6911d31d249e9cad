"""A file → a checked table of series on a regular grid → GluonTS entries.

Every finding and every decision goes into one report; nothing about the data is decided in silence.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock, working_times
from forecaster.data.grid import Gridder, Piece
from forecaster.data.intervals import Interval
from forecaster.data.reading import RawTable, numbers, read_file
from forecaster.data.report import IntakeReport
from forecaster.data.roles import Layout, find_layout
from forecaster.data.rows import RowFormat, row_format
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError


@dataclass(frozen=True)
class Series:
    """One series: ``values`` (n, K) on the grid from ``first`` on, nan where missing.

    ``item_id`` is the name in a long file and None in a wide one (there the columns are the
    series).
    """

    item_id: str | None
    first: pd.Timestamp
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Series that share their channels, their interval and their clock. ``names`` (K,) are the
    value columns.
    """

    path: str
    digest: str
    names: tuple[str, ...]
    interval: Interval
    clock: Clock
    newest_first: bool
    series: tuple[Series, ...]
    report: IntakeReport
    rows: RowFormat | None = None

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """GluonTS entries: ``item_id``, ``start`` (a period) and ``target`` (K, n) float32 with nan
        for missing.
        """
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
        return [
            self.channel_label(series, k) for series in self.series for k in range(len(self.names))
        ]

    def channel_label(self, series: Series, channel: int) -> str:
        """The ``item_id`` of an output row: the item, the column, or both where a long file has
        several columns.
        """
        if series.item_id is None:
            return self.names[channel]
        return series.item_id if len(self.names) == 1 else f"{series.item_id}/{self.names[channel]}"


def read_table(
    source: str | Path | RawTable,
    columns: Columns,
    report: IntakeReport | None = None,
    by_row: bool = False,
) -> Table:
    """Read and check a file. Findings go to ``report`` as they are made, so that it tells them even
    if this refuses.

    ``source``: a file's path, or cells that were read already.

    ``by_row`` takes the rows of a benchmark file as equally spaced, as its protocol does, and says
    how many are not.

    Raises UserError for anything that training or forecasting could not honestly use.
    """
    report = report if report is not None else IntakeReport()
    raw = source if isinstance(source, RawTable) else read_file(source)
    report.facts |= {
        "file": raw.path,
        "sha256": raw.digest,
        "format": ", ".join(raw.notes),
        "rows": len(raw.places),
    }
    layout = find_layout(raw, columns)
    report.facts |= {
        "time column": layout.timestamp,
        "value columns": list(layout.targets),
        "layout": layout.kind,
    }
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
    gridder = Gridder(raw, columns, report)
    pieces = [
        gridder.ordered(Piece(item, times[index], values[index], index))
        for item, index in zip(items, rows, strict=True)
    ]
    interval = gridder.interval(pieces)
    report.facts["interval"] = interval.alias
    series = tuple(
        Series(piece.item, piece.times[0], gridder.laid(interval, piece)) for piece in pieces
    )
    table = Table(
        raw.path,
        raw.digest,
        layout.targets,
        interval,
        clock,
        newest_first,
        series,
        report,
        row_format(raw, layout, stamps),
    )
    _check_labels(table)
    _describe(raw, table, values, report)
    return table


def _check_labels(table: Table) -> None:
    """No two of its series are called alike in an output."""
    labels = [
        table.channel_label(series, k) for series in table.series for k in range(len(table.names))
    ]
    if len(set(labels)) < len(labels):
        twice = next(label for label, count in Counter(labels).items() if count > 1)
        raise UserError(
            f"{table.path}: two series would both be called '{twice}' in a forecast; rename an "
            "item or a column"
        )


def _equally_spaced(times: pd.DatetimeIndex, report: IntakeReport) -> pd.DatetimeIndex:
    """The times of a benchmark file's rows at their usual distance, the last one as it is
    written.
    """
    steps = np.diff(times.to_numpy(np.int64))
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[np.argmax(counts)])
    odd = int((steps != usual).sum())
    if odd:
        report.decisions.append(
            f"{odd} step(s) are not the usual one: rows taken as equally spaced, by the protocol"
        )
    first = times[-1] - pd.Timedelta(usual * (len(times) - 1), unit="ns")
    return pd.date_range(first, periods=len(times), freq=pd.Timedelta(usual, unit="ns"))


def _groups(raw: RawTable, layout: Layout) -> tuple[NDArray[np.int64], list[str | None]]:
    """The number of the series each row belongs to, and the series' names in the order of the
    file.
    """
    if layout.item_id is None:
        return np.zeros(len(raw.places), np.int64), [None]
    names = ["" if v is None else str(v) for v in _as_text(raw, layout.item_id)]
    blank = next((row for row, name in enumerate(names) if not name), None)
    if blank is not None:
        raise UserError(
            f"{raw.where(blank, layout.item_id)}: the item has no name; fill it in or remove the "
            "row"
        )
    codes, uniques = pd.factorize(np.asarray(names, dtype=object))
    return codes.astype(np.int64), [str(name) for name in uniques]


def _as_text(raw: RawTable, name: str) -> list[str]:
    column = raw.columns[name]
    if isinstance(column, np.ndarray):
        return [f"{value:g}" if np.isfinite(value) else "" for value in column]
    return [str(value) for value in column]


def _is_newest_first(times: pd.DatetimeIndex, rows: list[NDArray[np.int64]]) -> bool:
    return any(len(r) > 1 for r in rows) and all(times[r].is_monotonic_decreasing for r in rows)


def _describe(
    raw: RawTable, table: Table, values: NDArray[np.float64], report: IntakeReport
) -> None:
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
            raise UserError(
                f"{raw.path}, column '{name}': all values are missing; leave it out with --target"
            )
        if len(blank):
            shown = ", ".join(str(raw.places[row]) for row in blank[:5])
            missing[name] = f"{len(blank)} ({raw.unit} {shown}{', …' if len(blank) > 5 else ''})"
        if np.nanmin(values[:, k]) == np.nanmax(values[:, k]):
            constant.append(name)
    if missing:
        report.facts["missing"] = missing
    if constant:
        report.facts["constant columns"] = constant
