"""Values that may not be what they seem: codes for missing ones, totals, another unit or scale."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.digits import shortest
from forecaster.data.layout.words import listed, option
from forecaster.data.leaks import ended_early, suspected_leaks
from forecaster.data.missing import Suspect, suspected_codes
from forecaster.data.splits import Scaling
from forecaster.data.stuck import stuck
from forecaster.data.tables import Series, Table

# of a total of rounded values, as a share of the smallest column
_ROUNDING = 1e-3
_FEWEST = 8  # rows
_SHOWN, _MOST = 3, 20  # names in a message, and in an option
# how many times larger or smaller values are that are of another unit, not of another time
_FAR = 20.0


def doubts(table: Table, config: DataConfig) -> list[str]:
    """What to tell about the values of a file, not of a named data set, before a training."""
    if config.dataset is not None:
        return []
    return [
        *suspected_leaks(table, config.horizon, config.prior_column or ()),
        *ended_early(table),
        *doubtful_codes(table, config.missing),
        *stuck(table),
        *constants(table),
        *totals(table),
    ]


def doubtful_codes(
    table: Table, missing: Sequence[str] | None, rows: int | None = None, after: str = ""
) -> list[str]:
    """What to tell about numbers that seem to stand for missing values, in one line.

    ``missing``: the codes that are named already; ``rows``: the last of each series, one of which
    has to have the code (None: any); ``after``: what else to do.
    """
    columns = [
        np.concatenate([series.values[:, k] for series in table.series])
        for k in range(len(table.names))
    ]
    suspects = [suspected_codes(values) for values in columns]
    if rows is not None:
        recent = [
            np.concatenate([series.values[-rows:, k] for series in table.series])
            for k in range(len(table.names))
        ]
        suspects = [
            [each for each in found if (last == each.value).any()]
            for found, last in zip(suspects, recent, strict=True)
        ]
    codes = sorted({each.value for found in suspects for each in found})
    # a number that is a value elsewhere cannot be named for the whole file
    meant = {
        code
        for code in codes
        for values, found in zip(columns, suspects, strict=True)
        if code not in {each.value for each in found} and (values == code).any()
    }
    named = [code for code in codes if code not in meant]
    said = []
    for chosen, remedy in (
        (named, f"give {option('missing', [*(missing or ()), *map(shortest, named)])}{after}"),
        (sorted(meant), "leave these cells blank, as other columns have that value"),
    ):
        places = [
            f"column '{name}': {_counts(found, chosen)}"
            for name, found in zip(table.names, suspects, strict=True)
            if any(each.value in chosen for each in found)
        ]
        if places:
            said.append(
                f"far off all other values: {'; '.join(places[:_SHOWN])}{_more(places)}; if that "
                f"stands for missing values, {remedy}"
            )
    return said


def _counts(found: Sequence[Suspect], chosen: Collection[float]) -> str:
    return ", ".join(
        f"{shortest(each.value)} ({each.count} times)" for each in found if each.value in chosen
    )


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""


def constants(table: Table) -> list[str]:
    """A decision about columns that never change beside others that do."""
    found = table.report.facts.get("constant columns", ())
    constant = [name for name in table.names if name in found]
    if not constant or len(constant) == len(table.names):
        return []
    varied = [name for name in table.names if name not in constant]
    return [
        f"one value in all rows: {listed(constant[:_SHOWN])}{_more(constant)}; forecast and scored "
        f"all the same{_without(varied)}"
    ]


def totals(table: Table) -> list[str]:
    """A decision about the column, or the series, that is the sum of all others at every time."""
    if len(table.names) > 2:
        what, names = "column", table.names
        values = np.concatenate([series.values for series in table.series])
    elif len(table.names) == 1 and len(table.series) > 2 and _of_one_time(table.series):
        what, names = "series", tuple(series.item_id or "" for series in table.series)
        values = np.concatenate([series.values for series in table.series], axis=1)
    else:
        return []
    place = _total(values)
    if place is None:
        return []
    others = [name for number, name in enumerate(names) if number != place]
    left = _without(others) if what == "column" else "; to leave it out, remove its rows"
    return [
        f"{what} '{names[place]}' is the sum of all others: forecast and scored as one more, and "
        f"its forecast need not be their sum{left}"
    ]


def _without(others: Sequence[str]) -> str:
    """How to leave out all columns but ``others``, if these are few."""
    if len(others) > _MOST:
        return ""
    return f"; {option('target', others)} leaves {'it' if len(others) > 1 else 'all else'} out"


def _of_one_time(series: Sequence[Series]) -> bool:
    return len({(each.first, len(each.values)) for each in series}) == 1


def _total(values: NDArray[np.float64]) -> int | None:
    """The column of (n, K) that is the sum of all others in each row that has them all."""
    rows = values[~np.isnan(values).any(axis=1)]
    if len(rows) < _FEWEST:
        return None
    varied = rows.std(axis=0) > 0
    if not varied.any():
        return None
    rounding = _ROUNDING * np.abs(rows).mean(axis=0)[varied].min()
    off = np.abs(rows.sum(axis=1)[:, None] - 2 * rows)
    found = np.flatnonzero((off <= rounding).all(axis=0) & varied)
    return int(found[0]) if len(found) == 1 else None


def other_scale(recent: NDArray[np.float64], scaling: Scaling) -> list[tuple[int, float, float]]:
    """The channels of recent values (n, K) that are of another size than in the training rows, with
    both sizes.

    A size is a root mean square, and another one more than ``_FAR`` times larger, or smaller where
    the values lay on one side of 0. Values that are all 0 are of any size, and so is a channel that
    was constant.
    """
    count = (~np.isnan(recent)).sum(axis=0)
    size = np.sqrt(np.nansum(recent**2, axis=0) / np.maximum(count, 1))
    before = np.sqrt(scaling.mean**2 + scaling.std**2)
    smaller = (size * _FAR < before) & (size > 0) & (np.abs(scaling.mean) > scaling.std)
    far = ((size > _FAR * before) | smaller) & ~scaling.constant
    return [(int(k), float(size[k]), float(before[k])) for k in np.flatnonzero(far)]
