"""``evaluate``: a saved model on a split, or on rolling origins of a file, as one tracked run with
tables and plots: saved model → prepared windows → scores → logged run.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecaster.errors import UserError
from forecaster.evaluation.baseline import score_seasonal_naive
from forecaster.evaluation.score import (
    BatchCallback,
    Mode,
    no_callback,
    score_windows,
    selected_windows,
)
from forecaster.inference.checks import too_few_errors
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import default_mode
from forecaster.inference.saved_model import SavedModel
from forecaster.reporting.description import TAG as NOTE
from forecaster.reporting.summary import coverage_by_series
from forecaster.reporting.verdict import Verdict
from forecaster.tracking import labels
from forecaster.tracking.provenance import code_version
from forecaster.workflows.evaluate_report import Evaluated, Prepared, write_evaluation
from forecaster.workflows.evaluate_windows import EvaluateOptions, Rolling, prepare, with_held_out
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import Run

__all__ = ["EvaluateOptions", "EvaluationResult", "Rolling", "evaluate", "evaluate_saved"]

# the metrics whose values at each lead time are tracked as steps; by_lead.csv holds all
CURVES = ("mse", "mae", "crps", "wql", "coverage/90", "width/90")


@dataclass(frozen=True)
class EvaluationResult:
    """The metrics, ``test/…`` or ``val/…``, of the model and of seasonal naive on the same windows.

    ``about``: a text about the evaluated windows; ``verdict``: a comparison of the two;
    ``by_series``: a line about the coverage by series, where there are several. ``effects``: what
    each covariate does to the forecast, the rows of ``effects_of``.
    """

    run_id: str
    metrics: dict[str, float]
    baseline: dict[str, float]
    season: int
    about: str
    verdict: Verdict
    by_series: str | None
    effects: list[dict[Hashable, Any]]


def evaluate_saved(options: EvaluateOptions, notify: Callable[[str], object]) -> EvaluationResult:
    """Load and score the model, and log the run with its tables and plots."""
    _check_conformal(options)
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    return evaluate(saved, options, RunContext(notify=notify))[0]


def evaluate(
    saved: SavedModel,
    options: EvaluateOptions,
    context: RunContext,
    on_batch: BatchCallback = no_callback,
) -> tuple[EvaluationResult, Evaluated]:
    """``evaluate_saved`` for a loaded model; ``on_batch`` receives each scored batch."""
    _check_conformal(options)
    prepared = prepare(_configured(saved, options), options, context.notify)
    if prepared.learnt:
        held_out = _configured(saved.scored(), options)
        prepared = with_held_out(prepared, held_out, options.rolling, context.notify)
    prepared = _with_mode(prepared, options.mode)
    name = options.run_name or _run_name(options, prepared)
    with context.tracker.open(options.experiment, name) as run:
        _log_start(run, options, prepared)
        evaluated = _score(prepared, context, on_batch)
        _log(run, evaluated, context)
    metrics, baseline = evaluated.metrics, evaluated.baseline
    about, found = evaluated.about, evaluated.verdict
    by_series = coverage_by_series(prepared.problem.table, evaluated.scores.totals)
    effects = evaluated.effects.to_dict("records")
    result = EvaluationResult(
        run.run_id, metrics, baseline, prepared.season, about, found, by_series, effects
    )
    return result, evaluated


def _check_conformal(options: EvaluateOptions) -> None:
    if options.conformal and options.mode == "point":
        raise UserError("--conformal gives intervals, --mode point has none; leave one of them out")


def _configured(saved: SavedModel, options: EvaluateOptions) -> SavedModel:
    """The model resampled or with conformal intervals, as the options require."""
    saved = saved.resampled(options.resample_rate) if options.resample_rate > 1 else saved
    return saved.conformal() if options.conformal else saved


def _with_mode(prepared: Prepared, mode: Mode | None) -> Prepared:
    """The same with the mode that was asked for, or that of ``forecast``."""
    saved, mode = prepared.saved, mode or default_mode(prepared.saved)
    if mode == "probabilistic" and saved.model.distribution == "none":
        if saved.rate == 1:
            raise UserError(too_few_errors(saved))
        raise UserError("--resample-rate gives a point forecast only; ask for --mode point")
    saved.model.check_steps(prepared.scoring.steps)
    return replace(prepared, scoring=replace(prepared.scoring, mode=mode))


def _run_name(options: EvaluateOptions, prepared: Prepared) -> str:
    which = options.split if options.rolling is None else f"{options.rolling.origins} origins"
    return f"evaluate {labels.title(prepared.saved.config)} {prepared.data_name} {which}"


def _score(prepared: Prepared, context: RunContext, on_batch: BatchCallback) -> Evaluated:
    saved, problem, windows = prepared.saved, prepared.problem, prepared.windows
    scoring, progress = prepared.scoring, context.progress.scoring
    scores = score_windows(
        saved.model, problem, windows, scoring, progress=progress, on_batch=on_batch
    )
    if not scores.errors.isfinite().any():
        raise UserError(
            f"{problem.table.path}: {prepared.about(len(scores.numbers))}: none has a value to "
            "score; see check"
        )
    total = len(selected_windows(windows, replace(scoring, limit=None)))
    if len(scores.numbers) < total:
        context.notify(
            f"--limit: scored {len(scores.numbers)} of {total} windows, evenly spaced from the "
            "first to the last"
        )
    return Evaluated(prepared, scores, score_seasonal_naive(problem, prepared.part, scoring))


def _log(run: Run, evaluated: Evaluated, context: RunContext) -> None:
    prefix, leads = evaluated.prepared.prefix, evaluated.scores.totals.by_lead()
    naive = evaluated.naive.pooled()
    run.metrics(evaluated.metrics)
    run.metrics({f"{prefix}/seasonal_naive/{name}": value for name, value in naive.items()})
    run.metrics(evaluated.verdict.metrics)
    run.tags({"verdict": evaluated.verdict.text, NOTE: evaluated.verdict.text})
    run.curves({f"by_lead/{prefix}/{name}": leads[name] for name in CURVES if name in leads})
    context.tracker.log_files(run, lambda folder: write_evaluation(folder, evaluated))


def _log_start(run: Run, options: EvaluateOptions, prepared: Prepared) -> None:
    problem, saved, scoring = prepared.problem, prepared.saved, prepared.scoring
    config, sampled = problem.config, scoring.mode == "probabilistic"
    values = {
        "model": labels.title(saved.config),
        "reference": options.reference,
        "model.name": saved.config.model.name,
        "data.csv": config.csv and Path(config.csv).name,
        "data.dataset": config.dataset,
        "data.sha256": problem.table.digest,
        "data.horizon": config.horizon,
        "data.lookback": config.lookback,
        "windows": prepared.which,
        "scored": prepared.scored,
        "mode": scoring.mode,
        "samples": scoring.samples if sampled else None,
        "steps": scoring.steps,
        "limit": scoring.limit,
        "seed": scoring.seed if sampled else None,
        "conformal": options.conformal,
        "resample_rate": saved.rate,
        "season": prepared.season,
    }
    run.parameters({name: value for name, value in values.items() if value is not None})
    source = labels.data_source(problem)
    run.dataset(
        labels.dataset_name(problem),
        problem.table.digest,
        source,
        problem.table.names,
        "evaluation",
    )
    run.tags(
        {
            **labels.tags(saved.config.model_copy(update={"data": config}), problem, saved.model),
            "mode": scoring.mode,
            "kind": "evaluation",
            "evaluated_run": str(saved.metadata.get("run_id")),
            "code": code_version(),
        }
    )
