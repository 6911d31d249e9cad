"""What becomes of each series of a forecast: the model's forecast, a fallback, or none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from forecaster.data.periods import season_in_words
from forecaster.data.seasons import seasons_of
from forecaster.data.tables import Series, Table
from forecaster.errors import UserError
from forecaster.inference.fallback import Repeated, repeated
from forecaster.inference.faults import Fault, said
from forecaster.inference.saved_model import SavedModel

OK, FALLBACK = "ok", "fallback"
_OTHERS = 50  # series that lend their errors to one that has too few

Place = tuple[int, int]  # the number of a series, and of its column
Cells = dict[str, NDArray[np.float64]]
Lenders = Mapping[int, Sequence[Series]]  # by column


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
    lenders: Lenders | None = None,
) -> Outcome:
    """The model's forecasts ``cells``, with those of the faults replaced.

    ``levels``: the quantiles that are asked for. ``lenders``: of a part of a file, those of the
    file (None: this is the whole). Raises UserError if there is no forecast at all, unless it is a
    part.
    """
    faulty, horizon = {(f.series, f.channel) for f in faults}, saved.config.data.horizon
    whole = {place: columns for place, columns in cells.items() if place not in faulty}
    part = lenders is not None
    names = list(next(iter(whole.values()), ("mean", *(f"{level:g}" for level in levels))))
    status, skipped = dict.fromkeys(whole, OK), []
    lenders = lenders_of(table, faults) if lenders is None else lenders
    sizes = _Sizes.known(saved)
    fallen: dict[int, list[Fault]] = {}
    for fault in faults:
        place, found = (fault.series, fault.channel), None
        if fault.policy == FALLBACK:
            found = _fallback(saved, table, place, lenders, sizes, levels)
        if found is None:
            skipped.append(fault)
            status[place] = f"skipped: {fault.reason}"
            whole[place] = dict.fromkeys(names, np.full(horizon, np.nan))
        else:
            fallen.setdefault(found.period, []).append(fault)
            status[place] = FALLBACK
            whole[place] = _columns(found, names, levels)
    if not part and len(skipped) == len(whole):
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


def lenders_of(table: Table, faults: Sequence[Fault], before: Lenders | None = None) -> Lenders:
    """The first series without a fault, by column; ``before``: those of earlier parts of a file."""
    faulty = {(fault.series, fault.channel) for fault in faults}
    found: dict[int, Sequence[Series]] = {}
    for channel, name in enumerate(table.names):
        if name in table.absent:
            continue
        good = (s for i, s in enumerate(table.series) if (i, channel) not in faulty)
        earlier = (before or {}).get(channel, ())
        found[channel] = [*earlier, *islice(good, _OTHERS - len(earlier))]
    return found


def enough(lenders: Lenders) -> bool:
    """Whether further series would not be among the lenders."""
    return all(len(series) == _OTHERS for series in lenders.values())


@dataclass(frozen=True)
class _Sizes:
    """The standard deviations (K,) of the series that the model knows, and the ``usual`` ones."""

    by_item: Mapping[str, NDArray[np.float64]]
    usual: NDArray[np.float64]

    @classmethod
    def known(cls, saved: SavedModel) -> "_Sizes":
        found = {item: scale.std for item, scale in saved.scaling.items()}
        return cls(found, np.median(np.stack(list(found.values())), axis=0))

    def of(self, series: Series) -> NDArray[np.float64]:
        """Those of a series."""
        return self.by_item.get(series.item_id or "", self.usual)


def _fallback(
    saved: SavedModel,
    table: Table,
    place: Place,
    lenders: Lenders,
    sizes: _Sizes,
    levels: Sequence[float],
) -> Repeated | None:
    """The fallback of a series, within the bounds of the data."""
    config, (number, channel) = saved.config.data, place
    series, season = table.series[number], seasons_of(config, table.interval)[0]
    k = saved.schema.names.index(table.names[channel])
    others = list(_others(series, channel, k, lenders.get(channel, ()), sizes))
    found = repeated(series.values[:, channel], season, config.horizon, levels, others)
    if found is None:
        return None
    low, high = (bounds[k] for bounds in config.limits(saved.schema.names))
    return Repeated(found.centre.clip(low, high), found.quantiles.clip(low, high), found.period)


def _others(
    series: Series, channel: int, k: int, lenders: Sequence[Series], sizes: _Sizes
) -> Iterator[NDArray[np.float64]]:
    """The same column of series that the model knows, scaled to the size of this one's values.

    A series that the model does not know is taken to be of the usual size. ``k``: the column's
    number in the model.
    """
    size = sizes.of(series)[k]
    for other in lenders:
        if (item := other.item_id or "") in sizes.by_item:
            yield other.values[:, channel] * (size / sizes.by_item[item][k])
