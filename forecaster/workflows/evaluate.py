"""``evaluate``: a saved model on a split, or on rolling origins of a file, as one tracked run with
tables and pictures.

The way is a chain of values: saved model → prepared windows → scores → logged run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.config.schema import DataConfig
from forecaster.data.found import Report
from forecaster.data.problem import (
    Problem,
    TooShortError,
    load_problem,
    load_table,
    rolling_problem,
)
from forecaster.data.reading import RawTable
from forecaster.data.splits import Part
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.evaluation.score import (
    Listener,
    Scoring,
    chosen,
    score_seasonal_naive,
    score_windows,
    unheard,
)
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import check_form, in_model_order
from forecaster.inference.saved_model import SavedModel
from forecaster.tracking import labels
from forecaster.tracking.provenance import code_version
from forecaster.workflows.evaluate_report import Evaluated, Prepared, write_evaluation
from forecaster.workflows.surroundings import Surroundings
from forecaster.workflows.tracker import Run

# the metrics whose values at each lead time are tracked as steps; by_lead.csv holds all
CURVES = ("mse", "mae", "crps", "wql", "coverage/90", "width/90")


@dataclass(frozen=True)
class Rolling:
    """The last ``origins`` of a file in place of a split, ``stride`` steps apart (None: the
    horizon).
    """

    origins: int
    stride: int | None


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command ``evaluate``. ``csv``: a file, or cells in memory."""

    reference: str
    csv: Path | RawTable | None
    dataset: str | None
    split: str
    rolling: Rolling | None
    scoring: Scoring
    conformal: bool
    resample_rate: int
    accelerator: str | None
    experiment: str
    run_name: str | None
    roles: Mapping[str, Any]


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
    saved = open_model(options.reference, options.accelerator)
    return evaluate(saved, options, Surroundings(say=say))[0]


def evaluate(
    saved: SavedModel, options: EvaluateOptions, around: Surroundings, listen: Listener = unheard
) -> tuple[EvaluationResult, Evaluated]:
    """The same for a model that is loaded; ``listen`` gets the forecasts that are scored."""
    _check_conformal(options)
    prepared = _prepare(_as_asked(saved, options), options, around.say)
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


def _prepare(saved: SavedModel, options: EvaluateOptions, say: Callable[[str], object]) -> Prepared:
    if options.conformal and options.split == "validation":
        say(
            "--conformal: the intervals come from the errors on these very windows, so their "
            "coverage here is that of the "
            "calibration and says nothing about new data; see --split test"
        )
    source = _source(saved.config.data, options)
    table = _read(source, options, say)
    check_form(saved, table)
    problem, scoring, which = _problem(saved, in_model_order(saved, table), source, options)
    _tell_unknown_series(saved, problem, say)
    part: Part = "validation" if options.split == "validation" else "test"
    windows = problem.windows(part)
    if part == "test":
        _tell_what_was_seen(saved, problem, options.rolling is not None, say)
    return Prepared(saved, problem, windows, part, scoring, which)


def _problem(
    saved: SavedModel, table: Table, source: DataConfig, options: EvaluateOptions
) -> tuple[Problem, Scoring, str]:
    """The split or the rolling origins, which of its windows are scored, and that in words."""
    if options.rolling is None:
        try:
            problem = load_problem(source, table, saved.scaling)
        except TooShortError as error:
            raise UserError(
                f"{error.what}; give --origins in place of --split, or more rows"
            ) from error
        return problem, options.scoring, f"the {options.split} split"
    origins, stride = options.rolling.origins, options.rolling.stride or source.horizon
    problem = rolling_problem(source, table, origins, stride, saved.scaling)
    which = f"the last {origins} origins, {stride} steps apart"
    return problem, replace(options.scoring, stride=stride), which


def _tell_unknown_series(saved: SavedModel, problem: Problem, say: Callable[[str], object]) -> None:
    names = [series.item_id or "" for series in problem.table.series]
    unknown = [name for name in names if name not in saved.scaling]
    if unknown:
        say(
            f"{len(unknown)} series, such as '{unknown[0]}', were not in the training: scaled by "
            "their own values before "
            "those scored"
        )


def _tell_what_was_seen(
    saved: SavedModel, problem: Problem, rolling: bool, say: Callable[[str], object]
) -> None:
    """Windows in the rows that the model was trained on or chosen by flatter it."""
    table, seen = problem.table, False
    try:
        until = {
            name: pd.Timestamp(last)
            for name, last in saved.metadata.get("learnt_until", {}).items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{saved.folder / 'metadata.json'}: learnt_until is damaged; copy the model again"
        ) from error
    for series, border in zip(table.series, problem.borders, strict=True):
        first = table.interval.stamps(series.first, border.part("test")[0] + 1)[-1]
        known = until.get(series.item_id or "")
        seen |= known is not None and first <= known
    if seen:
        other = "" if table.digest == saved.metadata.get("digest") else ", if these are its series"
        which, remedy = "--origins: the earliest", "give fewer origins or a smaller --stride"
        if not rolling:
            which, remedy = (
                "the test split: its first windows",
                "give --origins that lie after those rows",
            )
        say(
            f"{which} lie in the rows that this model was trained on or chosen by{other}, which "
            f"flatters it; {remedy}"
        )


def _source(trained: DataConfig, options: EvaluateOptions) -> DataConfig:
    if options.csv is None and options.dataset is None:
        return trained
    given = {name: value for name, value in options.roles.items() if value is not None}
    # the training file's interval is the model's affair: it is compared, not imposed
    given = given if options.csv is None else {"freq": None, **given}
    file = str(options.csv) if isinstance(options.csv, Path) else None
    places = {"csv": file, "dataset": options.dataset}
    return trained.model_copy(update={**given, **places})


def _read(source: DataConfig, options: EvaluateOptions, say: Callable[[str], object]) -> Table:
    if options.csv is None or options.dataset is not None:
        return load_table(source)
    table = read_table(options.csv, source.columns, Report())
    for decision in table.report.decisions:
        say(decision)
    return table


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
