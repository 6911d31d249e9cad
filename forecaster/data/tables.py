"""A file → a checked table of series on a regular grid → GluonTS entries.

All facts and decisions about the data go into one report; none is silent.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.clock import Clock, working_times
from forecaster.data.covariates import (
    Covariates,
    check_categorical,
    check_columns,
    covariate_columns,
    read_covariates,
    roles_of,
    static_values,
)
from forecaster.data.ends import with_ends
from forecaster.data.grid import Grid, Gridder, SeriesRows
from forecaster.data.intervals import Interval
from forecaster.data.layout.flags import without_flags
from forecaster.data.layout.header import with_names
from forecaster.data.layout.turning import turned
from forecaster.data.layout.words import listed, or_without
from forecaster.data.numbers import numbers
from forecaster.data.profile import profile_columns
from forecaster.data.reading import RawTable, read_file
from forecaster.data.report import IntakeReport, briefly
from forecaster.data.resampling import in_steps, said_together
from forecaster.data.roles import find_layout
from forecaster.data.rows import RowFormat, row_format
from forecaster.data.series_names import groups_of
from forecaster.data.start import until_forecasts
from forecaster.data.static_file import StaticValues, left_out, read_static, with_static
from forecaster.data.times.find_parts import find_parts
from forecaster.data.times.zones import typed_zone
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError

# the names of GluonTS' fields, before the kind of their values
_FIELDS = {"known": "feat_dynamic", "past": "past_feat_dynamic", "static": "feat_static"}


@dataclass(frozen=True)
class Series:
    """One series: ``values`` (n, K) on the grid that starts at ``first``, nan where missing.

    ``item_id`` is the item's name in a long file, and None in a wide one, where the columns are the
    series. Covariates: ``known`` (n + future rows, C), ``past`` (n, P) and ``static`` (S,).
    ``put_in`` (n + future rows,): the rows that the file lacks, with --on-gap zero and known
    covariates without a forecast of one's own; else empty.
    """

    item_id: str | None
    first: pd.Timestamp
    values: NDArray[np.float64]
    known: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    past: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    static: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    put_in: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))

    def between(self, begin: int, end: int, first: pd.Timestamp | None = None) -> "Series":
        """The rows from ``begin`` to ``end``, at time ``first``; those after them are the future
        of the known covariates.
        """
        return replace(
            self,
            first=self.first if first is None else first,
            values=self.values[begin:end],
            known=self.known[begin:],
            past=self.past[begin:end],
            put_in=self.put_in[begin:],
        )

    def until(self, end: int, blank: float) -> "Series":
        """The first ``end`` rows; rows that are not there hold ``blank``, no covariates."""
        gap = max(end - len(self.values), 0)
        return replace(
            self.between(0, end),
            values=longer(self.values[:end], gap, blank),
            known=longer(self.known, max(end - len(self.known), 0), np.nan),
            past=longer(self.past[:end], gap, np.nan),
            put_in=self.put_in_until(end),
        )

    def put_in_until(self, rows: int) -> NDArray[np.bool_]:
        """``put_in`` of so many rows, or of more; the further ones are rows that the file lacks."""
        count = max(rows - len(self.put_in), 0) if len(self.put_in) else 0
        return np.pad(self.put_in, (0, count), constant_values=True)


def longer(rows: NDArray[np.float64], count: int, value: float) -> NDArray[np.float64]:
    """Rows (n, C) and ``count`` further ones of a value."""
    return np.concatenate([rows, np.full((count, rows.shape[1]), value)]) if count else rows


@dataclass(frozen=True)
class Table:
    """Series with the same channels, interval and clock; ``names`` (K,): the value columns.

    ``date_style``: how the file writes its dates, as ``--date-format`` takes it; ``units``: what
    stands beside the numbers of a value column, such as € or %, of those that have it. ``absent``:
    columns that a model knows and the file lacks, all of whose values are missing. ``covariates``:
    the columns of the series' covariates; ``given``: the static ones of a file of their own;
    ``future``: the path of a file of what is known ahead.
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
    date_style: str | None = None
    absent: tuple[str, ...] = ()
    covariates: Covariates = field(default_factory=Covariates)
    given: StaticValues | None = None
    future: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """GluonTS entries: ``item_id``, ``start`` (period), ``target`` (K, n) float64 with nan.

        Covariates under GluonTS' names: ``feat_dynamic_real``, ``feat_dynamic_cat`` (…, n and rows
        of the future), ``past_feat_dynamic_real``, ``past_feat_dynamic_cat`` (…, n),
        ``feat_static_real``, ``feat_static_cat``. A missing category is one more than there are.
        """
        for series in self.series:
            yield {
                "item_id": series.item_id or "",
                "start": self.start(series),
                "target": series.values.T,
                **self._features(series),
            }

    def _features(self, series: Series) -> dict[str, NDArray[Any]]:
        """The covariates of an entry, of the kinds that there are."""
        found: dict[str, NDArray[Any]] = {}
        for kind, field_name in _FIELDS.items():
            columns, values = getattr(self.covariates, kind), getattr(series, kind).T
            for real in (True, False):
                places = [i for i, each in enumerate(columns) if (each.levels is None) == real]
                if not places:
                    continue
                part = values[places]
                if not real:
                    unknown = [len(columns[place].levels) for place in places]
                    most = np.array(unknown, np.float64).reshape(-1, *[1] * (part.ndim - 1))
                    part = np.where(np.isnan(part), most, part).astype(np.int64)
                found[f"{field_name}_{'real' if real else 'cat'}"] = part
        return found

    def start(self, series: Series) -> pd.Period:
        """The period of a series' first value."""
        return pd.Period(series.first, freq=self.interval.period_alias)

    @property
    def labels(self) -> list[str]:
        """The item ids of an output: one for each series and channel."""
        return [
            self.channel_label(series, k) for series in self.series for k in range(len(self.names))
        ]

    def channel_label(self, series: Series, channel: int) -> str:
        """The item id in an output: item, column, or ``item/column`` for a long file of several."""
        if series.item_id is None:
            return self.names[channel]
        return series.item_id if len(self.names) == 1 else f"{series.item_id}/{self.names[channel]}"


def read_table(
    source: str | Path | RawTable,
    columns: Columns,
    report: IntakeReport | None = None,
    by_row: bool = False,
    usual: str | None = None,
    wanted: Collection[str] = (),
    start: str | None = None,
    zoned: bool = False,
) -> Table:
    """Read and check a file; raises UserError for data that training or forecasting cannot use.

    ``source``: a file's path, or cells already read. ``report`` is filled step by step, so that it
    is useful even after an error. ``by_row``: take the rows as equally spaced, as a benchmark's
    protocol does, and report how many are not. ``usual``: the style in which dates are written in
    the file that a model was trained on. ``wanted``: the value columns that it reads. ``start``:
    the time at which forecasts begin (None: after the last row with a value). ``zoned``: whether a
    column of zones counts that are the same in all rows, as in some rows of a model's file.
    """
    report = report if report is not None else IntakeReport()
    raw = source if isinstance(source, RawTable) else read_file(source, columns.header)
    raw = without_flags(raw)
    report.facts |= {
        "file": raw.path,
        "sha256": raw.digest,
        "format": ", ".join(raw.notes),
        "rows": len(raw.places),
    }
    report.decisions += raw.decisions
    raw = with_names(raw, columns)
    names, parts = tuple(raw.columns), find_parts(raw, columns, zoned)
    if parts is not None:
        raw = replace(raw, columns=parts.join(raw.columns))
        report.decisions.append(f"columns {listed(parts.columns)} give the time together")
    raw, columns, turned_by = turned(raw, columns)
    report.decisions += turned_by
    kinds = covariate_columns(columns)
    check_columns(raw, kinds, columns)
    others = {name: cells for name, cells in raw.columns.items() if name not in kinds}
    layout = find_layout(replace(raw, columns=others), columns, wanted)
    report.facts |= {
        "time column": layout.timestamp,
        "value columns": list(layout.targets),
        "layout": layout.kind,
    }
    report.decisions += layout.decisions
    report.roles = {**layout.roles, **roles_of(kinds)}
    zone = columns.timezone or typed_zone(raw.columns[layout.timestamp])
    if zone != columns.timezone:
        report.decisions.append(f"times are of {zone}, the zone of column '{layout.timestamp}'")
    stamps = parse_stamps(raw, layout.timestamp, columns, usual)
    report.decisions += stamps.decisions
    groups, items = groups_of(raw, layout.items)
    times, clock, clock_note = working_times(raw, layout.timestamp, stamps, groups, zone)
    times, clock, step = in_steps(times, clock, columns, report)
    report.facts |= {"time format": stamps.style, "clock": clock_note}
    found = numbers(raw, layout.targets, columns)
    covariates = read_covariates(raw, _without_others(columns, kinds))
    report.decisions += [*found.decisions, *covariates.decisions]
    if any(style.decimal == "," for style in found.styles.values()):
        report.facts["format"] += ", decimal comma"
    if report.columns is not None:
        span = clock.write(pd.DatetimeIndex([times.min(), times.max()]))
        named = dict(zip(layout.targets, found.values.T, strict=True))
        ends = {layout.timestamp: (span[0], span[-1])}
        report.columns = profile_columns(raw, columns, report.roles, named, ends)
    styles = {**found.styles, **covariates.styles}
    rows_format = row_format(raw, names, layout, columns, stamps, styles, parts, covariates.columns)
    raw = replace(raw, columns={})  # their memory is not needed any more
    values = np.concatenate([found.values, covariates.values], 1) if kinds else found.values
    rows = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    newest_first = _is_newest_first(times, rows)
    if by_row:
        times = _equally_spaced(times, report)
    places = enumerate(covariates.columns, start=len(layout.targets))
    texts = {each.name: place for place, each in places if each.levels is not None}
    told = len(report.decisions)
    gridder = Gridder(raw, columns, report, clock, step, len(layout.targets), texts)
    ordered = [
        gridder.ordered(_rows_of(item, times, values, index))
        for item, index in zip(items, rows, strict=True)
    ]
    interval = gridder.interval(ordered)
    report.facts["interval"] = interval.alias
    if columns.aggregate is not None:
        count = sum(len(each.times) for each in ordered)
        report.decisions.append(said_together(columns, step, len(times), count))
    ordered = [gridder.on_days(interval, each) for each in ordered]
    series = tuple(
        _series(raw, each, gridder.on_grid(interval, each), covariates.columns, columns)
        for each in ordered
    )
    report.decisions[told:] = briefly(report.decisions[told:])
    table = Table(
        raw.path,
        raw.digest,
        layout.targets,
        interval,
        clock,
        newest_first,
        series,
        report,
        rows_format,
        stamps.date_style,
        covariates=covariates.columns,
        units={name: unit for name in layout.targets if (unit := found.styles[name].unit)},
    )
    _check_labels(table)
    if columns.static_file is not None:
        given = read_static(columns.static_file, columns)
        check_categorical(columns, (*kinds, *given.names))
        table = with_static(table, given)
        report.decisions += left_out(table, given)
    if not by_row:
        table = until_forecasts(table, columns, start, on_its_side=bool(turned_by))
    _describe(raw, table, found.values, report, columns.on_dead == "error")
    return table if by_row or start is not None else with_ends(table, columns.align == "end")


def _series(
    raw: RawTable, rows: SeriesRows, grid: Grid, columns: Covariates, roles: Columns
) -> Series:
    """The series of ``rows``, whose targets and covariates are on the ``grid``."""
    sizes = [len(columns.known), len(columns.past), len(columns.static)]
    if not columns:
        return Series(rows.item, rows.times[0], grid.values)
    targets = grid.values.shape[1] - sum(sizes)
    cuts = np.cumsum([targets, *sizes[:2]])
    values, known, past, _ = np.split(grid.values, cuts, axis=1)
    static = static_values(raw, rows, columns.static, rows.values[:, cuts[-1] :])
    put_in = grid.put_in[: 0 if roles.prior_column or not columns.known else None]
    return Series(rows.item, rows.times[0], values, known, past, static, put_in)


def _without_others(columns: Columns, kinds: Collection[str]) -> Columns:
    """The roles without codes of a file of static values, which is read later."""
    if columns.static_file is None or columns.categorical is None:
        return columns
    here = tuple(name for name in columns.categorical if name in kinds)
    return columns.model_copy(update={"categorical": here or None})


def _rows_of(
    item: str | None, times: pd.DatetimeIndex, values: NDArray[np.float64], index: NDArray[np.int64]
) -> SeriesRows:
    """The rows ``index`` of a series; of the only series of a file they are all, not copied."""
    if len(index) == len(times):
        return SeriesRows(item, times, values, index)
    return SeriesRows(item, times[index], values[index], index)


def _check_labels(table: Table) -> None:
    """Raise UserError if two series have the same item id in an output."""
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
    """Times at the most frequent distance, ending with the last one: a benchmark's protocol."""
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


def _is_newest_first(times: pd.DatetimeIndex, rows: list[NDArray[np.int64]]) -> bool:
    return any(len(r) > 1 for r in rows) and all(times[r].is_monotonic_decreasing for r in rows)


def _describe(
    raw: RawTable, table: Table, values: NDArray[np.float64], report: IntakeReport, refuse: bool
) -> None:
    """Report lengths, spans and missing values, with the lines of the first ones.

    ``refuse`` columns without any value.
    """
    lengths = [len(series.values) for series in table.series]
    first = min(series.first for series in table.series)
    ends = [table.interval.stamp(s.first, len(s.values) - 1) for s in table.series]
    report.facts |= {
        "series": len(table.series),
        **({"channels": len(table.names)} if len(table.names) > 1 else {}),
        "length": lengths[0] if len(set(lengths)) == 1 else f"{min(lengths)} to {max(lengths)}",
        "from": table.clock.write(pd.DatetimeIndex([first]))[0],
        "to": table.clock.write(pd.DatetimeIndex([max(ends)]))[0],
    }
    missing, constant = {}, []
    for k, name in enumerate(table.names):
        blank = np.flatnonzero(np.isnan(values[:, k]))
        if len(blank) == len(values) and refuse:
            raise UserError(
                f"{raw.path}, column '{name}': all values are missing; fill them in"
                f"{or_without(name, table.names)}"
            )
        if len(blank):
            shown = ", ".join(str(raw.places[row]) for row in blank[:5])
            missing[name] = f"{len(blank)} ({raw.unit} {shown}{', …' if len(blank) > 5 else ''})"
        known = values[~np.isnan(values[:, k]), k]
        if len(known) and known.min() == known.max():
            constant.append(name)
    if missing:
        report.facts["missing"] = missing
    if constant:
        report.facts["constant columns"] = constant
