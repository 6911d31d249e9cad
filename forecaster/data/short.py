"""Series too short for what is asked, left out of a table where that is allowed."""

from collections.abc import Sequence
from dataclasses import replace

from forecaster.data.tables import Series, Table

_NAMED = 10


def without_short(table: Table, rows: int) -> Table:
    """The table without its series of fewer rows, unless that is all of them."""
    kept = tuple(series for series in table.series if len(series.values) >= rows)
    if not kept or len(kept) == len(table.series):
        return table
    short = [series for series in table.series if len(series.values) < rows]
    table.report.decisions.append(f"left out, with fewer than {rows} rows: {names_of(short)}")
    return replace(table, series=kept)


def names_of(series: Sequence[Series]) -> str:
    """The first series by name, with their rows, and how many more there are."""
    named = [f"'{each.item_id}' ({len(each.values)})" for each in series[:_NAMED]]
    more = [f"and {len(series) - _NAMED} more"] if len(series) > _NAMED else []
    return ", ".join([*named, *more])
