"""The learning problem of a configuration: table, split borders, scaling and windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.catalog import find_dataset, read_dataset
from forecaster.data.covariates import covariate_columns
from forecaster.data.dead import without_dead
from forecaster.data.digits import shortest
from forecaster.data.encoding import Encoding
from forecaster.data.intervals import step_number
from forecaster.data.layout.words import or_without
from forecaster.data.report import IntakeReport
from forecaster.data.seasons import seasonal_errors, seasons_of
from forecaster.data.short import names_of, without_short
from forecaster.data.splits import Borders, Part, Scaling, first_targets, tail_borders, target_rows
from forecaster.data.tables import Series, Table, read_table
from forecaster.errors import UserError

if TYPE_CHECKING:
    from forecaster.data.windows import Windows

NO_SCALING: Mapping[str, Scaling] = {}


class TooShortError(UserError):
    """A series has too few rows to be split; ``fault`` is the message without the remedy."""

    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}; {remedy}")
        self.fault, self._remedy = fault, remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """What it is made of again in another process."""
        return type(self), (self.fault, self._remedy)


@dataclass(frozen=True)
class Problem:
    """A table with borders and scalings, one for each series, in the table's order.

    ``scaling``: of the model's inputs and outputs. ``protocol``: of the z-scores that metrics of a
    benchmark data set are reported on; None for a user's file, whose metrics are in its units.
    ``numbers``: the number of each series among those of the training, -1 for another one.
    ``encoding``: of the covariates, None without any.
    """

    config: DataConfig
    table: Table
    borders: tuple[Borders, ...]
    scaling: tuple[Scaling, ...]
    protocol: tuple[Scaling, ...] | None
    numbers: tuple[int, ...]
    encoding: Encoding | None = None

    @property
    def seasons(self) -> tuple[int, ...]:
        """The seasons in steps, the main one first."""
        return seasons_of(self.config, self.table.interval)

    @property
    def season(self) -> int:
        """The main season in steps, which seasonal naive repeats."""
        return self.seasons[0]

    @cached_property
    def seasonal_errors(self) -> NDArray[np.float64]:
        """MASE's scale (N, K) of each series; see ``seasons.seasonal_errors``."""
        pairs = zip(self.table.series, self.borders, strict=True)
        return np.stack(
            [seasonal_errors(each.values[: border.train], self.season) for each, border in pairs]
        )

    @property
    def channels(self) -> int:
        """The number of channels K."""
        return len(self.table.names)

    def count_windows(self, part: Part) -> int:
        """The number of windows of a split, without cutting them."""
        lookback, horizon = self.config.lookback, self.config.horizon
        spans = [target_rows(border, part, lookback, horizon) for border in self.borders]
        return sum(len(first_targets(first, end, horizon)) for first, end in spans)

    def windows(self, part: Part) -> "Windows":
        """All windows of a split, in z-scores; those of all splits share their rows."""
        data = self.config
        spans = [target_rows(border, part, data.lookback, data.horizon) for border in self.borders]
        return self._cut.of(spans)

    @cached_property
    def _cut(self) -> "Windows":
        """The windows of the training rows; those of the other splits share their rows."""
        from forecaster.data.windows import cut_windows  # imports torch, which takes seconds

        pairs = list(zip(self.scaling, self.table.series, strict=True))
        scaled = [scale.apply(series.values) for scale, series in pairs]
        starts = [step_number(self.table.start(s)) for s in self.table.series]
        features = None
        if self.encoding is not None:
            found = self.encoding.encode(self.table)
            features = [f.scaled(scale) for f, scale in zip(found, self.scaling, strict=True)]
            scaled = [f.beside(values) for f, values in zip(features, scaled, strict=True)]
        return cut_windows(
            scaled,
            self.borders,
            "train",
            self.config.lookback,
            self.config.horizon,
            starts,
            self.numbers,
            self.seasons,
            features,
        )

    def on_all_rows(self) -> "Problem":
        """The problem of learning from all rows, none held out; the scaling remains."""
        lengths = [len(series.values) for series in self.table.series]
        return replace(self, borders=tuple(Borders(n, n, n) for n in lengths))

    def learnt_until(self) -> dict[str, str]:
        """The last time of the training and validation rows of each series, by item id."""
        table = self.table
        return {
            series.item_id or "": str(table.interval.stamp(series.first, border.validation - 1))
            for series, border in zip(table.series, self.borders, strict=True)
        }


def load_table(config: DataConfig, report: IntakeReport | None = None) -> Table:
    """The table that ``data.csv`` or ``data.dataset`` names."""
    if (config.csv is None) == (config.dataset is None):
        raise UserError(
            "name the data: either --csv PATH or --dataset NAME (data.csv or data.dataset in a "
            "configuration)"
        )
    if config.dataset is not None:
        named = [*dict.fromkeys(covariate_columns(config.columns).values())]
        if named := named + ["static-file"] * (config.static_file is not None):
            raise UserError(
                f"--dataset {config.dataset}: all columns of a benchmark are values; leave out "
                f"{', '.join(f'--{kind}' for kind in named)}, or give the file with --csv"
            )
        return read_dataset(config.dataset)
    assert config.csv is not None
    return read_table(config.csv, config.columns, report)


def load_problem(
    config: DataConfig,
    table: Table | None = None,
    stored: Mapping[str, Scaling] = NO_SCALING,
    encoding: Encoding | None = None,
) -> Problem:
    """Read and split the data, and fit the scaling on the training rows.

    Series in ``stored`` keep their scaling, covariates the ``encoding`` if there is one. Raises
    TooShortError.
    """
    table = table if table is not None else load_table(config)
    borders = []
    check_bounds(config, table)
    if config.leaves_out_short and config.dataset is None:
        table = without_short(table, _needed(config))
    if config.dataset is None:
        ends = [tail_borders(len(each.values), config.horizon).train for each in table.series]
        config, table = without_dead(config, table, ends, stored)
    for series in table.series:
        length = len(series.values)
        if config.dataset is not None:
            border = find_dataset(config.dataset).split(length)
        else:
            _check_length(config, table, series)
            border = tail_borders(length, config.horizon)
        _check_borders(config, border, length)
        borders.append(border)
    return scaled_problem(config, table, borders, stored, encoding)


def rolling_problem(
    config: DataConfig,
    table: Table,
    origins: int,
    stride: int,
    stored: Mapping[str, Scaling] = NO_SCALING,
    encoding: Encoding | None = None,
) -> Problem:
    """A split whose test rows hold the last ``origins`` of each series, ``stride`` steps apart.

    All rows before them are training rows, and the targets of the last origin end with the file.
    """
    check_bounds(config, table)
    # the history that a forecast needs
    minimum, borders = max(2, config.lookback // 10), []
    span = config.horizon + (origins - 1) * stride
    if config.leaves_out_short:
        table = without_short(table, minimum + span)
    ends = [len(each.values) - span for each in table.series]
    config, table = without_dead(config, table, ends, stored)
    for series in table.series:
        length = len(series.values)
        if length < minimum + span:
            raise UserError(
                f"{_name(table, series)}: {length} rows, but --origins {origins} --stride {stride} "
                "with horizon "
                f"{config.horizon} needs {minimum + span} ({minimum} of them before the first "
                "origin); give fewer origins, "
                "a smaller stride, or more rows"
            )
        borders.append(Borders(length - span, length - span, length))
    return scaled_problem(config, table, borders, stored, encoding)


def with_season_lookback(config: DataConfig, table: Table) -> DataConfig:
    """The configuration with a lookback of a season at least, which seasonal naive needs."""
    season = seasons_of(config, table.interval)[0]
    return config.model_copy(update={"lookback": max(config.lookback, season)})


def scaled_problem(
    config: DataConfig,
    table: Table,
    borders: Sequence[Borders],
    stored: Mapping[str, Scaling] = NO_SCALING,
    encoding: Encoding | None = None,
) -> Problem:
    """A problem with given borders, one for each series.

    The scaling is fitted on the training rows, except that of series in ``stored`` (by item id),
    and so is the encoding of covariates, unless it is given.
    Raises UserError for values too far from the mean.
    """
    scaling, protocol = [], []
    for series, border in zip(table.series, borders, strict=True):
        name, rows = _name(table, series), series.values[: border.train]
        remedy = ", or leave it out with --on-dead skip" if len(table.series) > 1 else ""
        scale = stored.get(series.item_id or "") or Scaling.fit(rows, name, table.names, remedy)
        scale.check(series.values, name, table.names)
        scaling.append(scale)
        if (
            config.dataset is not None
        ):  # fitted on the protocol's training rows, whatever the borders
            protocol_rows = series.values[
                : find_dataset(config.dataset).split(len(series.values)).train
            ]
            protocol.append(Scaling.fit(protocol_rows, name, table.names))
    places = {item: number for number, item in enumerate(stored)}
    numbers = [places.get(s.item_id or "", -1) for s in table.series]
    return Problem(
        config,
        table,
        tuple(borders),
        tuple(scaling),
        tuple(protocol) if protocol else None,
        tuple(numbers if stored else range(len(table.series))),
        encoding if encoding is not None else _encoding(config, table, borders),
    )


def _encoding(config: DataConfig, table: Table, borders: Sequence[Borders]) -> Encoding | None:
    found = Encoding.fit(table, [border.train for border in borders], config.columns)
    return found if found else None


def check_bounds(config: DataConfig, table: Table) -> None:
    """Raise UserError if values lie outside the bounds that forecasts are clipped to."""
    bounds = list(zip(table.names, *config.limits(table.names), strict=True))
    for name, low, high in bounds:
        if low >= high:
            raise UserError(
                f"column '{name}': --lower {shortest(low)} is not below --upper {shortest(high)}; "
                "correct them"
            )
    for series in table.series:
        for (name, low, high), column in zip(bounds, series.values.T, strict=True):
            outside = np.flatnonzero((column < low) | (column > high))
            if len(outside):
                value, stamp = (
                    column[outside[0]],
                    table.interval.stamps(series.first, len(column))[outside[0]],
                )
                raise UserError(
                    f"{_name(table, series)}: column '{name}' holds {shortest(value)} at {stamp} "
                    f"and {len(outside)} value(s) in all outside {shortest(low)} to "
                    f"{shortest(high)}; train with wider bounds{or_without(name, table.names)}"
                )


def _name(table: Table, series: Series) -> str:
    return table.path if series.item_id is None else f"{table.path}, series '{series.item_id}'"


def _check_length(config: DataConfig, table: Table, series: Series) -> None:
    """Require a training window, and a horizon each for validation and test."""
    rows, needed = len(series.values), _needed(config)
    if rows >= needed:
        return
    padded = "" if rows < _least(config) else ", or pad its history with --on-short pad"
    short = [each for each in table.series if len(each.values) < needed]
    if len(short) < len(table.series):
        padded += f", or leave out {names_of(short)} with --on-short skip"
    raise TooShortError(
        f"{_name(table, series)}: {rows} rows, but training with lookback {config.lookback} and "
        f"horizon {config.horizon} "
        f"needs {needed} (lookback + horizon to learn from, a horizon to validate and one to test "
        "on)",
        f"give more rows, a smaller --lookback or --horizon{padded}",
    )


def _needed(config: DataConfig) -> int:
    """The fewest rows of a series to learn from."""
    return _least(config) if config.on_short == "pad" else config.lookback + 3 * config.horizon


def _least(config: DataConfig) -> int:
    return 3 * config.horizon + 2


def _check_borders(config: DataConfig, border: Borders, length: int) -> None:
    train, validation, test = (
        border.train,
        border.validation - border.train,
        border.test - border.validation,
    )
    if min(train - 1, validation, test) < config.horizon or border.test > length:
        raise UserError(
            f"data set '{config.dataset}': horizon {config.horizon} does not fit its splits "
            f"({train}/{validation}/{test} rows); give a smaller --horizon"
        )
