"""The future of known covariates, which a forecast needs."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.covariates import Covariate
from forecaster.data.digits import shortest
from forecaster.data.encoding import Encoding
from forecaster.data.put_in import put_in_ahead, usually_put_in
from forecaster.data.tables import Series, Table
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel

_FAR = 20.0  # standard deviations
_OUT = ", or leave the row out where nothing is to come"
_AFTER = "; of times without a row to come, the first row after them says so"


def check_ahead(
    saved: SavedModel, table: Table, numbers: Collection[int], whole: bool = False
) -> list[str]:
    """Raise UserError unless the known covariates of these series reach over the horizon.

    A blank cell of a column of texts is taken as none of them, which is told, and so are texts that
    the model does not know, and numbers far from those that it has learnt from; with ``whole``,
    those of the whole future that is given. So are rows that are not there, where the model has
    learnt from such ones.
    """
    if saved.encoding is None:
        return []
    horizon, columns = saved.config.data.horizon, table.covariates.known
    blank = dict.fromkeys((each.name for each in columns if each.levels is not None), 0)
    put_in = _PutIn(saved, table)
    for number in numbers if columns else ():
        series = table.series[number]
        given = series.known[len(series.values) :]
        lacking = put_in.rows(number)
        if not lacking[len(given) : horizon].all():
            after = _AFTER if _knows_rows_put_in(saved) else ""
            # a stream leaves no series out
            after += "" if whole else _without_it(table, series, horizon)
            raise _too_few(table, series, lacking, saved.config.data, after)
        missing = np.isnan(given) & ~lacking[: len(given), None]
        for column, rows in zip(columns, missing.T, strict=True):
            wanted = np.flatnonzero(rows[:horizon])
            if len(wanted) and column.levels is None:
                free = _OUT if _knows_rows_put_in(saved) else ""
                raise _blank(table, series, column, int(wanted[0]), len(wanted), horizon, free)
            if column.levels is not None:
                blank[column.name] += int((rows if whole else rows[:horizon]).sum())
    said = [
        f"column '{name}': blank in {count} row(s) of the future, taken as none of its texts"
        for name, count in blank.items()
        if count
    ]
    far = _far(saved.encoding, table, numbers, None if whole else horizon)
    return said + put_in.said() + far + saved.encoding.unknown(table)


class _PutIn:
    """The rows of the future that count as those that --on-gap zero puts into the history."""

    def __init__(self, saved: SavedModel, table: Table) -> None:
        self._table, self._horizon = table, saved.config.data.horizon
        self._learnt = _knows_rows_put_in(saved)
        self._lacking, self._unusual = list[tuple[Series, int]](), list[tuple[Series, int]]()

    def rows(self, number: int) -> NDArray[np.bool_]:
        """Those of a series' future (horizon or more rows,), noted to be told."""
        series, horizon = self._table.series[number], self._horizon
        if not self._learnt or not len(series.put_in):
            return np.zeros(max(horizon, len(series.known) - len(series.values)), bool)
        rows = put_in_ahead(self._table, series, horizon)
        unusual = usually_put_in(self._table, series, horizon) & ~rows[:horizon]
        for found, steps in (self._lacking, rows[:horizon]), (self._unusual, unusual):
            found.extend((series, step) for step in np.flatnonzero(steps).tolist())
        return rows

    def said(self) -> list[str]:
        """What is told of them, and of rows where the history has none."""
        said = []
        if self._lacking:
            said.append(
                f"{len(self._lacking)} row(s) of the future are not there, first "
                f"{self._first(self._lacking)}: taken as those of the history that --on-gap zero "
                "puts in"
            )
        if self._unusual:
            said.append(
                f"{len(self._unusual)} row(s) of the future are at times at which the history has "
                f"none, first {self._first(self._unusual)}: forecast like the others; leave them "
                "out where nothing is to come"
            )
        return said

    def _first(self, found: Sequence[tuple[Series, int]]) -> str:
        series, step = min(found, key=lambda each: _stamp(self._table, *each))
        of = "" if series.item_id is None else f" of series '{series.item_id}'"
        return f"{_time(self._table, series, step)}{of}"


def _knows_rows_put_in(saved: SavedModel) -> bool:
    """Whether the model has learnt from rows that --on-gap zero puts in: they have no covariates,
    which it can tell from those that have some.
    """
    codes = () if saved.encoding is None else saved.encoding.known
    learnt = any(code.blanks or code.levels is not None for code in codes)
    return learnt and saved.config.data.columns.on_gap == "zero"


def _far(
    encoding: Encoding, table: Table, numbers: Collection[int], steps: int | None
) -> list[str]:
    """A decision about each column with a number far from all that the model has learnt from."""
    said = []
    for place, code in enumerate(encoding.known):
        for number in numbers if code.levels is None and code.std > 0 else ():
            series = table.series[number]
            ahead = series.known[len(series.values) :, place][:steps]
            away = np.nan_to_num(np.abs(ahead - code.mean) / code.std)
            step = int(np.argmax(away)) if len(away) else 0
            if len(away) and away[step] > _FAR:
                said.append(
                    f"column '{code.name}': {shortest(ahead[step])} at "
                    f"{_time(table, series, step)} is {away[step]:.3g} standard deviations from "
                    "its mean in the training: the model has learnt from nothing like it"
                )
                break
    return said


def _too_few(
    table: Table, series: Series, lacking: NDArray[np.bool_], data: DataConfig, after: str
) -> UserError:
    """``lacking``: the rows of the future (horizon,) that count as put in; ``after``: further
    remedies.
    """
    horizon, rows = data.horizon, len(series.known) - len(series.values)
    names = ", ".join(f"'{each.name}'" for each in table.covariates.known)
    wanted = rows + np.flatnonzero(~lacking[rows:])
    first, last = (_time(table, series, int(step)) for step in (wanted[0], wanted[-1]))
    free = np.flatnonzero(lacking[wanted[0] : wanted[-1]])
    without = (
        f" but for those at times at which the history has none, such as "
        f"{_time(table, series, int(wanted[0] + free[0]))},"
        if len(free)
        else ""
    )
    have = "no rows after its last value" if rows == 0 else f"{rows} row(s) after its last value"
    return UserError(
        f"{_name(table, series)}: the model needs {names} of the {horizon} rows to forecast, and "
        f"there are {have}; add those from {first} to {last}{without} with the values left blank "
        "(on the command line also in a file of their own, --future FILE, which --template FILE "
        f"writes to be filled in){after}"
    )


def _without_it(table: Table, series: Series, horizon: int) -> str:
    """The option that leaves a series without a row of the future out, where others have theirs."""
    others = any(_has_future(each, horizon) for each in table.series)
    if _has_future(series, horizon) or not others:
        return ""
    return "; if it has ended for good, --on-dead skip forecasts the others"


def without_future(saved: SavedModel, table: Table, series: Series) -> bool:
    """Whether a series has no row among those to forecast, but has to have some."""
    if saved.encoding is None or not table.covariates.known:
        return False
    horizon = saved.config.data.horizon
    if _has_future(series, horizon):
        return False
    usual = usually_put_in(table, series, horizon)
    return not (_knows_rows_put_in(saved) and bool(usual.all()))


def _has_future(series: Series, horizon: int) -> bool:
    """Whether the file has one of the rows to forecast."""
    rows = len(series.values)
    known = series.known[rows : rows + horizon]
    put_in = series.put_in[rows : rows + horizon]
    return len(known) > 0 and not (len(put_in) > 0 and bool(put_in.all()))


def _blank(
    table: Table, series: Series, column: Covariate, step: int, count: int, horizon: int, free: str
) -> UserError:
    others = f" and {count - 1} more of the {horizon} rows" if count > 1 else ""
    return UserError(
        f"{_name(table, series)}: column '{column.name}' is blank at "
        f"{_time(table, series, step)}{others} to forecast, which the model needs; fill it in{free}"
    )


def _name(table: Table, series: Series) -> str:
    path = table.path if table.future is None else f"{table.path} with --future {table.future}"
    return path if series.item_id is None else f"{path}, series '{series.item_id}'"


def _time(table: Table, series: Series, step: int) -> str:
    """The time of a step of the future, 0 for the first, as the file writes it."""
    return table.clock.write(pd.DatetimeIndex([_stamp(table, series, step)]))[0]


def _stamp(table: Table, series: Series, step: int) -> pd.Timestamp:
    return table.interval.stamps(series.first, len(series.values) + step + 1)[-1]
