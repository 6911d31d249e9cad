"""Series with nothing to learn from, left out of a table where that is allowed."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from forecaster.config.schema import DataConfig
from forecaster.data.layout.words import listed
from forecaster.data.tables import Series, Table

_NAMED = 10


def without_dead(
    config: DataConfig, table: Table, ends: Sequence[int], known: Collection[str] = ()
) -> tuple[DataConfig, Table]:
    """Configuration and table without the series that have no value, or always the same one, in
    their first rows, unless that is all of them.

    ``ends``: how many rows these are. ``known``: the items that a model has learnt before, which
    stay. The value columns left of a wide table become the configuration's.
    """
    if config.on_dead == "error":
        return config, table
    dead = {
        number: [k for k in range(len(table.names)) if _is_dead(series, k, end)]
        for number, (series, end) in enumerate(zip(table.series, ends, strict=True))
        if (series.item_id or "") not in known
    }
    if len(table.series) == 1 and table.series[0].item_id is None:
        return _without_columns(config, table, dead.get(0, []))
    kept = tuple(each for number, each in enumerate(table.series) if not dead.get(number))
    if not kept or len(kept) == len(table.series):
        return config, table
    _say(table, [str(table.series[number].item_id) for number, found in dead.items() if found])
    return config, replace(table, series=kept)


def _is_dead(series: Series, channel: int, end: int) -> bool:
    values = series.values[:end, channel]
    known = values[~np.isnan(values)]
    return len(known) == 0 or bool(known.min() == known.max())


def _without_columns(
    config: DataConfig, table: Table, dead: Sequence[int]
) -> tuple[DataConfig, Table]:
    """The same without columns of a wide table; its bounds and value columns follow."""
    kept = [k for k in range(len(table.names)) if k not in dead]
    if not dead or not kept:
        return config, table
    _say(table, [table.names[k] for k in dead])
    names = tuple(table.names[k] for k in kept)
    bounds = {
        side: {name: bound for name, bound in given.items() if name in names}
        for side in ("lower", "upper")
        if isinstance(given := getattr(config, side), dict)
    }
    series = tuple(replace(each, values=each.values[:, kept]) for each in table.series)
    left = config.model_copy(update={"target": names, **bounds})
    return left, replace(table, names=names, series=series, rows=None)


def _say(table: Table, names: Sequence[str]) -> None:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    table.report.decisions.append(
        f"left out, without a value to learn from, or with one only: {listed(names[:_NAMED])}{more}"
    )
