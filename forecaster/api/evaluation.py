"""The result of ``Model.evaluate``: metrics, tables, scored forecasts and a verdict."""

from dataclasses import dataclass

import pandas as pd

from forecaster.api.forecast import read_times
from forecaster.evaluation.collect import Forecasts
from forecaster.inference.saved_model import SavedModel
from forecaster.reporting.verdict import Skill
from forecaster.training.progress import Silent
from forecaster.workflows.evaluate import evaluate
from forecaster.workflows.evaluate_report import tables_of
from forecaster.workflows.evaluate_windows import EvaluateOptions
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import Tracker


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on past windows of a table.

    ``metrics`` and ``baseline`` (seasonal naive on the same windows) by name, such as ``mae``,
    ``crps``, ``coverage/90``; ``by_lead``, ``by_series``: the same by lead time and by series, in
    the data's units. ``verdict``: a comparison of the point forecasts with seasonal naive, and
    ``skill`` its figures: ``percent`` closer, ``low``, ``high`` (the 95 % interval), ``windows``.

    ``frame``: the scored forecasts, a row for each series, origin and step: ``item_id, cutoff``
    (the last time of the history), ``timestamp, y, mean`` and quantiles. ``mean``, or
    ``median`` where there is one, is the point forecast, whose errors are ``mae``, ``mse`` and
    ``mase``.

    ``notes``: remarks about the data. ``run_id``: None without tracking.

    >>> import forecaster
    >>> sample = "datasets/seattle_weather.csv"
    >>> model = forecaster.train(sample, model="nlinear", horizon=3, lookback=14,
    ...     settings={"trainer.max_steps": 2}, tracking=False)
    >>> scores = model.evaluate(sample, origins=4)
    >>> frame = scores.frame
    >>> bool(abs((frame.y - frame["mean"]).abs().mean() - scores.metrics["mae"]) < 1e-9)
    True
    >>> scores.verdict.startswith("On 4 past windows")
    True
    """

    metrics: dict[str, float]
    baseline: dict[str, float]
    by_lead: pd.DataFrame
    by_series: pd.DataFrame
    frame: pd.DataFrame
    verdict: str
    skill: Skill
    notes: tuple[str, ...]
    run_id: str | None

    def __repr__(self) -> str:
        return f"Evaluation({len(self.by_series)} series, {len(self.frame)} scored values)"


def evaluation_of(
    saved: SavedModel, options: EvaluateOptions, tracker: Tracker, levels: tuple[float, ...]
) -> Evaluation:
    """Evaluate a loaded model; ``levels``: the quantiles in the result's frame."""
    forecasts, notes = Forecasts(levels), list[str]()
    context = RunContext(tracker, Silent(), notes.append)
    result, evaluated = evaluate(saved, options, context, forecasts)
    table, tables = evaluated.prepared.problem.table, tables_of(evaluated)
    frame = forecasts.frame(table, evaluated.prepared.windows)
    times = {name: read_times(table.clock, frame[name]) for name in ("cutoff", "timestamp")}
    return Evaluation(
        evaluated.scores.pooled(),
        evaluated.naive.pooled(),
        tables["by_lead"],
        tables["by_series"],
        frame.assign(**times),
        evaluated.verdict.text,
        evaluated.verdict.skill,
        tuple(notes),
        result.run_id or None,
    )
