"""The steps of a training: problem → fitted model → evaluation → saved model → logged run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from forecaster.config.load import dump_config
from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.clock import Clock as FileClock
from forecaster.data.layout.words import listed
from forecaster.data.problem import Problem
from forecaster.errors import UserError
from forecaster.evaluation.effects import effects_of
from forecaster.inference.forecasts import forecast_series
from forecaster.inference.predictor import PredictionRequest, default_mode
from forecaster.inference.saved_model import SavedModel, load_model, save_model
from forecaster.io.atomic import whole_folder
from forecaster.io.output_tables import TableWriter
from forecaster.models.adjusted import uses_covariates
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.diffusion.calibration import StepShifts, calibrated
from forecaster.models.diffusion.forecaster import walked_as_untrained
from forecaster.models.held_out import HeldOut, calibration, errors_after
from forecaster.models.residual_paths import in_service
from forecaster.models.selected import selections
from forecaster.reporting import description, summary
from forecaster.reporting.fans import LEVELS
from forecaster.reporting.plots import write_picture
from forecaster.reporting.verdict import Verdict, judge
from forecaster.serving import registry
from forecaster.tracking import labels
from forecaster.tracking.provenance import code_version, versions
from forecaster.training import warm
from forecaster.training.calendar_choice import choose_calendar
from forecaster.training.ensemble import Row, refit_model, train_model
from forecaster.training.fit import new_model
from forecaster.training.limit import in_words
from forecaster.training.plan import Part as WorkPart
from forecaster.training.progress import Stopwatch
from forecaster.training.refit import Refitted, wanted
from forecaster.training.stages import on_cuda
from forecaster.workflows.pictures import ERRORS, history_of, picture, samples_of
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import Run
from forecaster.workflows.train_bounds import Selection, selected
from forecaster.workflows.train_clock import Clock
from forecaster.workflows.train_scores import score_naive, score_own, score_split

_NAMED = 5  # columns in a line


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training, with the metrics of seasonal naive as ``baseline``.

    ``verdict``: a comparison of the two; ``by_series``: a line about the coverage by series, where
    there are several. ``version``: of the registered model, if any.
    ``leaderboard``: of an ensemble's candidates, the best on validation first.
    ``learnt_until``: the last time of the rows that the model of these metrics has learnt from or
    was chosen by, by item id, in the working times of the ``clock``; ``trained_until``: the same of
    the saved model, if that was then trained on all rows.
    """

    run_id: str
    folder: Path
    metrics: dict[str, float]
    baseline: dict[str, float]
    verdict: Verdict
    by_series: str | None
    learnt_until: dict[str, str]
    trained_until: dict[str, str] | None
    clock: FileClock
    version: int | None = None
    leaderboard: tuple[Row, ...] = ()

    def said(self, until: Mapping[str, str] | None) -> dict[str, str] | None:
        """Times of ``learnt_until`` or ``trained_until`` in the file's own."""
        if until is None:
            return None
        return {item: self.clock.said(pd.Timestamp(text)) for item, text in until.items()}

    @property
    def scored(self) -> str:
        """Which model the metrics are of, in one line."""
        held_out = (
            f"figures: held out (trained and chosen until {_last(self.learnt_until, self.clock)})"
        )
        if self.trained_until is None:
            return f"{held_out}, of the saved model"
        until = _last(self.trained_until, self.clock)
        return f"{held_out}; the saved model was then trained on all rows, until {until}"


@dataclass(frozen=True)
class Site:
    """The outputs of a training: its run, checkpoints and the folder of its model.

    ``clock``: the limit of its time. ``asked``: settings that were asked for, not a preset's.
    """

    context: RunContext
    run: Run
    checkpoints: Path
    folder: Path
    registered_name: str | None
    clock: Clock
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitted:
    """A trained model with its problem and checkpoints; ``seconds``: the training time.

    ``leaderboard``: of an ensemble's candidates.
    """

    config: Config
    problem: Problem
    model: Forecaster
    seconds: float
    checkpoints: Path
    leaderboard: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Evaluated:
    """The metrics of a model, the test metrics by lead time (H), those of seasonal naive, and a
    comparison with it. ``selection``: of the scored windows; ``errors``: those on validation, of
    which intervals are made; ``mase``: by series, on test windows.
    """

    fitted: Fitted
    selection: Selection
    errors: HeldOut
    metrics: dict[str, float]
    leads: dict[str, list[float]]
    baseline: dict[str, float]
    verdict: Verdict
    by_series: str | None
    mase: dict[str, float]


@dataclass(frozen=True)
class InService:
    """An evaluated model, and what was trained on all rows after it, if anything."""

    evaluated: Evaluated
    refitted: Refitted | None
    trained_until: dict[str, str] | None


@dataclass(frozen=True)
class Stored:
    """The saved model, reloaded from its folder."""

    service: InService
    saved: SavedModel


def run_steps(site: Site, config: Config, problem: Problem) -> TrainingResult:
    """Run all steps; each logs its result, so that a failure of a later one loses nothing."""
    parts = [WorkPart("scoring")]
    parts += [WorkPart("refit")] if site.clock.refits else []
    parts.append(WorkPart("saving", expected=0.0))
    with site.context.progress.overall(parts, site.clock.limit):
        fitted = _fit(site, config, problem)
        evaluated = evaluate_fitted(site, fitted, _selection(site, fitted))
        return finish(site, _refit(site, evaluated))


def finish(site: Site, service: InService) -> TrainingResult:
    """Save the model, and log it."""
    site.context.progress.start("saving")
    return _log(site, _store(site, service))


def _fit(site: Site, config: Config, problem: Problem) -> Fitted:
    stopwatch = Stopwatch(site.checkpoints / "seconds")

    def report(losses: Mapping[str, float], epoch: int) -> None:
        site.run.metrics(losses, epoch)
        stopwatch.save()

    progress, limit = site.context.progress, site.clock.training()
    folder = site.checkpoints
    if not warm.is_warm(folder):
        chosen = choose_calendar(config, problem, folder, report, progress, limit)
        config, problem, folder = chosen.config, chosen.problem, chosen.folder
        if chosen.words is not None:
            site.context.notify(chosen.words)
            problem.table.report.decisions.append(chosen.words)
            site.run.parameters({"calendar.chosen": config.data.calendar})
    model = new_model(config, problem)
    if warm.is_warm(site.checkpoints):
        warmed = warm.start(model, site.checkpoints)
        site.run.tags({"warm_start": str(warmed)})
        if not warmed:
            site.context.notify("note: no warm start: the earlier model has other weights")
    if problem.encoding is not None and not uses_covariates(model):
        site.context.notify(
            f"note: model '{config.model.name}' reads no covariates: its forecast is as without "
            f"{listed(problem.encoding.names)}"
        )
    for text in [] if problem.encoding is None else problem.encoding.unknown(problem.table):
        site.context.notify(f"note: {text}")
    if problem.encoding is not None and problem.encoding.constant:
        site.context.notify(
            f"note: column {listed(problem.encoding.constant)} is the same in all training rows: "
            "nothing is learnt from it"
        )
    tags = {"kind": "training", **labels.tags(config, problem, model), "code": code_version()}
    site.run.tags(tags)
    trained = train_model(config, problem, folder, report, progress, limit, model)
    config, model = trained.config, trained.model
    problem = replace(problem, config=config.data)  # an ensemble reads what its members do
    seconds = stopwatch.seconds()
    if trained.stopped:
        _tell_stopped(site, trained.stopped, "used are the best weights so far")
    for key, selection in selections(model):
        site.run.parameters({f"{key}.chosen": selection.choice})
        progress.say(f"{key}: {selection}")
    if unlearnt := walked_as_untrained(model):
        _tell_untrained(site, problem, unlearnt)
    if config.trainer.calibrate:
        _tell_calibrated(site, model)
    if on_cuda(config.trainer):
        model.to("cuda")
    return Fitted(config, problem, model, seconds, folder, trained.leaderboard)


def _tell_untrained(site: Site, problem: Problem, channels: Sequence[int]) -> None:
    """The columns in which a bridge is walked as untrained."""
    count, names = len(problem.table.names), [problem.table.names[k] for k in channels]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    site.run.parameters({"model.walked_as_untrained": f"{listed(names[:_NAMED])}{more}"})
    site.context.progress.say(
        f"model: on validation the network is kept in {count - len(names)} of {count} columns; "
        f"walked as untrained: {listed(names[:_NAMED])}{more}"
    )


def _tell_calibrated(site: Site, model: Forecaster) -> None:
    """The squared errors of networks by step of the path, with their mean errors and without."""
    found = list(calibrated(model))
    if not found:
        site.context.notify(
            "note: trainer.calibrate changes nothing: the model walks no path, or there are too "
            "few validation windows to measure its network's errors on"
        )
    for key, shifts in found:
        site.context.notify(f"{key}: {shifts}")
        log_shifts(site.run, key.replace("model", "calibration", 1), shifts)


def log_shifts(run: Run, name: str, shifts: StepShifts) -> None:
    """Log squared errors by step and over all steps, and how many steps' mean errors are kept."""
    by_step = {"before": shifts.before.tolist(), "after": shifts.after.tolist()}
    run.curves({f"{name}/{when}_by_step": losses for when, losses in by_step.items()})
    means = {f"{name}/{when}": sum(each) / len(each) for when, each in by_step.items()}
    run.metrics({**means, f"{name}/steps": float(shifts.kept.sum())})


def _tell_stopped(site: Site, stopped: Sequence[str], outcome: str) -> None:
    where = ", ".join(stopped)
    site.run.tags({"stopped_by_time_limit": where})
    site.context.notify(f"{site.clock.words()}: {where} stopped; {outcome}")


def evaluate_fitted(site: Site, fitted: Fitted, selection: Selection) -> Evaluated:
    """Validation and test metrics of the model, and test metrics of seasonal naive; logged."""
    model, problem, progress = fitted.model, fitted.problem, site.context.progress
    config = fitted.config.model_copy(update={"trainer": selection.settings})
    validation = score_split(model, problem, config, "validation", progress)
    # the samples of a point model are made of its errors on validation
    errors = calibration(model, problem, _calibration(fitted, selection))
    model = in_service(model, errors, problem_shape(problem))
    test = score_split(model, problem, config, "test", progress)
    naive = score_naive(model, problem, config.trainer)
    own = score_own(model, problem, config.trainer)
    progress.skip("scoring")
    metrics = {
        **{f"val/{name}": value for name, value in validation.pooled().items()},
        **{f"test/{name}": value for name, value in test.pooled().items()},
        "train_seconds": fitted.seconds,
    }
    if own is not None:
        metrics |= {f"test/own_forecast/{name}": own.pooled()[name] for name in ("mae", "mse")}
        site.context.notify(summary.beside_own(metrics))
    baseline = {f"test/{k}": v for k, v in naive.pooled().items() if not k.endswith("windows")}
    both = None
    if test.samples is not None and naive.samples is not None:
        both = (test.samples, naive.samples)
    found = judge(problem, problem.windows("test"), test.point, naive.point, both)
    by_series = summary.coverage_by_series(problem.table, (test.samples or test.point).totals)
    evaluated = Evaluated(
        fitted,
        selection,
        errors,
        metrics,
        test.by_lead(),
        baseline,
        found,
        by_series,
        summary.mase_by_series(problem.table, test.point.totals),
    )
    _log_evaluation(site, evaluated)
    return evaluated


def _calibration(fitted: Fitted, selection: Selection) -> TrainerConfig:
    """How many windows give the errors that intervals and samples are made of.

    Those of a point forecast cost little, so that no limit of time changes them.
    """
    return fitted.config.trainer if fitted.model.distribution == "none" else selection.settings


def _selection(site: Site, fitted: Fitted) -> Selection:
    """The windows to score: as configured for a named data set, whose figures are compared, else no
    more than fit into the time of the training, or into the limit of time.
    """
    model, problem, config = fitted.model, fitted.problem, fitted.config
    limit, named = site.clock.limit, config.data.dataset is not None
    limited = limit is not None and not limit.suspends
    if named and not limited:
        return Selection(config.trainer)
    budget = site.clock.scoring(fitted.seconds, limited and (named or bool(site.asked)))
    found = selected(
        model, problem, config.trainer, () if limited else site.asked, budget, wanted(config)
    )
    if found.note is not None:
        site.context.notify(found.note)
    return found


def _log_evaluation(site: Site, evaluated: Evaluated) -> None:
    baseline = {
        name.replace("test/", "test/seasonal_naive/"): value
        for name, value in evaluated.baseline.items()
    }
    site.run.metrics(evaluated.metrics)
    site.run.metrics({**baseline, **evaluated.verdict.metrics})
    site.run.tags({"verdict": evaluated.verdict.text})
    horizon = evaluated.fitted.config.data.horizon
    frames = {"by_lead": pd.DataFrame({"lead": range(1, horizon + 1), **evaluated.leads})}
    model, problem = evaluated.fitted.model, evaluated.fitted.problem
    windows = problem.windows("test")
    effects = effects_of(model, problem, windows, torch.arange(len(windows)))
    if len(effects):
        frames["effects"] = effects
    if evaluated.fitted.leaderboard:
        frames["leaderboard"] = pd.DataFrame(map(asdict, evaluated.fitted.leaderboard))

    def write(folder: Path) -> None:
        (folder / "evaluation").mkdir()
        for name, frame in frames.items():
            frame.to_csv(folder / "evaluation" / f"{name}.csv", index=False)

    site.context.tracker.log_files(site.run, write)


def _refit(site: Site, evaluated: Evaluated) -> InService:
    """Train the model that is saved on all rows, if configured."""
    fitted = evaluated.fitted
    config, problem = fitted.config, fitted.problem
    if not wanted(config):
        return InService(evaluated, None, None)
    site.context.progress.skip("refit")
    stopwatch = Stopwatch(site.checkpoints / "refit_seconds")

    def report(losses: Mapping[str, float], epoch: int) -> None:
        site.run.metrics(losses, epoch)
        stopwatch.save()

    progress, limit = site.context.progress, site.clock.refit()
    held_out, folder = fitted.model, fitted.checkpoints
    refitted = refit_model(held_out, config, problem, folder, report, progress, limit)
    if refitted.stopped:
        _tell_stopped(site, refitted.stopped, "saved is the model that was scored, not a refit")
        return InService(evaluated, None, None)
    if on_cuda(config.trainer):
        refitted.model.to("cuda")
    until = problem.on_all_rows().learnt_until()
    site.run.metrics({"refit_seconds": stopwatch.seconds()})
    last = problem.table.clock.said(pd.Timestamp(max(until.values())))
    site.run.tags({"trained_until": last, **_steps(refitted)})
    return InService(evaluated, refitted, until)


def _steps(refitted: Refitted) -> dict[str, str]:
    """The steps of the stages as tags, the model's own last."""
    return {
        "held_out_steps": ", ".join(map(str, refitted.held_out_steps)),
        "refit_steps": ", ".join(map(str, refitted.steps)),
    }


def _store(site: Site, service: InService) -> Stored:
    """Save the model in its folder, and reload it."""
    evaluated, refitted = service.evaluated, service.refitted
    fitted = evaluated.fitted
    config, model, problem = fitted.config, fitted.model, fitted.problem
    metadata = {
        "run_id": site.run.run_id or None,
        "data": problem.table.path,
        "digest": problem.table.digest,
        "metrics": evaluated.metrics,
        "seasonal_naive": evaluated.baseline,
        "verdict": evaluated.verdict.text,
        "skill": asdict(evaluated.verdict.skill),
        "decisions": problem.table.report.decisions,
        "code": code_version(),
        "learnt_until": problem.learnt_until(),
        "clock": problem.table.clock.to_json(),
        ERRORS: evaluated.mase,
    }
    errors, scored = evaluated.errors, None
    if refitted is not None:
        settings = _calibration(fitted, evaluated.selection)
        metadata |= {"trained_until": service.trained_until, **_steps(refitted)}
        model, scored = refitted.model, (model, errors)
        errors = errors_after(errors, model, problem, settings)
    with whole_folder(site.folder) as partial:
        save_model(partial, config, model, problem, errors, metadata, scored)
    site.context.tracker.remember(site.run.run_id, site.folder)
    return Stored(service, load_model(site.folder, trust_code=True))


def _log(site: Site, stored: Stored) -> TrainingResult:
    """Log the model and a forecast past the end of the data; register the model if requested."""
    model_id = _log_model(site, stored)
    site.context.tracker.log_files(site.run, lambda folder: _write_forecast(site, stored, folder))
    service = stored.service
    evaluated, learnt_until = service.evaluated, service.evaluated.fitted.problem.learnt_until()
    site.run.tags({description.TAG: _described(site, service)})
    version = _register(site.registered_name, model_id, site.run.run_id)
    return TrainingResult(
        site.run.run_id,
        site.folder,
        evaluated.metrics,
        evaluated.baseline,
        evaluated.verdict,
        evaluated.by_series,
        learnt_until,
        service.trained_until,
        evaluated.fitted.problem.table.clock,
        version,
        evaluated.fitted.leaderboard,
    )


def _last(until: Mapping[str, str], clock: FileClock) -> str:
    """The last of the series' times, and the first if it is another, without a time of day that all
    lack.
    """
    first, last = (
        clock.said(pd.Timestamp(end(until.values()))).removesuffix(" 00:00:00")
        for end in (min, max)
    )
    return last if first == last else f"{last}, the earliest series until {first}"


def _described(site: Site, service: InService) -> str:
    evaluated = service.evaluated
    problem, text = evaluated.fitted.problem, evaluated.verdict.text
    columns = summary.training_columns(evaluated.metrics, evaluated.baseline)
    learnt = _last(problem.learnt_until(), problem.table.clock)
    fitted = f"trained and chosen on the rows until {learnt}, scored on those after that"
    if service.trained_until is not None:
        until = _last(service.trained_until, problem.table.clock)
        fitted += f"; the saved model was then trained on all rows, until {until}"
    rows = summary.metric_rows(columns)
    return description.describe(problem, site.run.run_id, text, rows, fitted)


def _log_model(site: Site, stored: Stored) -> str | None:
    """Log the model and return its id.

    If the store is unreachable, the folder is added to the unsent files, and None returned.
    """
    table = stored.service.evaluated.fitted.problem.table
    try:
        if site.run.available():
            return site.context.tracker.log_model(stored.saved, table)
        reason = "the tracking store does not answer"
    except UserError as error:
        reason = str(error)
    site.context.notify(f"note: {reason}; the model is saved, and logged as plain files")
    site.run.folder(site.folder, "model")
    return None


def _write_forecast(site: Site, stored: Stored, folder: Path) -> None:
    """Write the forecast past the end of the data, its plot, and the recent history."""
    fitted, saved = stored.service.evaluated.fitted, stored.saved
    table, series = fitted.problem.table, len(fitted.problem.table.series)
    request = PredictionRequest(
        default_mode(saved), quantiles=LEVELS, seed=fitted.config.trainer.seed
    )
    a_sample = stored.service.evaluated.selection.a_sample or 0.0
    for samples in (samples_of(saved, request.samples, series), request.samples):
        seconds = series * samples * a_sample
        if seconds <= site.clock.forecasting(fitted.seconds):
            break
    else:
        site.context.notify(
            f"no forecast plot: it would take about {in_words(seconds)}; forecast writes one"
        )
        return
    try:
        asked = replace(request, samples=samples)
        forecast = forecast_series(saved, table, asked, paths=False)
    except UserError as error:
        site.context.notify(f"no forecast plot: {error}")
        return
    rows = forecast.frame.dropna(subset=["mean"])  # of series that are skipped
    for name in ("plots", "forecasts"):
        (folder / name).mkdir()
    drawn = picture(forecast)
    write_picture(folder / "plots" / "forecast.png", drawn)
    tables = {"forecast": rows, "history": history_of(forecast, drawn)}
    for name, frame in tables.items():
        with TableWriter(folder / "forecasts" / f"{name}.csv", ".csv") as writer:
            writer.write(frame)


def _register(name: str | None, model_id: str | None, run_id: str) -> int | None:
    if name is None:
        return None
    if model_id is None:
        raise UserError(
            f"--register {name}: the tracking store is away, so it was not registered; train again"
        )
    return registry.register(name, model_id, run_id)


def log_start(site: Site, config: Config, problem: Problem) -> None:
    """Log parameters, data and versions before the training."""
    run, table = site.run, problem.table
    seasons = {"season": problem.season, "seasons": ", ".join(map(str, problem.seasons))}
    refitted = {"refit": "all" if wanted(config) else "none"}
    run.parameters({**labels.parameters(config, table.digest), **seasons, **refitted})
    name, source = labels.dataset_name(problem), labels.data_source(problem)
    run.dataset(name, table.digest, source, table.names, "training")
    contents = {
        "data.json": {**table.report.facts, "decisions": table.report.decisions},
        "versions.json": {**versions(), "code": code_version()},
    }

    def write(folder: Path) -> None:
        (folder / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        for name, content in contents.items():
            (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")

    site.context.tracker.log_files(run, write)
