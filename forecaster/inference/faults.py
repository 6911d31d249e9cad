"""Series, and columns of a series, that a model cannot forecast, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.digits import shortest
from forecaster.data.tables import Series, Table
from forecaster.errors import UserError
from forecaster.inference.ahead import without_future
from forecaster.inference.inputs import fewest_rows
from forecaster.inference.saved_model import SavedModel

_NAMED = 5
_ON_DEAD = ", or give --on-dead skip to forecast the others"

Policy = Literal["error", "skip", "fallback"]


@dataclass(frozen=True)
class Fault:
    """Why column ``channel`` of series number ``series`` cannot be forecast.

    ``message``: the refusal, with ``option`` as a remedy if other series can be forecast.
    """

    series: int
    channel: int
    reason: str
    policy: Policy
    message: str = ""
    option: str = ""


def find_faults(
    saved: SavedModel, table: Table, columns: Columns, dead_may_go: bool = True
) -> list[Fault]:
    """The faults of all series, by series and column. Raises UserError for one that is refused.

    ``dead_may_go``: whether series without values can be left out by an option, which is then told.
    """
    faults = [f for i in range(len(table.series)) for f in _faults(saved, table, i, columns)]
    for fault in faults:
        if fault.policy == "error":
            alike = sum(other.option == fault.option for other in faults)
            told = alike < len(table.labels) and (dead_may_go or fault.option != _ON_DEAD)
            raise UserError(f"{fault.message}{fault.option if told else ''}")
    return faults


def _faults(saved: SavedModel, table: Table, number: int, columns: Columns) -> list[Fault]:
    series, channels = table.series[number], range(len(table.names))
    name = "" if series.item_id is None else f"series '{series.item_id}': "
    rows, minimum, lookback = len(series.values), fewest_rows(saved), saved.config.data.lookback
    if rows < minimum:
        message = (
            f"{table.path}: {name}{rows} rows, the model reads {lookback} and needs {minimum} at "
            "least; add rows"
        )
        option = ", or give --on-short skip to forecast the others"
        policy: Policy = "error"
        if columns.on_short in {"skip", "fallback"}:
            policy = "skip" if columns.on_short == "skip" else "fallback"
        reason = f"{rows} rows where {minimum} are needed"
        return [Fault(number, k, reason, policy, message, option) for k in channels]
    if columns.on_dead != "error" and without_future(saved, table, series):
        reason = "no rows of the future, which the model needs"
        return [Fault(number, k, reason, columns.on_dead) for k in channels]
    found = [f for k in channels for f in _dead(table, number, k, name, lookback, columns)]
    unknown = (series.item_id or "") not in saved.scaling
    if found and unknown and len(found) < len(channels):
        # a series that the model does not know is scaled by the values of all of its columns
        dead = {fault.channel for fault in found}
        reason = f"not in the training, and {table.names[found[0].channel]}: {found[0].reason}"
        found += [replace(found[0], channel=k, reason=reason) for k in channels if k not in dead]
    return found


def _dead(
    table: Table, number: int, channel: int, name: str, lookback: int, columns: Columns
) -> list[Fault]:
    """The fault of a column without a value in what the model reads, or with a single one."""
    column, recent = table.names[channel], table.series[number].values[-lookback:, channel]
    if column in table.absent:
        return [Fault(number, channel, "not in the file", "skip")]
    known = recent[~np.isnan(recent)]
    message = (
        f"{table.path}: {name}column '{column}' has no value in the last {len(recent)} rows that "
        "the model reads; add values"
    )
    if not len(known):
        reason = f"no value in the last {len(recent)} rows"
        return [Fault(number, channel, reason, columns.on_dead, message, _ON_DEAD)]
    if columns.on_dead != "error" and len(known) > 1 and known.min() == known.max():
        reason = f"always {shortest(known[0])} in the last {len(recent)} rows"
        return [Fault(number, channel, reason, columns.on_dead)]
    return []


def readable_series(saved: SavedModel, table: Table, faults: Sequence[Fault]) -> dict[int, Series]:
    """The series that the model forecasts, by number: columns with a fault are masked in them."""
    lookback, channels = saved.config.data.lookback, len(table.names)
    faulty: dict[int, list[int]] = {}
    for fault in faults:
        faulty.setdefault(fault.series, []).append(fault.channel)
    return {
        number: _masked(series, faulty.get(number, []), lookback)
        for number, series in enumerate(table.series)
        if len(faulty.get(number, [])) < channels
    }


def _masked(series: Series, channels: Sequence[int], lookback: int) -> Series:
    if not channels:
        return series
    values: NDArray[np.float64] = series.values.copy()
    values[-lookback:, list(channels)] = np.nan
    return replace(series, values=values)


def said(table: Table, faults: Sequence[Fault], what: str) -> list[str]:
    """A decision about the series of these faults, if there are any."""
    return [f"{len(faults)} series {what}: {_named(table, faults)}"] if faults else []


def _named(table: Table, faults: Sequence[Fault]) -> str:
    names = [
        f"'{table.channel_label(table.series[f.series], f.channel)}' ({f.reason})" for f in faults
    ]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
