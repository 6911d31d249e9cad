"""The future of known covariates in a file of its own, and the template of its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.cells import Text
from forecaster.data.covariates import Covariate, Read, read_covariates
from forecaster.data.digits import shortest
from forecaster.data.layout.header import with_names
from forecaster.data.layout.time_columns import find_time
from forecaster.data.layout.words import listed
from forecaster.data.put_in import usually_put_in
from forecaster.data.reading import RawTable, read_file
from forecaster.data.series_names import groups_of
from forecaster.data.tables import Series, Table
from forecaster.data.times.find_parts import find_parts
from forecaster.data.timestamps import parse_stamps
from forecaster.errors import UserError
from forecaster.io.output_tables import plain_name, spreadsheet_safe

_NAMES_SERIES = "names the series"
_MOST_AHEAD = 100_000  # rows of the future of a series


def with_future(table: Table, source: str | Path | RawTable, columns: Columns) -> Table:
    """The table with the known covariates that a file holds of the times after its values.

    The file has the times, the names of the series, if there are several, and the known columns;
    others are not read. It holds against what the table knows of the rows to forecast; of its
    history only what is missing there is taken. Raises UserError for times that are not on the grid
    of their series.
    """
    if not table.covariates.known:
        name = source.path if isinstance(source, RawTable) else source
        raise UserError(
            f"--future {name}: the model has no covariates that are known ahead; leave it out, "
            "or train with --known"
        )
    names = {each.name for each in table.covariates.known}
    codes = tuple(name for name in columns.categorical or () if name in names) or None
    alone = {"past": None, "static": None, "target": None, "categorical": codes}
    columns = columns.model_copy(update=alone)
    raw = source if isinstance(source, RawTable) else read_file(source, columns.header)
    raw = with_names(raw, columns)
    raw, time = _with_time(raw, table, columns)
    keys = [name for name, role in table.report.roles.items() if role.role == _NAMES_SERIES]
    raw = _with_plain_names(raw, table, keys)
    lacking = [
        n for n in (*keys, *(each.name for each in table.covariates.known)) if n not in raw.columns
    ]
    if lacking:
        raise UserError(
            f"{raw.path}: no column {listed(lacking)}{nearest(lacking[0], list(raw.columns))}, "
            f"which the future has to have; the columns are {listed(raw.columns)}"
        )
    groups, items = groups_of(raw, keys)
    times = _times(raw, time, table, columns, [groups == n for n in range(len(items))], items)
    known = _with_all_texts(table, read_covariates(raw, columns))
    found = {
        item: _Rows(times[groups == number], known.values[groups == number])
        for number, item in enumerate(items)
    }
    _tell(table, raw, found)
    widened = replace(table, covariates=known.columns, future=raw.path)
    series = tuple(
        each if each.item_id not in found else _extended(widened, raw, each, found[each.item_id])
        for each in table.series
    )
    return replace(widened, series=series)


@dataclass(frozen=True)
class _Rows:
    """The times (n,) and known covariates (n, C) of a series."""

    times: pd.DatetimeIndex
    known: NDArray[np.float64]


def _with_plain_names(raw: RawTable, table: Table, keys: Sequence[str]) -> RawTable:
    """The cells with names as the table has them; a template makes them safe for spreadsheets."""
    known = {part for s in table.series for part in ({s.item_id, *str(s.item_id).split("/")})}
    columns = dict(raw.columns)
    for key in keys:
        column = raw.columns.get(key)
        if isinstance(column, Text):
            columns[key] = Text.of(cell if cell in known else plain_name(cell) for cell in column)
    return replace(raw, columns=columns)


def _with_time(raw: RawTable, table: Table, columns: Columns) -> tuple[RawTable, str]:
    """The cells with one column of times, and its name: the table's, or the one that is found."""
    usual = str(table.report.facts["time column"])
    named = columns.model_copy(update={"timestamp": usual if usual in raw.columns else None})
    parts = find_parts(raw, named)
    if parts is not None:
        return replace(raw, columns=parts.join(raw.columns)), parts.name
    return raw, find_time(raw, named).name


def _times(
    raw: RawTable,
    time: str,
    table: Table,
    columns: Columns,
    groups: Sequence[NDArray[np.bool_]],
    items: Sequence[str | None],
) -> pd.DatetimeIndex:
    """The working times (n,) of the table's clock; ``groups``: the rows (n,) of each item."""
    stamps = parse_stamps(raw, time, columns, table.date_style)
    clock, offsets = table.clock, stamps.offsets
    if clock.utc and clock.zone is None and offsets is None:
        raise UserError(
            f"{raw.path}: the times have no offset from UTC, those of {table.path} have; add it"
        )
    ends = {s.item_id: table.interval.stamp(s.first, len(s.values) - 1) for s in table.series}
    step = table.interval.tick or pd.Timedelta(0)
    found = list(stamps.wall)
    for item, group in zip(items, groups, strict=True):
        before = ends.get(item, pd.Timestamp.min)
        for row in _oldest_first(stamps.wall, np.flatnonzero(group)):
            wall = stamps.wall[row]
            offset = None if offsets is None else int(offsets[row])
            working = clock.read(wall, offset, before + step)
            if working is None:
                raise UserError(
                    f"{raw.where(row, time)}: {wall} does not exist in {clock.zone} (the clock "
                    "goes forward); correct the time"
                )
            found[row] = before = working
    return pd.DatetimeIndex(found)


def _oldest_first(wall: pd.DatetimeIndex, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of an item in the file's order, or from its end if the newest come first."""
    return rows[::-1] if wall[rows[0]] > wall[rows[-1]] else rows


def _with_all_texts(table: Table, read: Read) -> Read:
    """The future with the table's texts, too, and the places of both as the values."""
    values, columns = read.values.copy(), []
    for place, (own, new) in enumerate(
        zip(table.covariates.known, read.columns.known, strict=True)
    ):
        if own.levels is None and all(np.isnan(s.known[:, place]).all() for s in table.series):
            own = Covariate(own.name, () if new.levels is not None else None)
        empty = bool(np.isnan(values[:, place]).all())
        if (own.levels is None) != (new.levels is None) and not empty:
            kinds = ("numbers", "texts") if own.levels is None else ("texts", "numbers")
            raise UserError(
                f"column '{own.name}' holds {kinds[0]} in {table.path} and {kinds[1]} in the "
                "future; correct one of them"
            )
        if own.levels is None or new.levels is None:
            columns.append(own)
            continue
        levels = (*own.levels, *(level for level in new.levels if level not in own.levels))
        places = np.array([levels.index(level) for level in new.levels], np.float64)
        given = ~np.isnan(values[:, place])
        values[given, place] = places[values[given, place].astype(np.int64)]
        columns.append(Covariate(own.name, levels))
    return replace(read, columns=replace(table.covariates, known=tuple(columns)), values=values)


def _tell(table: Table, raw: RawTable, found: Mapping[str | None, _Rows]) -> None:
    own = {series.item_id for series in table.series}
    others = [str(item) for item in found if item not in own]
    if own == {None} or not others:
        return
    shown = listed(others[:3]) + (", …" if len(others) > 3 else "")
    table.report.decisions.append(
        f"{raw.path}: {len(others)} series that {table.path} does not hold left out: {shown}"
    )


def _extended(table: Table, raw: RawTable, series: Series, rows: _Rows) -> Series:
    """The series with what is known of the times, on its grid."""
    if rows.times.has_duplicates:
        again = table.clock.write(rows.times[rows.times.duplicated()][:1])[0]
        raise UserError(f"{_place(raw, series)}: {again} occurs more than once; leave one row")
    last, length = rows.times.max(), len(series.known)
    grid = table.interval.stamps(series.first, length)
    while grid[-1] < last:
        if length > len(series.values) + _MOST_AHEAD:
            raise UserError(
                f"{_place(raw, series)}: {table.clock.write(rows.times[-1:])[0]} is more than "
                f"{_MOST_AHEAD} steps after the last value; correct the times"
            )
        length += max(len(rows.times), 1)
        grid = table.interval.stamps(series.first, length)
    places = grid.get_indexer(rows.times)
    off = np.flatnonzero((places < 0) & (rows.times > series.first))
    if len(off):
        raise UserError(
            f"{_place(raw, series)}: {table.clock.write(rows.times[off[:1]])[0]} is not on the "
            f"grid of interval {table.interval.alias} of {table.path}; correct the time"
        )
    known = np.full((length, series.known.shape[1]), np.nan)
    known[: len(series.known)] = series.known
    on = places >= 0
    past = places[on] < len(series.values)
    put_in = series.put_in_until(length)
    # what the history has; a row that it lacks stays one
    lacked = past & put_in[places[on]] if len(put_in) else np.zeros(len(past), bool)
    history = past[:, None] & (~np.isnan(known[places[on]]) | lacked[:, None])
    kept = history | np.isnan(rows.known[on])
    known[places[on]] = np.where(kept, known[places[on]], rows.known[on])
    if len(put_in):
        put_in[places[on][~past]] = False
    end = max(len(series.known), int(grid.searchsorted(last)) + 1)
    return replace(series, known=known[:end], put_in=put_in[:end])


def _place(raw: RawTable, series: Series) -> str:
    return raw.path if series.item_id is None else f"{raw.path}, series '{series.item_id}'"


def template(table: Table, horizon: int) -> pd.DataFrame:
    """The rows that a forecast of ``horizon`` steps needs: times, names of the series, and the
    known covariates as far as the table holds them, as texts.

    With --on-gap zero, without those at times at which the history never has one. Raises UserError
    if there is none to be filled in.
    """
    if not table.covariates.known:
        raise UserError(
            "--template: the model has no covariates that are known ahead, and needs no rows of "
            "the future; forecast without it"
        )
    keys = [name for name, role in table.report.roles.items() if role.role == _NAMES_SERIES]
    frames = []
    for series in table.series:
        rows = len(series.values)
        grid = table.interval.stamps(series.first, rows + horizon)[rows:]
        time = str(table.report.facts["time column"])
        cells = {"timestamp" if "," in time else time: table.clock.write(grid)}
        cells |= {
            key: [spreadsheet_safe(part)] * horizon for key, part in _key_cells(table, series, keys)
        }
        ahead = np.full((horizon, series.known.shape[1]), np.nan)
        given = series.known[rows : rows + horizon]
        ahead[: len(given)] = given
        for column, values in zip(table.covariates.known, ahead.T, strict=True):
            cells[column.name] = [_cell(column, value) for value in values]
        closed = usually_put_in(table, series, horizon) & np.isnan(ahead).all(axis=1)
        frames.append(pd.DataFrame(cells)[~closed])
    rows = pd.concat(frames, ignore_index=True)
    if rows.empty:
        raise UserError(
            "--template: the rows to forecast are at times at which the history never has one, so "
            "that there is none to be filled in; forecast without --future"
        )
    return rows


def _key_cells(table: Table, series: Series, keys: Sequence[str]) -> list[tuple[str, str]]:
    """The names of a series in each of the columns that name it."""
    if not keys or series.item_id is None:
        return []
    parts = [series.item_id] if len(keys) == 1 else series.item_id.split("/")
    if len(parts) != len(keys):
        raise UserError(
            f"{table.path}: series '{series.item_id}' has a '/' in a name, so that a template "
            f"cannot tell the columns {listed(keys)} apart; write the rows yourself"
        )
    return list(zip(keys, parts, strict=True))


def _cell(column: Covariate, value: float) -> str:
    if np.isnan(value):
        return ""
    return shortest(value) if column.levels is None else column.levels[int(value)]
