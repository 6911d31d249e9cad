"""The future of known covariates, which a forecast needs."""

import shlex
from collections.abc import Collection

import numpy as np
import pandas as pd

from forecaster.config.schema import DataConfig
from forecaster.data.covariates import Covariate
from forecaster.data.digits import shortest
from forecaster.data.encoding import Encoding
from forecaster.data.tables import Series, Table
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel

_FAR = 20.0  # standard deviations


def check_ahead(
    saved: SavedModel, table: Table, numbers: Collection[int], whole: bool = False
) -> list[str]:
    """Raise UserError unless the known covariates of these series reach over the horizon.

    A blank cell of a column of texts is taken as none of them, which is told, and so are texts that
    the model does not know, and numbers far from those that it has learnt from; with ``whole``,
    those of the whole future that is given.
    """
    if saved.encoding is None:
        return []
    horizon, columns = saved.config.data.horizon, table.covariates.known
    blank = dict.fromkeys((each.name for each in columns if each.levels is not None), 0)
    for number in numbers:
        series = table.series[number]
        given = series.known[len(series.values) :]
        ahead = given[:horizon]
        if columns and len(ahead) < horizon:
            raise _too_few(table, series, len(ahead), saved.config.data)
        for place, column in enumerate(columns):
            missing = np.flatnonzero(np.isnan(ahead[:, place]))
            if len(missing) and column.levels is None:
                raise _blank(table, series, column, int(missing[0]), len(missing), horizon)
            if column.levels is not None:
                blank[column.name] += int(np.isnan((given if whole else ahead)[:, place]).sum())
    said = [
        f"column '{name}': blank in {count} row(s) of the future, taken as none of its texts"
        for name, count in blank.items()
        if count
    ]
    far = _far(saved.encoding, table, numbers, None if whole else horizon)
    return said + far + saved.encoding.unknown(table)


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
            step = int(np.argmax(away))
            if away[step] > _FAR:
                said.append(
                    f"column '{code.name}': {shortest(ahead[step])} at "
                    f"{_time(table, series, step)} is {away[step]:.3g} standard deviations from "
                    "its mean in the training: the model has learnt from nothing like it"
                )
                break
    return said


def _too_few(table: Table, series: Series, rows: int, data: DataConfig) -> UserError:
    horizon = data.horizon
    names = ", ".join(f"'{each.name}'" for each in table.covariates.known)
    first, last = _time(table, series, rows), _time(table, series, horizon - 1)
    have = "no rows after its last value" if rows == 0 else f"{rows} row(s) after its last value"
    return UserError(
        f"{_name(table, series)}: the model needs {names} of the {horizon} rows to forecast, and "
        f"there are {have}; add those from {first} to {last} with the values left blank (on the "
        "command line also in a file of their own, --future FILE, which --template FILE writes to "
        f"be filled in){_without_the_dead(table, data)}"
    )


def _without_the_dead(table: Table, data: DataConfig) -> str:
    """The options that leave a series out, where it ended a lookback before the others, if that is
    all that keeps these from being forecast, and they leave out nothing else.
    """
    begins = [_stamp(table, each, 0) for each in table.series]
    begin = max(begins)
    for each, own in zip(table.series, begins, strict=True):
        lasts = own == begin and len(each.known) >= len(each.values) + data.horizon
        recent = each.values[-data.lookback :]
        lives = all(len(np.unique(row[~np.isnan(row)])) > 1 for row in recent.T)
        if not (lives if lasts else _stamp(table, each, data.lookback) <= begin):
            return ""
    [start] = table.clock.write(pd.DatetimeIndex([begin]))
    return (
        "; if it has ended for good, leave it out and begin where the others end: "
        f"--start {shlex.quote(start)} --on-gap fill --on-dead skip"
    )


def _blank(
    table: Table, series: Series, column: Covariate, step: int, count: int, horizon: int
) -> UserError:
    others = f" and {count - 1} more of the {horizon} rows" if count > 1 else ""
    return UserError(
        f"{_name(table, series)}: column '{column.name}' is blank at "
        f"{_time(table, series, step)}{others} to forecast, which the model needs; fill it in"
    )


def _name(table: Table, series: Series) -> str:
    return table.path if series.item_id is None else f"{table.path}, series '{series.item_id}'"


def _time(table: Table, series: Series, step: int) -> str:
    """The time of a step of the future, 0 for the first, as the file writes it."""
    return table.clock.write(pd.DatetimeIndex([_stamp(table, series, step)]))[0]


def _stamp(table: Table, series: Series, step: int) -> pd.Timestamp:
    return table.interval.stamps(series.first, len(series.values) + step + 1)[-1]
