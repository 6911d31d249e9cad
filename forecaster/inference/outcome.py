"""What becomes of each series of a forecast: the model's forecast, a fallback, or none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from forecaster.data.periods import season_in_words
from forecaster.data.seasons import seasons_of
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.inference.fallback import Repeated, repeated
from forecaster.inference.faults import Fault, said
from forecaster.inference.saved_model import SavedModel

OK, FALLBACK = "ok", "fallback"
_OTHERS = 50  # series that lend their errors to one that has too few

Place = tuple[int, int]  # the number of a series, and of its column
Cells = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Outcome:
    """The columns of each series' forecast, blank if it is skipped, its status, and decisions."""

    cells: Mapping[Place, Cells]
    status: Mapping[Place, str]
    decisions: list[str]


def with_fallbacks(
    saved: SavedModel,
    table: Table,
    cells: Mapping[Place, Cells],
    faults: Sequence[Fault],
    levels: Sequence[float],
) -> Outcome:
    """The model's forecasts ``cells``, with those of the faults replaced.

    ``levels``: the quantiles that are asked for. Raises UserError if there is no forecast at all.
    """
    faulty, horizon = {(f.series, f.channel) for f in faults}, saved.config.data.horizon
    whole = {place: columns for place, columns in cells.items() if place not in faulty}
    names = list(next(iter(whole.values()), ("mean", *(f"{level:g}" for level in levels))))
    good, status, skipped = list(whole), dict.fromkeys(whole, OK), []
    fallen: dict[int, list[Fault]] = {}
    for fault in faults:
        place, found = (fault.series, fault.channel), None
        if fault.policy == FALLBACK:
            found = _fallback(saved, table, place, good, levels)
        if found is None:
            skipped.append(fault)
            status[place] = f"skipped: {fault.reason}"
            whole[place] = dict.fromkeys(names, np.full(horizon, np.nan))
        else:
            fallen.setdefault(found.period, []).append(fault)
            status[place] = FALLBACK
            whole[place] = _columns(found, names, levels)
    if len(skipped) == len(whole):
        raise UserError(
            f"{table.path}: no series can be forecast; {said(table, skipped, 'skipped')[0]}; add "
            "rows with values"
        )
    decisions = said(table, skipped, "skipped")
    for period, alike in fallen.items():
        what = "the last value" if period == 1 else season_in_words(table.interval, period)
        decisions += said(table, alike, f"forecast without the model, by repeating {what}")
    return Outcome(whole, status, decisions)


def _columns(found: Repeated, names: Sequence[str], levels: Sequence[float]) -> Cells:
    quantiles = {f"{level:g}": q for level, q in zip(levels, found.quantiles, strict=True)}
    return {name: quantiles.get(name, found.centre) for name in names}


def _fallback(
    saved: SavedModel, table: Table, place: Place, good: Sequence[Place], levels: Sequence[float]
) -> Repeated | None:
    """The fallback of a series, within the bounds of the data."""
    config, (number, channel) = saved.config.data, place
    values, season = table.series[number].values[:, channel], seasons_of(config, table.interval)[0]
    others = list(_others(saved, table, place, good))
    found = repeated(values, season, config.horizon, levels, others)
    if found is None:
        return None
    k = saved.schema.names.index(table.names[channel])
    low, high = (bounds[k] for bounds in config.limits(saved.schema.names))
    return Repeated(found.centre.clip(low, high), found.quantiles.clip(low, high), found.period)


def _others(
    saved: SavedModel, table: Table, place: Place, good: Sequence[Place]
) -> Iterator[NDArray[np.float64]]:
    """The same column of series that the model knows, scaled to the size of this one's values.

    A series that the model does not know is taken to be of the usual size.
    """
    number, channel = place
    k = saved.schema.names.index(table.names[channel])
    sizes = {item: scale.std[k] for item, scale in saved.scaling.items()}
    size = sizes.get(table.series[number].item_id or "", np.median(list(sizes.values())))
    alike = (table.series[i] for i, other in good if other == channel and i != number)
    for series in islice(alike, _OTHERS):
        if (item := series.item_id or "") in sizes:
            yield series.values[:, channel] * (size / sizes[item])
