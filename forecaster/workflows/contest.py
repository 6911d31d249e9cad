"""Two saved models on the newest windows of a file that neither has learnt from, paired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecaster.data.dead import without_dead
from forecaster.data.problem import Problem, scaled_problem
from forecaster.data.splits import Borders, Scaling, tail_borders
from forecaster.data.tables import Series, Table
from forecaster.errors import UserError
from forecaster.evaluation.compare import Comparison, compare
from forecaster.evaluation.score import Scoring, score_windows
from forecaster.inference.checks import check_schema
from forecaster.inference.forecasts import in_model_order
from forecaster.inference.inputs import fewest_rows
from forecaster.inference.saved_model import SavedModel
from forecaster.reporting.verdict import paired

_WINDOWS = 256  # that are scored, evenly spaced
_FEWEST = 2  # origins of which a difference can be told


@dataclass(frozen=True)
class Contest:
    """``comparison``: the challenger's losses beside the champion's, by origin; ``loss``: which.

    ``windows``: how many were scored; ``first``, ``last``: the times of their first targets.
    """

    comparison: Comparison
    loss: str
    windows: int
    first: str
    last: str

    @property
    def better(self) -> bool:
        """Whether the challenger's forecasts are closer, by more than chance explains."""
        return self.comparison.low > 0

    @property
    def worse(self) -> bool:
        """Whether they are further off, by more than chance explains."""
        return self.comparison.high < 0

    def to_json(self) -> dict[str, Any]:
        """The figures: percent by which the challenger is closer, with its 95 % interval."""
        found = self.comparison
        figures = {"percent": found.percent, "low": found.low, "high": found.high, "p": found.p}
        return {
            "loss": self.loss,
            **figures,
            "windows": self.windows,
            "first": self.first,
            "last": self.last,
        }

    @property
    def text(self) -> str:
        """The result in one sentence."""
        days = self.first if self.first == self.last else f"{self.first} to {self.last}"
        return (
            f"{self.comparison.sentence(self.loss.upper())}, on {self.windows} windows that "
            f"neither had learnt from, from {days}"
        )


def contest(
    champion: SavedModel, challenger: SavedModel, table: Table, names: tuple[str, str]
) -> Contest:
    """Compare two models on the rows of ``table`` after all that either has learnt from.

    A model in service that was trained on all rows is represented by the one that its training
    figures are of, which has not seen the newest. ``names``: the challenger's, then the
    champion's. The loss is the CRPS, of forecasts without a distribution the absolute error, in
    standard deviations of the challenger's training rows.
    Raises UserError if there is nothing to compare by.
    """
    first, second = champion.scored(), challenger.scored()
    _check_alike(first, second)
    for saved in (first, second):
        check_schema(saved, table)
    table, borders = _unseen(first, second, table)
    problems = [_problem(saved, table, borders) for saved in (first, second)]
    scales = dict(zip(second.schema.names, range(len(second.schema.names)), strict=True))
    order = [scales[name] for name in first.schema.names]
    common = problems[1].scaling
    problems[0] = replace(
        problems[0], protocol=tuple(Scaling(s.mean[order], s.std[order]) for s in common)
    )
    problems[1] = replace(problems[1], protocol=common)
    sampled = all(saved.model.distribution != "none" for saved in (first, second))
    settings = challenger.config.trainer
    scoring = Scoring(
        "probabilistic" if sampled else "point",
        settings.score_samples,
        limit=_WINDOWS,
        seed=settings.seed,
    )
    windows = [problem.windows("test") for problem in problems]
    found = [
        score_windows(saved.model, problem, each, scoring)
        for saved, problem, each in zip((first, second), problems, windows, strict=True)
    ]
    old, new = ((each.errors if sampled else each.absolute).numpy() for each in found)
    numbers, lengths = found[1].numbers, np.array([len(s.values) for s in table.series])
    owners, rows = (each[numbers].numpy() for each in (windows[1].owners, windows[1].rows))
    pairs = paired(new, old, owners, lengths[owners] - rows, second.config.data.horizon)
    if len(pairs.losses) < _FEWEST:
        raise UserError(
            f"{table.path}: {len(pairs.losses)} forecast origin(s) with a value after all rows "
            f"that either model has learnt from, where {_FEWEST} are needed; give a file with more "
            "new rows"
        )
    if pairs.losses.any() and not pairs.baseline.any():
        raise UserError(f"{table.path}: {names[1]} is exact there, so that no error is relative")
    times = [
        table.interval.stamps(table.series[owner].first, row + 1)[-1]
        for owner, row in zip(owners.tolist(), rows.tolist(), strict=True)
    ]
    return Contest(
        compare(names[0], pairs.losses, names[1], pairs.baseline, pairs.overlap),
        "crps" if sampled else "mae",
        pairs.windows,
        *(str(time).removesuffix(" 00:00:00") for time in (min(times), max(times))),
    )


def _check_alike(first: SavedModel, second: SavedModel) -> None:
    """Raise UserError for models whose forecasts are of different things."""
    horizons = [saved.config.data.horizon for saved in (first, second)]
    if horizons[0] != horizons[1]:
        raise UserError(
            f"their horizons differ, {horizons[1]} after {horizons[0]}, so that their errors are "
            "of other forecasts"
        )
    if set(first.schema.names) != set(second.schema.names):
        raise UserError("their columns differ, so that their errors are of other forecasts")


def _unseen(
    first: SavedModel, second: SavedModel, table: Table
) -> tuple[Table, tuple[Borders, ...]]:
    """The series that have a window after all rows that either model has learnt from, with borders
    at those rows.
    """
    horizon, least = second.config.data.horizon, max(fewest_rows(first), fewest_rows(second))
    seen = [saved.until() for saved in (first, second)]
    kept: list[tuple[Series, Borders]] = []
    for series in table.series:
        rows = len(series.values)
        start = _start(table, series, seen, horizon)
        if least <= start <= rows - horizon:
            kept.append((series, Borders(start, start, rows)))
    table = replace(table, series=tuple(series for series, _ in kept))
    if kept:
        lenient = second.config.data.model_copy(update={"on_dead": "skip"})
        ends = [border.train for _, border in kept]
        stored = {**first.scaling, **second.scaling}
        _, table = without_dead(lenient, table, ends, stored)
    if not table.series:
        last = max((time for each in seen for time in each.values()), default=None)
        until = "" if last is None else f", which end on {str(last).removesuffix(' 00:00:00')}"
        raise UserError(
            f"{table.path}: no forecast of {horizon} steps lies after all rows that either model "
            f"has learnt from{until}; give a file with newer rows"
        )
    borders = {series.item_id: border for series, border in kept}
    return table, tuple(borders[series.item_id] for series in table.series)


def _start(
    table: Table, series: Series, seen: Sequence[dict[str, pd.Timestamp]], horizon: int
) -> int:
    """The first row of a series that neither model has learnt from.

    Of a series that both do not know, the test rows of a training are taken.
    """
    stamps = table.interval.stamps(series.first, len(series.values))
    known = [until[series.item_id or ""] for until in seen if (series.item_id or "") in until]
    if not known:
        return max(tail_borders(len(stamps), horizon).validation, 0)
    return int((stamps <= max(known)).sum())


def _problem(saved: SavedModel, table: Table, borders: Sequence[Borders]) -> Problem:
    data = saved.config.data.model_copy(update={"dataset": None})
    own = in_model_order(saved, table)
    return scaled_problem(data, own, borders, saved.scaling, saved.encoding)
