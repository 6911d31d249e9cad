"""Covariates that seem to hold what is to be forecast, or that end before it."""

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from forecaster.data.tables import Table

_ALIKE = 0.99  # the share of rows, or the correlation, from which on a column is a copy
_FEWEST = 20  # rows
_MOST_ROWS = 20_000


def suspected_leaks(table: Table, horizon: int, own: Collection[str] = ()) -> list[str]:
    """Decisions about known columns of numbers that repeat a value column, now or up to ``horizon``
    steps away. What repeats it some steps before is not known that far ahead. ``own``: those that
    are a forecast of one's own.
    """
    found = []
    for place, column in enumerate(table.covariates.known):
        if column.levels is not None:
            continue
        for k, name in enumerate(table.names):
            pairs = [
                (series.known[: len(series.values), place], series.values[:, k])
                for series in table.series
            ]
            step = next(_repeated(pairs, horizon), None)
            if step is not None:
                role, remedy = "known", "leave it out, or give it with --past"
                if column.name in own:
                    role, remedy = "prior-column", "leave it out, or give forecasts made before"
                found.append(
                    f"column '{column.name}' (--{role}) {_words(name, step)}: if it is made from "
                    "those values, it is not known ahead, and all errors flatter the model; "
                    f"{remedy}"
                )
                break
    return found


def ended_early(table: Table) -> list[str]:
    """Decisions about columns of numbers that are blank in the last rows of series with values."""
    found = []
    for kind in ("known", "past"):
        for place, column in enumerate(getattr(table.covariates, kind)):
            ended = []
            for series in table.series if column.levels is None else ():
                given = np.flatnonzero(
                    ~np.isnan(getattr(series, kind)[: len(series.values), place])
                )
                if len(given) and given[-1] + 1 < len(series.values):
                    ended.append((series, int(given[-1]) + 1))
            if ended:
                series, first = ended[0]
                since = table.interval.stamps(series.first, first + 1)[-1:]
                where = "" if series.item_id is None else f" of '{series.item_id}'"
                more = f" (and the last of {len(ended) - 1} more series)" if ended[1:] else ""
                found.append(
                    f"column '{column.name}' (--{kind}): the last {len(series.values) - first} "
                    f"row(s){where}, from {table.clock.write(since)[0]} on{more}, are blank: taken "
                    "as missing; fill them in, or leave the column out"
                )
    return found


Pairs = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


def _repeated(pairs: Pairs, horizon: int) -> Iterator[int]:
    """The steps, the nearest first, by which a column repeats the values, or a multiple of them."""
    for away in range(horizon + 1):
        for step in dict.fromkeys((away, -away)):
            known, values = _shifted(pairs, step)
            if len(values) >= _FEWEST and _are_alike(known, values):
                yield step


def _shifted(pairs: Pairs, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values that are there in both, those of the column ``step`` steps before the other's."""
    parts = []
    for known, values in pairs:
        end = len(values) - abs(step)
        if end <= 0:
            continue
        first = known[:end] if step >= 0 else known[-step:]
        second = values[step:] if step >= 0 else values[:end]
        parts.append(np.stack([first[-_MOST_ROWS:], second[-_MOST_ROWS:]]))
    both = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
    return tuple(both[:, ~np.isnan(both).any(axis=0)])


def _are_alike(known: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Whether nearly all rows lie on one straight line, which is not flat."""
    rises = np.diff(known)
    if not rises.any():
        return False
    slope = float(np.median(np.diff(values)[rises != 0] / rises[rises != 0]))
    rest = values - slope * known
    tolerance = 1e-3 * values.std()
    return slope != 0 and bool(np.mean(np.abs(rest - np.median(rest)) < tolerance) >= _ALIKE)


def _words(name: str, step: int) -> str:
    if step == 0:
        return f"repeats '{name}', or a multiple of it, in the same rows"
    where = "later" if step > 0 else "before"
    return f"repeats '{name}', or a multiple of it, {abs(step)} step(s) {where}"
