"""Covariates as features of models: numbers as z-scores, texts as one feature for each.

The encoding is fitted on training rows and stored with a model. What is missing, and a text that
was not in the training rows, is 0 in all of its features.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.calendar_covariates import CalendarCovariates
from forecaster.data.covariates import KINDS, MOST_LEVELS, Covariate
from forecaster.data.layout.words import listed
from forecaster.data.splits import Scaling
from forecaster.data.static_file import StaticValues
from forecaster.data.tables import Series, Table, longer
from forecaster.errors import UserError

_SHOWN = 3
NO_CALENDAR = CalendarCovariates()
NO_COLUMNS = Columns()


@dataclass(frozen=True)
class Sizes:
    """The numbers of features of each kind: C, P and S; ``own``: K with a forecast of one's own."""

    known: int = 0
    past: int = 0
    static: int = 0
    own: int = 0

    def __bool__(self) -> bool:
        return self.learnt or bool(self.own)

    @property
    def learnt(self) -> bool:
        """Whether there are features whose effects have to be learnt."""
        return bool(self.known or self.past or self.static)


NO_SIZES = Sizes()


@dataclass(frozen=True)
class Features:
    """The features of a series: ``known`` (n + ahead, C), ``past`` (n, P), ``static`` (S,).

    ``own`` (n + ahead, K or 0): a forecast of one's own, in the units of the values, nan where
    missing.
    """

    known: NDArray[np.float64]
    past: NDArray[np.float64]
    static: NDArray[np.float64]
    own: NDArray[np.float64]

    def scaled(self, scale: Scaling) -> "Features":
        """The same with one's own forecast in z-scores."""
        return replace(self, own=scale.apply(self.own)) if self.own.shape[1] else self

    def beside(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n, K), missing where one's own forecast is."""
        if not self.own.shape[1]:
            return values
        return np.where(np.isnan(self.own[: len(values)]), np.nan, values)


@dataclass(frozen=True)
class ColumnCode:
    """How a column becomes features: of numbers ``mean`` and ``std``, of texts their ``levels``.

    ``std`` is 0 for a column that is the same in all training rows: nothing is learnt from its
    values, whose features stay 0. ``blanks``: of numbers, whether some of the training rows have
    none; then a second feature is 1 there, where the first is 0 as at the mean.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    levels: tuple[str, ...] | None = None
    blanks: bool = False

    @property
    def width(self) -> int:
        """The number of features."""
        return 1 + self.blanks if self.levels is None else len(self.levels)

    def features(self, values: NDArray[np.float64], column: Covariate) -> NDArray[np.float64]:
        """Values (n,) of a file's column → features (n, width)."""
        if self.levels is None:
            size = self.std or np.inf
            numbers = np.nan_to_num((values - self.mean) / size)
            return np.stack([numbers, np.isnan(values)][: self.width], axis=1).astype(np.float64)
        if self.std == 0:
            return np.zeros((len(values), self.width))
        places = {level: place for place, level in enumerate(self.levels)}
        names = column.levels or ()
        # the last row is that of missing values and of unknown texts
        table = np.zeros((len(names) + 1, self.width))
        for row, name in enumerate(names):
            if name in places:
                table[row, places[name]] = 1.0
        return table[np.where(np.isnan(values), len(names), values).astype(np.int64)]

    @classmethod
    def fit(cls, column: Covariate, values: NDArray[np.float64], kind: str) -> "ColumnCode":
        """The code of a column by its values (n,) in training rows."""
        given = values[~np.isnan(values)]
        if column.levels is None:
            mean, std = (float(given.mean()), float(given.std())) if len(given) else (0.0, 0.0)
            std = std if std > 1e-12 * max(abs(mean), 1e-300) else 0.0
            blanks = kind != "static" and 0 < len(given) < len(values)
            return cls(column.name, mean, std, blanks=blanks)
        levels = tuple(column.levels[place] for place in np.unique(given.astype(np.int64)))
        if len(levels) > MOST_LEVELS[kind]:
            raise UserError(
                f"column '{column.name}' (--{kind}): {len(levels)} different texts, more than "
                f"{MOST_LEVELS[kind]}; put them into groups, or leave the column out"
            )
        alike = len(levels) == 1 and len(given) == len(values)
        return cls(column.name, std=0.0 if alike else 1.0, levels=levels)


@dataclass(frozen=True)
class Encoding:
    """The codes of the columns of each kind, and what the calendar tells, which is known, too.

    ``own``: the columns of one's own forecast, one for each value column. ``given``: the static
    values of the training's items from a file of their own, whose columns are the last static ones.
    """

    known: tuple[ColumnCode, ...] = ()
    past: tuple[ColumnCode, ...] = ()
    static: tuple[ColumnCode, ...] = ()
    calendar: CalendarCovariates = NO_CALENDAR
    own: tuple[str, ...] = ()
    given: StaticValues | None = None

    def __bool__(self) -> bool:
        return bool(self.sizes)

    @property
    def names(self) -> list[str]:
        """The names of the columns, and what is known of the calendar."""
        columns = (*self.known, *self.past, *self.static)
        return [code.name for code in columns] + self.calendar.names + list(self.own)

    @property
    def constant(self) -> list[str]:
        """The names of columns that are the same in all training rows."""
        columns = (*self.known, *self.past, *self.static)
        return [c.name for c in columns if (c.std == 0 and not c.blanks) or not c.width]

    @property
    def sizes(self) -> Sizes:
        """The numbers of features."""
        known, past, static = (
            sum(code.width for code in codes) for codes in (self.known, self.past, self.static)
        )
        return Sizes(known + self.calendar.width, past, static, len(self.own))

    @classmethod
    def fit(cls, table: Table, ends: Sequence[int], asked: Columns = NO_COLUMNS) -> "Encoding":
        """The encoding of a table by the first rows of each series; ``ends``: how many.

        ``asked``: what to take of the calendar.
        """
        own = asked.prior_column or ()
        _check_own(table, own)
        others = table.covariates.known[: len(table.covariates.known) - len(own)]
        columns = replace(table.covariates, known=others)
        ended = list(zip(table.series, ends, strict=True))
        known = [series.known[:end] for series, end in ended]
        past = [series.past[:end] for series, end in ended]
        static = [series.static[None] for series, _ in ended]
        codes = {
            kind: tuple(
                ColumnCode.fit(column, np.concatenate([rows[:, place] for rows in values]), kind)
                for place, column in enumerate(getattr(columns, kind))
            )
            for kind, values in zip(KINDS, (known, past, static), strict=True)
        }
        calendar, given = CalendarCovariates.of(asked, table.interval), table.given
        if given is not None:
            given = given.kept([str(series.item_id) for series in table.series])
        return cls(**codes, calendar=calendar, own=own, given=given)

    def check_columns(self, columns: Columns) -> None:
        """Raise ValueError unless these are the columns of a configuration."""
        if (self.given is None) != (columns.static_file is None):
            raise ValueError("the static values are not as in the configuration")
        for kind in KINDS:
            named = tuple(code.name for code in getattr(self, kind))
            beside = () if self.given is None or kind != "static" else self.given.names
            if named != (*(getattr(columns, kind) or ()), *beside):
                raise ValueError(f"other {kind} columns than those of the configuration")
        if self.calendar.regions != (columns.holidays or ()):
            raise ValueError("other holidays than those of the configuration")
        if self.own != (columns.prior_column or ()):
            raise ValueError("other forecasts of one's own than those of the configuration")

    def encode(self, table: Table, ahead: int = 0) -> list[Features]:
        """The features of each series, with ``ahead`` rows of the future.

        Raises UserError for a column of texts where the model knows numbers, or the reverse.
        """
        for kind, place, code, column in self._columns(table):
            rows = [np.atleast_2d(getattr(series, kind))[:, place] for series in table.series]
            if not all(np.isnan(values).all() for values in rows):
                _check_kind(table, code, column)
        return [self._features(table, series, ahead) for series in table.series]

    def _features(self, table: Table, series: Series, ahead: int) -> Features:
        rows, columns = len(series.values) + ahead, table.covariates
        given = longer(series.known[:rows], rows - len(series.known[:rows]), np.nan)
        known = _put(self.known, columns.known, given)
        if self.calendar:
            stamps = table.interval.stamps(series.first, rows)
            known = np.concatenate([known, self.calendar.features(table.clock, stamps)], axis=1)
        past = _put(
            self.past, columns.past, longer(series.past, rows - ahead - len(series.past), 0)
        )
        static = _put(self.static, columns.static, series.static[None])
        return Features(known, past, static[0], given[:, given.shape[1] - len(self.own) :])

    def unknown(self, table: Table) -> list[str]:
        """Decisions about texts that were not in the training rows, with the rows they are in."""
        said = []
        for kind, place, code, column in self._columns(table):
            new = set(column.levels or ()) - set(code.levels or ())
            counts = _counts(table, kind, place, column, new)
            if counts:
                shown = [*counts][:_SHOWN]
                more = ", …" if len(counts) > _SHOWN else ""
                said.append(
                    f"column '{column.name}': {listed(shown)}{more} was not in the training, "
                    f"{sum(counts.values())} time(s): taken as unknown"
                )
        return said

    def _columns(self, table: Table) -> Iterator[tuple[str, int, ColumnCode, Covariate]]:
        """The kind and place of each column, its code, and the column of the table."""
        for kind in KINDS:
            columns = getattr(table.covariates, kind)
            for place, code in enumerate(getattr(self, kind)):
                yield kind, place, code, columns[place]

    def to_json(self) -> dict[str, Any]:
        """The content of ``covariates.json``."""
        codes = {kind: [asdict(code) for code in getattr(self, kind)] for kind in KINDS}
        given = {} if self.given is None else {"given": self.given.to_json()}
        return codes | asdict(self.calendar) | {"own": self.own} | given

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Encoding":
        """The inverse of ``to_json``; raises ValueError for what cannot be one."""
        codes = {kind: tuple(_code_of(each, kind) for each in content[kind]) for kind in KINDS}
        names = ("groups", "regions", "holidays")
        calendar = CalendarCovariates(*(tuple(map(str, content[name])) for name in names))
        own, given = tuple(map(str, content.get("own", ()))), content.get("given")
        static = None if given is None else StaticValues.from_json(given)
        return cls(**codes, calendar=calendar, own=own, given=static)


def _code_of(content: Mapping[str, Any], kind: str) -> ColumnCode:
    texts = content["levels"]
    levels = None if texts is None else tuple(map(str, texts))
    mean, std = float(content["mean"]), float(content["std"])
    blanks = bool(content.get("blanks")) and levels is None
    code = ColumnCode(str(content["name"]), mean, std, levels, blanks)
    if not (np.isfinite([mean, std]).all() and std >= 0):
        raise ValueError(f"the scaling of '{code.name}'")
    if levels is not None and len(levels) > MOST_LEVELS[kind]:
        raise ValueError(f"the texts of '{code.name}'")
    return code


def _put(
    codes: Sequence[ColumnCode], columns: Sequence[Covariate], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (n, columns) → features (n, their widths)."""
    parts = [
        code.features(values[:, place], column)
        for place, (code, column) in enumerate(zip(codes, columns))
    ]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(values), 0))


def _check_own(table: Table, own: Sequence[str]) -> None:
    """Raise UserError unless there is one column of numbers for each value column."""
    if own and len(own) != len(table.names):
        raise UserError(
            f"{table.path}: --prior-column names {len(own)} column(s) for {len(table.names)} value "
            f"column(s), {listed(table.names)}; name one for each, in their order"
        )
    for column in table.covariates.known:
        if column.name in own and column.levels is not None:
            raise UserError(
                f"{table.path}: column '{column.name}' (--prior-column) holds texts, not a "
                "forecast; give numbers, or leave it out"
            )


def _check_kind(table: Table, code: ColumnCode, column: Covariate) -> None:
    if (code.levels is None) != (column.levels is None):
        found, known = ("texts", "numbers") if code.levels is None else ("numbers", "texts")
        raise UserError(
            f"{table.path}: column '{column.name}' holds {found}, the model knows {known}; correct "
            "the column, or train again"
        )


def _counts(table: Table, kind: str, place: int, column: Covariate, new: set[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for series in table.series if new else ():
        values = np.atleast_2d(getattr(series, kind))[:, place]
        found = np.unique(values[~np.isnan(values)], return_counts=True)
        for value, count in zip(*found, strict=True):
            text = (column.levels or ())[int(value)]
            if text in new:
                counts[text] += int(count)
    return counts


def asked_for(columns: Columns) -> bool:
    """Whether a configuration names any covariates."""
    named = any(getattr(columns, kind) for kind in (*KINDS, "static_file", "prior_column"))
    return named or bool(columns.holidays) or columns.calendar not in {None, "none"}
