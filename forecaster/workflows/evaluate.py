"""``evaluate``: a saved model on a split, or on rolling origins of a file, as one tracked run with
tables and pictures.

The way is a chain of values: saved model → prepared windows → scores → logged run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from forecaster.errors import UserError
from forecaster.evaluation.score import (
    Listener,
    chosen,
    score_seasonal_naive,
    score_windows,
    unheard,
)
from forecaster.inference.locate import open_model
from forecaster.inference.saved_model import SavedModel
from forecaster.tracking import labels
from forecaster.tracking.provenance import code_version
from forecaster.workflows.evaluate_report import Evaluated, Prepared, write_evaluation
from forecaster.workflows.evaluate_windows import EvaluateOptions, Rolling, prepare
from forecaster.workflows.surroundings import Surroundings
from forecaster.workflows.tracker import Run

__all__ = ["EvaluateOptions", "EvaluationResult", "Rolling", "evaluate", "evaluate_saved"]

# the metrics whose values at each lead time are tracked as steps; by_lead.csv holds all
CURVES = ("mse", "mae", "crps", "wql", "coverage/90", "width/90")


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics named ``test/…`` or ``val/…``, those of seasonal naive on the same windows, and what
    they mean.
    """

    run_id: str
    metrics: dict[str, float]
    baseline: dict[str, float]
    season: int
    about: str


def evaluate_saved(options: EvaluateOptions, say: Callable[[str], object]) -> EvaluationResult:
    """Find the model, score it, log the run with its tables and pictures; ``say`` gets what people
    should know of the figures.
    """
    _check_conformal(options)
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    return evaluate(saved, options, Surroundings(say=say))[0]


def evaluate(
    saved: SavedModel, options: EvaluateOptions, around: Surroundings, listen: Listener = unheard
) -> tuple[EvaluationResult, Evaluated]:
    """The same for a model that is loaded; ``listen`` gets the forecasts that are scored."""
    _check_conformal(options)
    prepared = prepare(_as_asked(saved, options), options, around.say)
    name = options.run_name or _run_name(options, prepared)
    with around.tracker.open(options.experiment, name) as run:
        _log_start(run, options, prepared)
        evaluated = _score(prepared, around, listen)
        _log(run, evaluated, around)
    metrics, baseline = evaluated.metrics, evaluated.baseline
    result = EvaluationResult(run.run_id, metrics, baseline, prepared.season, evaluated.about)
    return result, evaluated


def _check_conformal(options: EvaluateOptions) -> None:
    if options.conformal and options.scoring.mode == "point":
        raise UserError(
            "--conformal gives intervals, --mode point has none; ask for --mode probabilistic"
        )


def _as_asked(saved: SavedModel, options: EvaluateOptions) -> SavedModel:
    """Resampled, with conformal intervals, if that is asked for, and able to do the rest."""
    saved = saved.resampled(options.resample_rate) if options.resample_rate > 1 else saved
    saved = saved.conformal() if options.conformal else saved
    if options.scoring.mode == "probabilistic" and saved.model.distribution == "none":
        cause = f"model '{saved.config.model.name}'" if saved.rate == 1 else "--resample-rate"
        raise UserError(f"{cause} gives a point forecast only; ask for --mode point")
    saved.model.check_steps(options.scoring.steps)
    return saved


def _run_name(options: EvaluateOptions, prepared: Prepared) -> str:
    which = options.split if options.rolling is None else f"{options.rolling.origins} origins"
    return f"evaluate {labels.title(prepared.saved.config)} {prepared.data_name} {which}"


def _score(prepared: Prepared, around: Surroundings, listen: Listener) -> Evaluated:
    saved, problem, windows = prepared.saved, prepared.problem, prepared.windows
    scoring, watch = prepared.scoring, around.progress.scoring
    found = score_windows(saved.model, problem, windows, scoring, watch=watch, listen=listen)
    if not found.errors.isfinite().any():
        raise UserError(
            f"{problem.table.path}: {prepared.about(len(found.numbers))}: none has a value to "
            "score; see check"
        )
    whole = len(chosen(windows, replace(scoring, limit=None)))
    if len(found.numbers) < whole:
        around.say(
            f"--limit: scored {len(found.numbers)} of {whole} windows, evenly spaced from the "
            "first to the last"
        )
    return Evaluated(prepared, found, score_seasonal_naive(problem, prepared.part, scoring))


def _log(run: Run, evaluated: Evaluated, around: Surroundings) -> None:
    prefix, leads = evaluated.prepared.prefix, evaluated.found.totals.by_lead()
    naive = evaluated.naive.pooled()
    run.metrics(evaluated.metrics)
    run.metrics({f"{prefix}/seasonal_naive/{name}": value for name, value in naive.items()})
    run.curves({f"by_lead/{prefix}/{name}": leads[name] for name in CURVES if name in leads})
    around.tracker.log_files(run, lambda folder: write_evaluation(folder, evaluated))


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
