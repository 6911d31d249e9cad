"""The roles of a file's columns: time, items and values."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.layout.codes import repeats
from forecaster.data.layout.items import find_items
from forecaster.data.layout.left_out import find_values
from forecaster.data.layout.time_columns import find_time
from forecaster.data.layout.words import listed
from forecaster.data.reading import RawTable
from forecaster.data.report import Role
from forecaster.errors import UserError


@dataclass(frozen=True)
class Layout:
    """The roles of the columns.

    Wide: a time column, and a column a series. Long: ``items``, time and values; the names of a
    series in the ``items`` columns, joined by ``/``, are its item id. ``roles``: of every column.
    """

    timestamp: str
    targets: tuple[str, ...]
    items: tuple[str, ...]
    decisions: tuple[str, ...]
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``wide`` or ``long``."""
        return "long" if self.items else "wide"


def find_layout(raw: RawTable, columns: Columns, wanted: Collection[str] = ()) -> Layout:
    """The roles given in ``columns``, the others inferred; raises UserError for ambiguous ones.

    ``wanted``: value columns that a model reads, which are not left out.
    """
    columns = _resolved(raw, _of_the_file(raw, columns, wanted))
    time = find_time(raw, columns)
    items, said = find_items(raw, time.name, columns, wanted)
    decisions = [*time.decisions, *said]
    if columns.target is None:
        found = find_values(raw, (time.name, *time.others), items, columns, wanted)
        targets, left_out = found.targets, found.left_out
        decisions += found.decisions
    else:
        targets, left_out = columns.target, {}
        if unused := [name for name in raw.columns if name not in {time.name, *items, *targets}]:
            decisions.append(f"columns left out: {listed(unused)}")
    if {time.name, *items} & set(targets):
        raise UserError(
            f"{raw.path}: a column cannot be both a value and the time or the item; check --target"
        )
    roles = {name: Role("left out", left_out.get(name, "not asked for")) for name in raw.columns}
    roles |= {name: Role("left out", f"follows from '{time.name}'") for name in time.others}
    roles[time.name] = Role("time", "as given" if columns.timestamp else "holds times")
    unique = "as given" if columns.item_id else _why_a_name(raw, time.name, items)
    roles |= {name: Role("names the series", unique) for name in items}
    roles |= {name: Role("value", "as given" if columns.target else "numbers") for name in targets}
    return Layout(time.name, targets, items, tuple(decisions), roles)


def _why_a_name(raw: RawTable, time: str, items: tuple[str, ...]) -> str:
    several = bool(items) and repeats(raw.columns[time])
    return "tells the rows of a time apart" if several else "called like a name"


def _of_the_file(raw: RawTable, columns: Columns, wanted: Collection[str]) -> Columns:
    """The roles without value columns that a model reads and the file may lack."""
    if columns.missing_column == "error" or columns.target is None:
        return columns
    here = tuple(name for name in columns.target if name in raw.columns or name not in wanted)
    return columns.model_copy(update={"target": here}) if here else columns


def _resolved(raw: RawTable, columns: Columns) -> Columns:
    """The roles with the names as the file has them; raises UserError for unknown ones."""
    found: dict[str, str | tuple[str, ...]] = {}
    for role in ("target", "item_id"):
        if (given := getattr(columns, role)) is not None:
            found[role] = tuple(_columns_of(raw, given))
    if columns.timestamp is not None:
        (found["timestamp"],) = _columns_of(raw, (columns.timestamp,))
    return columns.model_copy(update=found)


def _columns_of(raw: RawTable, names: tuple[str, ...]) -> Iterator[str]:
    """The columns named; a name that has a comma arrives in several parts."""
    known = {_tight(name): name for name in raw.columns}
    start = 0
    while start < len(names):
        for end in range(len(names), start, -1):
            name = _tight(",".join(names[start:end]))
            if name in known:
                yield known[name]
                break
        else:
            near = nearest(names[start], list(raw.columns))
            raise UserError(
                f"{raw.path}: no column '{names[start]}'{near}; the columns are "
                f"{listed(raw.columns)}"
            )
        start = end


def _tight(name: str) -> str:
    """A name without blanks around its commas."""
    return re.sub(r"\s*,\s*", ",", name.strip())
