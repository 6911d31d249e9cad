"""Two saved models on the newest windows of a file that neither has learnt from, paired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.dead import without_dead
from forecaster.data.problem import Problem, scaled_problem
from forecaster.data.splits import Borders, Scaling, tail_borders
from forecaster.data.tables import Series, Table
from forecaster.data.windows import Windows
from forecaster.errors import UserError
from forecaster.evaluation.compare import Comparison, compare
from forecaster.evaluation.score import Scoring, WindowScores, score_windows, selected_windows
from forecaster.inference.checks import check_schema
from forecaster.inference.forecasts import in_model_order
from forecaster.inference.inputs import fewest_rows
from forecaster.inference.saved_model import SavedModel
from forecaster.reporting.verdict import Paired, paired

_WINDOWS = 256  # that are scored, evenly spaced
_FEWEST = 2  # origins of which a difference can be told


class IncomparableError(UserError):
    """Two models that no file compares."""


@dataclass(frozen=True)
class Contest:
    """``comparison``: the challenger's losses beside the champion's, by origin; ``loss``: which.

    ``windows``: how many were scored; ``first``, ``last``: the times of their first targets.
    ``leads``: the steps ahead that were scored, if one of the two forecasts further.
    """

    comparison: Comparison
    loss: str
    windows: int
    first: str
    last: str
    leads: int | None = None

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
            "leads": self.leads,
        }

    @property
    def text(self) -> str:
        """The result in one sentence."""
        days = self.first if self.first == self.last else f"{self.first} to {self.last}"
        step = "step" if self.leads == 1 else f"{self.leads} steps"
        common = "" if self.leads is None else f", on the first {step} that both forecast"
        return (
            f"{self.comparison.sentence(self.loss.upper())}, on {self.windows} windows that "
            f"neither had learnt from, from {days}{common}"
        )


@dataclass(frozen=True)
class _Side:
    """One of the two: a model, and the problem of forecasting the rows that neither has seen."""

    saved: SavedModel
    problem: Problem
    windows: Windows

    @property
    def horizon(self) -> int:
        return self.saved.config.data.horizon

    def score(self, scoring: Scoring) -> WindowScores:
        return score_windows(self.saved.model, self.problem, self.windows, scoring)


def contest(
    champion: SavedModel, challenger: SavedModel, table: Table, names: tuple[str, str]
) -> Contest:
    """Compare two models on the rows of ``table`` after all that either has learnt from.

    A model in service that was trained on all rows is represented by the one that its training
    figures are of, which has not seen the newest. ``names``: the challenger's, then the
    champion's. The loss is the CRPS, of forecasts without a distribution the absolute error, in
    standard deviations of the challenger's training rows. Of different horizons, the steps of the
    shorter one are compared, on windows that hold the longer one.
    Raises UserError if there is nothing to compare by.
    """
    models = champion.scored(), challenger.scored()
    before, after = champion.schema, challenger.schema
    for what, alike in (
        ("columns", set(before.names) == set(after.names)),
        ("intervals", before.interval == after.interval),
    ):
        if not alike:
            raise IncomparableError(
                f"their {what} differ, so that their errors are of other forecasts"
            )
    for saved in models:
        check_schema(saved, table)
    longest = max(saved.config.data.horizon for saved in models)
    table, borders = _unseen(models, table, longest)
    old, new = _on_one_scale([_side(saved, table, borders, longest) for saved in models])
    leads = min(old.horizon, new.horizon)
    scoring = _scoring(old, new, leads)
    losses, others = (_losses(side.score(scoring), scoring) for side in (new, old))
    numbers = selected_windows(new.windows, scoring)
    owners, rows = (each[numbers].numpy() for each in (new.windows.owners, new.windows.rows))
    lengths = np.array([len(series.values) for series in table.series])
    pairs = paired(losses, others, owners, lengths[owners] - rows, leads)
    _check_pairs(pairs, table, names[1])
    first, last = _first_targets(table, owners, rows)
    return Contest(
        compare(names[0], pairs.losses, names[1], pairs.baseline, pairs.overlap),
        "crps" if scoring.mode == "probabilistic" else "mae",
        pairs.windows,
        first,
        last,
        None if old.horizon == new.horizon else leads,
    )


def _side(saved: SavedModel, table: Table, borders: Sequence[Borders], longest: int) -> _Side:
    """A model on the windows after which a ``longest`` horizon fits, which are those of both."""
    data = saved.config.data.model_copy(update={"dataset": None})
    spare = longest - data.horizon
    own = [replace(border, test=border.test - spare) for border in borders]
    problem = scaled_problem(data, in_model_order(saved, table), own, saved.scaling, saved.encoding)
    return _Side(saved, problem, problem.windows("test"))


def _on_one_scale(sides: Sequence[_Side]) -> tuple[_Side, _Side]:
    """The champion's and the challenger's, whose errors are in the latter's standard deviations."""
    old, new = sides
    order = [new.saved.schema.names.index(name) for name in old.saved.schema.names]
    scales = new.problem.scaling
    turned = tuple(Scaling(scale.mean[order], scale.std[order]) for scale in scales)
    return (
        replace(old, problem=replace(old.problem, protocol=turned)),
        replace(new, problem=replace(new.problem, protocol=scales)),
    )


def _scoring(old: _Side, new: _Side, leads: int) -> Scoring:
    sampled = all(side.saved.model.distribution != "none" for side in (old, new))
    settings = new.saved.config.trainer
    return Scoring(
        "probabilistic" if sampled else "point",
        settings.score_samples,
        limit=_WINDOWS,
        seed=settings.seed,
        leads=leads,
    )


def _losses(found: WindowScores, scoring: Scoring) -> NDArray[np.float64]:
    return (found.errors if scoring.mode == "probabilistic" else found.absolute).numpy()


def _check_pairs(pairs: Paired, table: Table, champion: str) -> None:
    if len(pairs.losses) < _FEWEST:
        raise UserError(
            f"{table.path}: {len(pairs.losses)} forecast origin(s) with a value after all rows "
            f"that either model has learnt from, where {_FEWEST} are needed; give a file with more "
            "new rows"
        )
    if pairs.losses.any() and not pairs.baseline.any():
        raise UserError(f"{table.path}: {champion} is exact there, so that no error is relative")


def _first_targets(
    table: Table, owners: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[str, str]:
    """The earliest and the latest time of a window's first target."""
    times = [
        table.interval.stamp(table.series[owner].first, row)
        for owner, row in zip(owners.tolist(), rows.tolist(), strict=True)
    ]
    first, last = (table.clock.said(time) for time in (min(times), max(times)))
    return first.removesuffix(" 00:00:00"), last.removesuffix(" 00:00:00")


def _unseen(
    models: Sequence[SavedModel], table: Table, horizon: int
) -> tuple[Table, tuple[Borders, ...]]:
    """The series that have a window after all rows that either model has learnt from, with borders
    at those rows.
    """
    least = max(map(fewest_rows, models))
    seen = [saved.until() for saved in models]
    kept: list[tuple[Series, Borders]] = []
    for series in table.series:
        rows = len(series.values)
        start = _start(table, series, seen, horizon)
        if least <= start <= rows - horizon:
            kept.append((series, Borders(start, start, rows)))
    table = replace(table, series=tuple(series for series, _ in kept))
    if kept:
        champion, challenger = models
        lenient = challenger.config.data.model_copy(update={"on_dead": "skip"})
        ends = [border.train for _, border in kept]
        stored = {**champion.scaling, **challenger.scaling}
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
