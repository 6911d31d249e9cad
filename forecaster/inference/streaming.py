"""``forecast --stream``: the history is read once, then a forecast follows every further row."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from forecaster.config.schema import Columns
from forecaster.data.intervals import step_number
from forecaster.data.rows import Row
from forecaster.data.tables import Table
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.inference.ahead import check_ahead
from forecaster.inference.checks import check_request, check_table
from forecaster.inference.faults import said
from forecaster.inference.forecasts import in_model_order, series_rows
from forecaster.inference.predictor import (
    Origin,
    PredictionRequest,
    SavedPredictor,
    context,
    observed,
    window_features,
)
from forecaster.inference.recent_rows import (
    check_static,
    format_of,
    last_rows,
    with_model_texts,
    with_row,
)
from forecaster.inference.saved_model import SavedModel
from forecaster.io.output_tables import csv_text
from forecaster.models.base import Forecaster, Streamable, StreamingState, empty_future

SOURCE = "standard input"


class _SeriesState:
    """The streaming state of one series, and the time of its last row.

    Its memory does not grow with the number of rows read.
    """

    def __init__(
        self, saved: SavedModel, table: Table, ordered: Table, index: int, predictor: SavedPredictor
    ) -> None:
        self.saved, self.table, self.ordered = saved, table, ordered
        self.series, self.predictor = table.series[index], predictor
        self.order = [table.names.index(name) for name in ordered.names]
        history, lookback = ordered.series[index], saved.config.data.lookback
        self.scale = predictor.scaling(history.item_id, history.values)
        self.last = table.interval.stamp(history.first, len(history.values) - 1)
        self.start = table.start(history) + len(history.values)
        self.device = saved.core.device
        self.recent = last_rows(history, table, lookback)
        self._cut()
        self._start()

    def _cut(self) -> None:
        """The window of the recent rows, and its covariates with those of the rows to forecast."""
        lookback, encoding = self.saved.config.data.lookback, self.saved.encoding
        values, self.covariates = self.scale.apply(self.recent.values), None
        if encoding is not None:
            table = replace(self.ordered, series=(self.recent,))
            check_ahead(self.saved, table, [0])
            ahead = self.predictor.prediction_length
            features = encoding.encode(table, ahead)[0].scaled(self.scale)
            values = features.beside(values)
            self.covariates = window_features([features], lookback, ahead)
        self.window = context(values, lookback)

    def _batch(self) -> Batch:
        past, mask = observed(self.window[None])
        time = torch.tensor([step_number(self.start)])
        ahead, seasons = self.predictor.prediction_length, self.saved.shape.seasons
        return empty_future(past, mask, ahead, time, None, seasons, self.covariates).to(self.device)

    @torch.no_grad()
    def _start(self) -> None:
        """The state after the rows of the window, at rest before them."""
        self.state: StreamingState = _streamable(self.saved.core).stream(self._batch())
        self.model: Forecaster = self.saved.around(self.state)

    def update(self, row: Row, on_gap: str) -> None:
        """Advance the state by a row; times skipped before it are refused, missing values or 0, by
        the policy ``on_gap``.
        """
        expected = self._next()
        stamp = self.table.clock.read(row.wall, row.offset, expected)
        if stamp is None:
            raise UserError(
                f"{row.where}: {row.wall} does not exist in {self.table.clock.zone}; correct the "
                "time"
            )
        if stamp <= self.last:
            raise UserError(
                f"{row.where}: {self._text(stamp)} is not after {self._text(self.last)}, the last "
                "row read; leave it out"
            )
        if stamp != expected and on_gap == "error":
            raise UserError(
                f"{row.where}: {self._text(stamp)} where {self._text(expected)} is next; send the "
                "rows between, or give --on-gap fill to take them as missing values"
            )
        self.scale.check(row.values[None, self.order], row.where, self.saved.schema.names)
        skipped = self._skipped(row, stamp)
        check_static(self.table, self.recent, row)
        known = self.table.covariates.known
        gap = [0.0 if on_gap == "zero" else np.nan] * skipped
        further = with_row(self.recent, row.values[self.order], row, gap, known)
        self.recent = last_rows(further, self.table, self.window.shape[1])
        for _ in range(skipped + 1):
            self.last, self.start = self._next(), self.start + 1
        self._read(row.where, skipped > 0)

    def _skipped(self, row: Row, stamp: pd.Timestamp) -> int:
        """The number of grid times between the last row and ``stamp``."""
        count, passed = 0, self._next()
        while passed < stamp:
            count, passed = count + 1, self.table.interval.after(self.series.first, passed)
            if count > 100 * self.saved.config.data.lookback:
                raise UserError(
                    f"{row.where}: {self._text(stamp)} is too far from {self._text(self.last)}; "
                    "start again with the newer history"
                )
        if passed != stamp:
            raise UserError(
                f"{row.where}: {self._text(stamp)} is not on the grid of interval "
                f"{self.table.interval.alias}; "
                "correct the time"
            )
        return count

    @torch.no_grad()
    def _read(self, where: str, skipped: bool) -> None:
        """Read the newest row.

        While one of the last L rows misses a value, they are read again from rest, since later
        values change what is estimated in its place; and so they are if rows were ``skipped``.
        """
        try:
            self._cut()
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        missing = np.isnan(self.window)
        if missing.all(axis=1).any():
            name = self.saved.schema.names[int(missing.all(axis=1).argmax())]
            raise UserError(
                f"{where}: column '{name}' has no value in the last {self.window.shape[1]} rows "
                "that the model reads; start again with the newer history"
            )
        if missing.any() or skipped:
            self._start()
        else:
            self.state.update(self._batch())

    def _next(self) -> pd.Timestamp:
        return self.table.interval.after(self.series.first, self.last)

    def _text(self, stamp: pd.Timestamp) -> str:
        return self.table.clock.write(pd.DatetimeIndex([stamp]))[0]

    def forecast(self, request: PredictionRequest) -> pd.DataFrame:
        """The rows of a forecast; the first column, ``origin``: the time of the last row read."""
        origin = Origin(self.series.item_id or "", self.start, self.scale)
        forecast = next(
            self.predictor.forecasts(
                self.model, self.window[None], [origin], request, self.covariates
            )
        )
        grid = [self._next()]
        while len(grid) < self.predictor.prediction_length:
            grid.append(self.table.interval.after(self.series.first, grid[-1]))
        names = self.saved.schema.names
        rows = pd.concat(
            series_rows(names, self.table, self.series, forecast, pd.DatetimeIndex(grid), request)
        )
        rows.insert(0, "origin", self._text(self.last))
        return rows


def _streamable(model: Forecaster) -> Streamable:
    if not isinstance(model, Streamable):
        raise UserError(
            "this model cannot take in rows one at a time (--stream); train a state-space model, "
            "such as s4d"
        )
    return model


def follow(
    saved: SavedModel,
    table: Table,
    request: PredictionRequest,
    columns: Columns,
    tell: Callable[[str], object],
) -> tuple[Callable[[str, int], pd.DataFrame | None], list[str]]:
    """A function that forecasts after each further line, and the decisions about the data.

    The function takes a line and its number, and returns None for a blank line. The state of every
    series starts at rest before the last ``lookback`` rows of its history. ``columns``: whether
    skipped times are missing values or are refused, and whether rows of series whose history is too
    short are passed over. ``tell`` is called with decisions about further rows.
    """
    check_request(saved, request)
    _streamable(saved.core).check_causal("--stream")
    if table.absent:
        raise UserError(
            f"{table.path}: --stream takes rows with all columns of the model; add "
            f"'{table.absent[0]}'"
        )
    faults, decisions = check_table(saved, table, request, _strict(columns), stream=True)
    passed_over = {table.series[fault.series].item_id for fault in faults}
    decisions += said(table, faults, "passed over")
    row_format = table.rows
    if row_format is None:
        raise UserError(
            f"{table.path}: --stream takes further rows in the form of the history; give a CSV file"
        )
    if row_format.columns.snap is not None or row_format.columns.aggregate is not None:
        raise UserError(
            f"{table.path}: --stream takes rows as they come, and this model's are moved or put "
            "together (--snap, --aggregate); forecast the file instead"
        )
    table = with_model_texts(table, saved)
    row_format = format_of(table, row_format)
    predictor, ordered = SavedPredictor(saved, request), in_model_order(saved, table)
    told: set[tuple[str, str]] = set()
    states = {
        s.item_id: _SeriesState(saved, table, ordered, i, predictor)
        for i, s in enumerate(table.series)
        if s.item_id not in passed_over
    }

    def forecast_after(line: str, number: int) -> pd.DataFrame | None:
        row = row_format.parse(line, number, SOURCE)
        if row is None or row.item in passed_over:
            return None
        if row.item not in states:
            raise UserError(
                f"{row.where}: series '{row.item}' is not in {table.path}; add its history to that "
                "file"
            )
        states[row.item].update(row, columns.on_gap)
        for name, text in row.new.items() - told:
            tell(
                f"{row.where}, column '{name}': '{text}' was not in the training: taken as unknown"
            )
        told.update(row.new.items())
        return states[row.item].forecast(request)

    return forecast_after, decisions + predictor.decisions


def _strict(columns: Columns) -> Columns:
    """The policies for rows that come one at a time, whose columns are all forecast."""
    short = "skip" if columns.on_short in {"skip", "fallback"} else columns.on_short
    return columns.model_copy(update={"on_dead": "error", "on_short": short})


def as_csv(frame: pd.DataFrame, first: bool) -> str:
    """The rows as CSV, with the header if they are the ``first``."""
    return csv_text(frame, first)


def as_json(frame: pd.DataFrame, first: bool) -> str:
    """The rows as one line of JSON: the origin, and each series' times and columns."""
    series = {}
    for name, rows in frame.groupby("item_id", sort=False):
        series[str(name)] = {
            column: [value if column == "timestamp" else float(value) for value in rows[column]]
            for column in rows.columns.drop(["origin", "item_id"])
        }
    return (
        json.dumps({"origin": frame["origin"].iloc[0], "forecast": series}, ensure_ascii=False)
        + "\n"
    )


def forecasts(
    forecast_after: Callable[[str, int], pd.DataFrame | None],
    lines: Iterable[str],
    write: Callable[[pd.DataFrame, bool], str],
) -> Iterator[str]:
    """The text to write after each row: ``forecast_after`` is that of ``follow``."""
    first = True
    for number, line in enumerate(lines, start=1):
        frame = forecast_after(line, number)
        if frame is not None:
            yield write(frame, first)
            first = False
