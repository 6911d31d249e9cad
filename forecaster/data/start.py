"""Where forecasts begin: after the last row with a value, or at the time of ``--start``."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.ends import within_values
from forecaster.data.layout.words import listed
from forecaster.errors import UserError

if TYPE_CHECKING:
    from forecaster.data.clock import Clock
    from forecaster.data.tables import Series, Table

_NAMED = 10  # of series left out
_ISO = re.compile(
    r"\d{4}(-\d\d(-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII
)
_YEARS = range(1678, 2262)  # that a time can have


def until_forecasts(
    table: "Table", columns: Columns, start: str | None, on_its_side: bool
) -> "Table":
    """The table with each series up to the time at which its forecast begins, which is said.

    See ``within_values`` and ``until_start``.
    """
    if start is None or on_its_side:
        table = within_values(table, on_its_side)
    return table if start is None else until_start(table, start, columns)


def until_start(table: "Table", start: str, columns: Columns) -> "Table":
    """The table with each series up to the step before ``start``, an ISO 8601 time.

    Blank rows before it are missing values; rows that are not there are gaps, which
    ``columns.on_gap`` decides about. Series that begin later are left out where those that are too
    short stop no others (``columns.on_short``). Raises UserError for a time that cannot be read,
    that comes before all of a series, or after a longer time than the longest one spans.
    """
    time, longest = _read(table.clock, start), max(len(each.values) for each in table.series)
    series, left_out, added = [], 0, 0
    spans = [table.interval.steps_before(each.first, time) for each in table.series]
    lenient = columns.on_short != "error" and max(spans) > 0
    later = [each for each, steps in zip(table.series, spans, strict=True) if steps < 1]
    for each, steps in zip(table.series, spans, strict=True):
        if steps < 1 and lenient:
            continue
        rows = len(each.values)
        _check(table, each, steps, longest, start)
        gap = max(steps - rows, 0)
        if gap and columns.on_gap == "error":
            raise UserError(
                f"{_name(table, each)}: {gap} row(s) missing between {_end(table, each)} and "
                f"--start {start}; add them, or give --on-gap fill to take them as missing values"
            )
        series.append(each.until(steps, 0.0 if columns.on_gap == "zero" else np.nan))
        left_out, added = left_out + max(rows - steps, 0), added + gap
    begin = table.interval.stamp(series[0].first, len(series[0].values))
    said = [f"forecasts begin at {_written(table, begin)} (--start)"]
    said += [f"{left_out} row(s) from there on left out"] if left_out else []
    taken = "0" if columns.on_gap == "zero" else "missing values"
    said += [f"{added} row(s) before it that are not there taken as {taken}"] if added else []
    if later:
        named = listed([str(each.item_id) for each in later[:_NAMED]])
        more = f" and {len(later) - _NAMED} more" if len(later) > _NAMED else ""
        said.append(f"without the series that begin later: {named}{more}")
    table.report.decisions.append(", ".join(said))
    return replace(table, series=tuple(series))


def _check(table: "Table", series: "Series", steps: int, longest: int, start: str) -> None:
    if steps < 1:
        several = len(table.series) > 1
        others = ", or leave such series out with --on-short skip" if several else ""
        raise UserError(
            f"{_name(table, series)}: begins at {_written(table, series.first)}, so that --start "
            f"{start} leaves no history; give a later time{others}"
        )
    if steps > len(series.values) + longest:
        raise UserError(
            f"{_name(table, series)}: ends at {_end(table, series)}, {steps - len(series.values)} "
            f"steps before --start {start}, more than the file has rows; give an earlier time"
        )


def _read(clock: "Clock", start: str) -> pd.Timestamp:
    """The working time of an ISO 8601 text, a local time if it has no offset."""
    text = start.strip()
    try:
        if not _ISO.fullmatch(text) or int(text[:4]) not in _YEARS:
            raise ValueError
        stamp = pd.Timestamp(text).as_unit("ns")
    except ValueError as error:
        raise UserError(
            f"--start {start}: not a time; give it like 2024-03-01 or 2024-03-01 18:00"
        ) from error
    if stamp.tzinfo is None:
        found = clock.read(stamp, 0 if clock.zone is None else None, stamp)
        if found is None:
            raise UserError(
                f"--start {start}: the clock of {clock.zone} skips this time; give a later one"
            )
        return found
    if not clock.utc and clock.zone is None:
        raise UserError(
            f"--start {start}: the file's times have no zone; leave out the offset, or name their "
            "zone with --timezone"
        )
    return stamp.tz_convert("UTC" if clock.utc else clock.zone).tz_localize(None)


def _end(table: "Table", series: "Series") -> str:
    return _written(table, table.interval.stamp(series.first, len(series.values) - 1))


def _name(table: "Table", series: "Series") -> str:
    return table.path if series.item_id is None else f"{table.path}, series '{series.item_id}'"


def _written(table: "Table", stamp: pd.Timestamp) -> str:
    return table.clock.write(pd.DatetimeIndex([stamp]))[0]
