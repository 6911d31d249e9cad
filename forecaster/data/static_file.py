"""Static covariates in a file of their own: a row an item, and what a model keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.covariates import Covariate, read_covariates
from forecaster.data.layout.header import with_names
from forecaster.data.layout.words import listed
from forecaster.data.reading import RawTable, read_file
from forecaster.data.series_names import groups_of
from forecaster.errors import UserError

if TYPE_CHECKING:
    from forecaster.data.tables import Table

_SHOWN = 3
_LONGEST = 10_000  # letters of a text

Cell = str | float | None


@dataclass(frozen=True)
class StaticValues:
    """The columns ``names`` (S,) of each item: a number, a text, or None where it is missing.

    ``path``: of the file, '' of what a model has kept.
    """

    names: tuple[str, ...]
    rows: Mapping[str, tuple[Cell, ...]] = field(default_factory=dict)
    path: str = ""

    def replaced_by(self, newer: "StaticValues") -> "StaticValues":
        """The same columns with the rows of a newer file, and what it lacks from this one."""
        lacking = [name for name in self.names if name not in newer.names]
        if lacking:
            raise UserError(
                f"{newer.path}: no column {listed(lacking)}{nearest(lacking[0], newer.names)}, "
                f"which the model knows as static; the columns are {listed(newer.names)}"
            )
        order = [newer.names.index(name) for name in self.names]
        rows = {item: tuple(row[place] for place in order) for item, row in newer.rows.items()}
        found = replace(newer, names=self.names, rows={**self.rows, **rows})
        for place, name in enumerate(self.names):
            kinds = {type(row[place]) for each in (self.rows, rows) for row in each.values()} - {
                type(None)
            }
            if len(kinds) > 1:
                new = {type(row[place]) for row in rows.values()}
                words = ("texts", "numbers") if str in new else ("numbers", "texts")
                raise UserError(
                    f"{newer.path}: column '{name}' holds {words[0]}, the model knows {words[1]}; "
                    "correct the column, or train again"
                )
        return found

    def kept(self, items: list[str]) -> "StaticValues":
        """The rows of these items, to be stored."""
        return StaticValues(self.names, {item: self.rows[item] for item in items})

    def to_json(self) -> dict[str, Any]:
        """The content of the model's file."""
        return {"names": self.names, "rows": self.rows}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "StaticValues":
        """The inverse of ``to_json``; raises ValueError for what cannot be one."""
        names = tuple(map(str, content["names"]))
        rows = {item: tuple(map(_cell, row)) for item, row in content["rows"].items()}
        if any(len(row) != len(names) for row in rows.values()):
            raise ValueError("static values of other columns")
        return cls(names, rows)


def _cell(value: object) -> Cell:
    if value is None or (isinstance(value, str) and len(value) <= _LONGEST):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return float(value)
    raise ValueError("a static value")


def read_static(source: str | Path | RawTable, columns: Columns) -> StaticValues:
    """The static values of each item of a file; its first column names the items.

    Raises UserError for an item that occurs twice, and for cells of no use.
    """
    raw = source if isinstance(source, RawTable) else read_file(source, columns.header)
    raw = with_names(raw, columns)
    key, *names = raw.columns
    if not names:
        raise UserError(
            f"{raw.path}: there are no columns beside the items in '{key}'; add static values"
        )
    groups, items = groups_of(raw, [key])
    first: dict[int, int] = {}
    for row, group in enumerate(groups.tolist()):
        if group in first:
            raise UserError(
                f"{raw.where(row, key)}: item '{items[group]}' stands in {raw.unit} "
                f"{raw.places[first[group]]}, too; leave one row"
            )
        first[group] = row
    codes = tuple(name for name in columns.categorical or () if name in names) or None
    roles = {
        "categorical": codes,
        "known": None,
        "past": None,
        "prior_column": None,
        "aggregate": None,
        "target": None,
    }
    own = {"timestamp": None, "item_id": None, "static": tuple(names)}
    read = read_covariates(raw, columns.model_copy(update={**roles, **own}))
    order = [each.name for each in read.columns.static]
    rows = {
        str(items[group]): tuple(
            _value(each, value)
            for each, value in zip(read.columns.static, read.values[row], strict=True)
        )
        for group, row in first.items()
    }
    return StaticValues(tuple(order), rows, raw.path)


def _value(column: Covariate, value: float) -> Cell:
    if np.isnan(value):
        return None
    return float(value) if column.levels is None else column.levels[int(value)]


def with_static(table: "Table", given: StaticValues) -> "Table":
    """The table with the static values of its items.

    Raises UserError for a wide table, whose columns are values of one series, and for an item that
    has none.
    """
    if any(series.item_id is None for series in table.series):
        raise UserError(
            f"--static-file {given.path}: the columns of {table.path} are the values of one "
            "series, each with weights of its own, so that static values tell nothing; leave it "
            "out, or write the file long, with a row an item and time"
        )
    taken = {*table.names, *(each.name for each in table.covariates)}
    if doubled := [name for name in given.names if name in taken]:
        raise UserError(
            f"{given.path}: column {listed(doubled)} is taken from {table.path} already; rename "
            "it, or leave it out"
        )
    _check_items(table, given)
    columns, places = [], []
    for place, name in enumerate(given.names):
        cells = [given.rows[str(series.item_id)][place] for series in table.series]
        texts = tuple(sorted({cell for cell in cells if isinstance(cell, str)}))
        columns.append(Covariate(name, texts or None))
        places.append([_place(cell, texts) for cell in cells])
    values = np.array(places, np.float64).T  # (series, S)
    series = tuple(
        replace(each, static=np.concatenate([each.static, own]))
        for each, own in zip(table.series, values, strict=True)
    )
    static = (*table.covariates.static, *columns)
    return replace(
        table, series=series, covariates=replace(table.covariates, static=static), given=given
    )


def left_out(table: "Table", given: StaticValues) -> list[str]:
    """A decision about the items of a file that the table does not hold."""
    own = {series.item_id for series in table.series}
    others = [item for item in given.rows if item not in own]
    if not others:
        return []
    shown = listed(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
    return [
        f"{given.path}: {len(others)} item(s) that {table.path} does not hold left out: {shown}"
    ]


def _place(cell: Cell, texts: tuple[str, ...]) -> float:
    if cell is None:
        return np.nan
    return float(texts.index(cell)) if isinstance(cell, str) else cell


def _check_items(table: "Table", given: StaticValues) -> None:
    own = [str(series.item_id) for series in table.series]
    lacking = [item for item in own if item not in given.rows]
    if lacking:
        raise _lacking(table, given, lacking)


def _lacking(table: "Table", given: StaticValues, items: list[str]) -> UserError:
    more = f" and {len(items) - 1} more" if len(items) > 1 else ""
    if given.path:
        return UserError(
            f"{given.path}: no row for '{items[0]}'{more} of {table.path}; add it, with blank "
            "cells for what is not known"
        )
    return UserError(
        f"{table.path}: series '{items[0]}'{more} was not in the training, and its static values "
        f"({listed(given.names)}) are not known; give --static-file FILE with a row for it"
    )
