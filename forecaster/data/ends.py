"""Where series end: at their last values, before the others, or all at one time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from forecaster.data.layout.words import listed, option
from forecaster.errors import UserError

if TYPE_CHECKING:
    from forecaster.data.tables import Series, Table

_NAMED = 5
_FEWEST = 2  # blank rows at the end that are no single missing value


def with_ends(table: "Table", align: bool) -> "Table":
    """The table, with its early ends told, or all series ending at the first of them."""
    if align:
        return _aligned(table)
    ends = [_end(table, series) for series in table.series]
    last = max(ends)
    starts = {
        str(series.item_id): table.interval.after(series.first, end)
        for series, end in zip(table.series, ends, strict=True)
        if end < last
    }
    if starts:
        together = all(series.first <= min(ends) for series in table.series)
        remedy = "; --align end lets all begin at one time" if together else ""
        table.report.decisions.append(
            f"{len(starts)} of {len(ends)} series end before {_written(table, last)}, the last "
            f"time: a forecast of {_named(table, starts)}{remedy}"
        )
    blank = {
        label: end
        for series in table.series
        for label, (end, rows) in _value_ends(table, series).items()
        if rows >= _FEWEST
    }
    if blank:
        table.report.decisions.append(
            f"{len(blank)} series without a value at the end: {_named(table, blank, 'after')}; "
            f"these rows are missing values, --align end leaves them out{_perhaps_known(table)}"
        )
    return table


def _perhaps_known(table: "Table") -> str:
    """What to do if the rows at the end are those to forecast: columns that go on there, where the
    others have ended in every series, may be known ahead.
    """
    ended, on = set[int](), set(range(len(table.names)))
    for series in table.series:
        given = ~np.isnan(series.values)
        after = np.argmax(given[::-1], axis=0) if len(given) else np.zeros(len(table.names), int)
        early = set(np.flatnonzero(after >= _FEWEST).tolist())
        if early:
            on &= set(np.flatnonzero(given[-1]).tolist())
            ended |= early
    on -= ended
    if not on or len(on) > _NAMED or len(on) + len(ended) < len(table.names):
        return ""
    names, rest = ([table.names[k] for k in sorted(each)] for each in (on, ended))
    are, known = "is" if len(names) == 1 else "are", option("known", names)
    return (
        f"; if {listed(names)} {are} known ahead, a training with {known} forecasts {listed(rest)} "
        "from there"
    )


def within_values(table: "Table", on_its_side: bool = False) -> "Table":
    """Each series up to its last row with a value: those below are prepared for the future.

    The cells of a table ``on_its_side`` that lie before a series' first value or after its last are
    none of its rows: they are left out unsaid.
    """
    if on_its_side:
        return replace(table, series=tuple(_from_value_to_value(table, s) for s in table.series))
    ends = [_values_end(series) for series in table.series]
    blank = [
        (series, len(series.values) - end)
        for series, end in zip(table.series, ends, strict=True)
        if end < len(series.values)
    ]
    if not blank:
        return table
    first, rows = blank[0]
    begin = table.interval.stamp(first.first, len(first.values) - rows)
    of = "," if len(table.series) == 1 else f" of {len(blank)} series, of '{first.item_id}'"
    table.report.decisions.append(
        f"{sum(rows for _, rows in blank)} row(s) without a value at the end{of} from "
        f"{_written(table, begin)} on: left out, forecasts begin there"
    )
    series = tuple(s.between(0, end) for s, end in zip(table.series, ends, strict=True))
    return replace(table, series=series)


def _values_end(series: "Series") -> int:
    """The number of rows up to the last with a value; all, if none has one."""
    given = np.flatnonzero(~np.isnan(series.values).all(axis=1))
    return int(given[-1]) + 1 if len(given) else len(series.values)


def _from_value_to_value(table: "Table", series: "Series") -> "Series":
    begin = int(np.argmax(~np.isnan(series.values).all(axis=1)))
    stamp = table.interval.stamp(series.first, begin)
    return series.between(begin, _values_end(series), stamp)


def _aligned(table: "Table") -> "Table":
    """All series until the first of the times of their last values."""
    ends = {
        label: end
        for series in table.series
        for label, (end, _) in _value_ends(table, series).items()
    }
    first = min(ends.values())
    series = tuple(_until(table, each, first) for each in table.series)
    for each in series:
        if not len(each.values):
            ended = ", ".join(f"'{label}'" for label, end in ends.items() if end == first)
            raise UserError(
                f"{table.path}: series '{each.item_id}' begins after {_written(table, first)}, "
                f"where {ended} ends; leave one of them out of the file, or give no --align"
            )
    rows = sum(len(each.values) for each in table.series) - sum(len(each.values) for each in series)
    if rows:
        table.report.decisions.append(
            f"all series end at {_written(table, first)}, the last time that they have in common: "
            f"{rows} row(s) after it left out"
        )
    return replace(table, series=series)


def _end(table: "Table", series: "Series") -> pd.Timestamp:
    return table.interval.stamp(series.first, len(series.values) - 1)


def _value_ends(table: "Table", series: "Series") -> dict[str, tuple[pd.Timestamp, int]]:
    """The time of the last value of each channel that has one, and the rows that follow it."""
    given = ~np.isnan(series.values)
    if not len(given):
        return {}
    after = np.argmax(given[::-1], axis=0)
    return {
        table.channel_label(series, k): (
            table.interval.stamp(series.first, len(given) - 1 - rows),
            rows,
        )
        for k, rows in enumerate(after.tolist())
        if given[:, k].any()
    }


def _until(table: "Table", series: "Series", end: pd.Timestamp) -> "Series":
    stamps = table.interval.stamps(series.first, len(series.values))
    return series.between(0, int(stamps.searchsorted(end, "right")))


def _named(table: "Table", times: Mapping[str, pd.Timestamp], word: str = "begins at") -> str:
    named = [f"'{label}' {word} {_written(table, time)}" for label, time in times.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _written(table: "Table", stamp: pd.Timestamp) -> str:
    return table.clock.write(pd.DatetimeIndex([stamp]))[0]
