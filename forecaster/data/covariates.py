"""Covariates: what is known of a series besides its values, as columns of a file.

Known ones are known of the future, too; past ones of the history alone; static ones are the same in
all rows of a series. A column holds numbers, or texts, which are categories.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.cells import Column, Text
from forecaster.data.layout.codes import coded, is_words
from forecaster.data.layout.words import listed, option
from forecaster.data.missing import Codes
from forecaster.data.numbers import Styles, numbers
from forecaster.data.reading import RawTable
from forecaster.data.report import Role
from forecaster.errors import UserError

if TYPE_CHECKING:
    from forecaster.data.grid import SeriesRows

KINDS = ("known", "past", "static")
# the most texts of a column that are learnt from
MOST_LEVELS = {"known": 64, "past": 64, "static": 1024}
_FLAGS = {"true": "1", "false": "0", "1": "1", "0": "0"}
_SPELT = pa.array(["true", "false", "True", "False", "TRUE", "FALSE"])
# the options that name covariates
_KIND_OF = {"known": "known", "prior-column": "known", "past": "past", "static": "static"}


@dataclass(frozen=True)
class Covariate:
    """A column that is no target; ``levels``: its texts in their order, None of numbers.

    The values of a column of texts are their places in ``levels``.
    """

    name: str
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Covariates:
    """The columns of each kind, in the order of their options."""

    known: tuple[Covariate, ...] = ()
    past: tuple[Covariate, ...] = ()
    static: tuple[Covariate, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.known or self.past or self.static)

    def __iter__(self) -> Iterator[Covariate]:
        yield from (*self.known, *self.past, *self.static)


def covariate_columns(columns: Columns) -> dict[str, str]:
    """The kind of each covariate by its name; raises UserError for a name with two roles.

    Forecasts of one's own are known ahead, after the others that are.
    """
    others = {
        "timestamp": (columns.timestamp,),
        "target": columns.target,
        "item-id": columns.item_id,
    }
    taken = {name: role for role, named in others.items() for name in named or ()}
    kinds: dict[str, str] = {}
    for role, kind in _KIND_OF.items():
        for name in getattr(columns, role.replace("-", "_")) or ():
            if name in taken:
                raise UserError(
                    f"column '{name}' is given with --{taken[name]} and --{role}; leave one of "
                    "them out"
                )
            taken[name], kinds[name] = role, kind
    return kinds


def check_columns(raw: RawTable, kinds: Mapping[str, str], columns: Columns) -> None:
    """Raise UserError for covariates that the file lacks."""
    for name, kind in kinds.items():
        if name not in raw.columns:
            role = "prior-column" if name in (columns.prior_column or ()) else kind
            near = nearest(name, list(raw.columns))
            raise UserError(
                f"{raw.path}: no column '{name}' (--{role}){near}; the columns are "
                f"{listed(raw.columns)}"
            )


def roles_of(kinds: Mapping[str, str]) -> dict[str, Role]:
    """The roles of covariates by their names."""
    words = {"known": "covariate, known ahead", "past": "covariate, of the past"}
    return {
        name: Role(words.get(kind, "covariate, static"), "as given") for name, kind in kinds.items()
    }


@dataclass(frozen=True)
class Read:
    """The covariates of a file and their values (n, C), nan where missing; what to tell of them.

    ``styles``: those of its columns of numbers.
    """

    columns: Covariates
    values: NDArray[np.float64]
    decisions: tuple[str, ...]
    styles: Styles


def read_covariates(raw: RawTable, columns: Columns) -> Read:
    """Read the columns of all kinds, in their order; raises UserError for cells of no use."""
    kinds = covariate_columns(columns)
    if kinds and columns.aggregate is not None:
        raise UserError(
            f"--aggregate {columns.aggregate} puts rows together, and says nothing of covariates "
            f"({listed(kinds)}); put the rows of the file together first, or leave them out"
        )
    missing, values = Codes(columns.missing or ()), np.empty((len(raw.places), len(kinds)))
    changed = {name: _flags(raw.columns[name], missing) for name in kinds}
    changed |= _codes(raw, kinds, columns)
    raw = replace(raw, columns={**raw.columns, **changed})
    named = columns.categorical or ()
    texts = {name for name in kinds if name in named or is_words(raw.columns[name])}
    found = {kind: list[Covariate]() for kind in KINDS}
    decisions: list[str] = []
    quantities = [name for name in kinds if name not in texts]
    read = numbers(raw, quantities, columns)
    decisions += read.decisions
    for place, (name, kind) in enumerate(kinds.items()):
        if name in texts:
            levels, values[:, place], said = _categories(raw, name, missing)
            found[kind].append(Covariate(name, levels))
            decisions += said
        else:
            values[:, place] = read.values[:, quantities.index(name)]
            found[kind].append(Covariate(name))
    known, past, static = (tuple(found[kind]) for kind in KINDS)
    return Read(Covariates(known, past, static), values, tuple(decisions), read.styles)


def read_row(
    raw: RawTable, covariates: Sequence[Covariate], columns: Columns, styles: Styles
) -> tuple[NDArray[np.float64], dict[str, str]]:
    """The covariates (C,) of a single row of cells, and its texts that are not in their levels.

    Those are missing, as blank cells are. Raises UserError for a text in a column of numbers.
    """
    missing, values, new = Codes(columns.missing or ()), np.full(len(covariates), np.nan), {}
    quantities = [each.name for each in covariates if each.levels is None]
    flags = {name: _flags(raw.columns[name], missing) for name in quantities}
    read = numbers(replace(raw, columns=flags), quantities, columns, styles).values[0]
    found = dict(zip(quantities, read, strict=True))
    for place, each in enumerate(covariates):
        if each.levels is None:
            values[place] = found[each.name]
            continue
        text = str(raw.columns[each.name][0]).strip()
        if text in each.levels:
            values[place] = each.levels.index(text)
        elif text.lower() not in missing.folded:
            new[each.name] = text
    return values, new


def _flags(column: Column, missing: Codes) -> Column:
    """A column of true and false, in any case, and of 0 and 1: as 0 and 1; others as they are."""
    if not isinstance(column, Text) or not pc.any(pc.is_in(column.arrow, _SPELT)).as_py():
        return column
    cells = coded(column)
    texts = [value.strip().lower() for value in cells.values]
    if not {text for text in texts if text not in missing.folded} <= _FLAGS.keys():
        return column
    found = pa.array([_FLAGS.get(text, "") for text in texts]).take(pa.array(cells.codes))
    return Text(pa.chunked_array([found]))


def check_categorical(columns: Columns, names: Collection[str]) -> None:
    """Raise UserError for codes that are no covariate of these names."""
    for name in columns.categorical or ():
        if name not in names:
            near = nearest(name, list(names))
            raise UserError(
                f"--categorical {name}: no covariate is called so{near}; there are "
                f"{listed(names) or 'none'}; name it with --known, --past or --static, too"
            )


def _codes(raw: RawTable, kinds: Collection[str], columns: Columns) -> dict[str, Column]:
    """The columns that are named as categories, as texts."""
    check_categorical(columns, kinds)
    found: dict[str, Column] = {}
    for name in columns.categorical or ():
        cells = coded(raw.columns[name])
        values = pa.array(list(cells.values), pa.string())
        found[name] = Text(pa.chunked_array([values.take(pa.array(cells.codes))]))
    return found


def _categories(
    raw: RawTable, name: str, missing: Codes
) -> tuple[tuple[str, ...], NDArray[np.float64], list[str]]:
    """The texts of a column, sorted, and the place of each row's among them, nan where missing; and
    a decision for each code that stands for a missing text.
    """
    column = raw.columns[name]
    assert isinstance(column, Text)
    cells = coded(column)
    texts = [value.strip() for value in cells.values]
    kept = [text for text in texts if text.lower() not in missing.folded]
    levels = tuple(sorted(set(kept)))
    places = {text: float(place) for place, text in enumerate(levels)}
    rows = np.bincount(cells.codes, minlength=len(texts))
    said = [
        f"column '{name}': '{text}' is blank, in {count} row(s); if it says something, write "
        "another word"
        for text, count in zip(texts, rows.tolist(), strict=True)
        if text and text not in places
    ]
    return levels, np.array([places.get(text, np.nan) for text in texts])[cells.codes], said


def static_values(
    raw: RawTable, rows: "SeriesRows", static: Sequence[Covariate], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The static values (S,) of a series from its rows (n, S); raises UserError if they change."""
    found = np.full(len(static), np.nan)
    for place, (each, column) in enumerate(zip(static, values.T, strict=True)):
        given = np.flatnonzero(~np.isnan(column))
        if not len(given):
            continue
        found[place] = column[given[0]]
        other = np.flatnonzero(column[given] != column[given[0]])
        if len(other):
            row = int(given[other[0]])
            before, after = (_shown(each, column[r]) for r in (int(given[0]), row))
            raise UserError(
                f"{raw.where(int(rows.rows[row]), each.name)}: {rows.name}changes from {before} to "
                f"{after}, but --static columns stay the same in a series; correct it, or give it "
                f"with {option('known', [each.name])} or {option('past', [each.name])}"
            )
    return found


def _shown(each: Covariate, value: float) -> str:
    return f"'{each.levels[int(value)]}'" if each.levels is not None else f"{value:g}"
