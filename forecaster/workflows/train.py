"""One training from the data to the saved model, as one tracked run."""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError

from forecaster.config.load import check_config, dump_config
from forecaster.config.schema import Config, TrainerConfig
from forecaster.config.sections import Section
from forecaster.data.problem import Problem, load_problem
from forecaster.data.splits import Part
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode, Scoring, score_seasonal_naive, score_windows
from forecaster.inference.predictor import PredictionRequest, forecast_table
from forecaster.inference.saved_model import load_model, save_model
from forecaster.io.atomic import check_folder, check_model_folder, exclusive_lock, whole_folder
from forecaster.io.tables import table_bytes
from forecaster.models.base import Forecaster
from forecaster.models.conformal import validation_errors
from forecaster.reporting.plots import plot_forecast, recent_history
from forecaster.serving import registry
from forecaster.tracking import labels, store
from forecaster.tracking import run as tracking
from forecaster.tracking.provenance import code_version, versions
from forecaster.training.fit import fit, new_model, on_cuda, window_data
from forecaster.training.progress import Stopwatch


class Job(Section):
    """What has to be known to go on with an interrupted training, beside its checkpoints."""

    config: dict[str, Any]
    digest: str
    experiment: str
    run_name: str | None
    run_id: str
    output: str | None
    registered_name: str | None = None


@dataclass(frozen=True)
class TrainingResult:
    """The end of a training. ``baseline``: seasonal naive's metrics on the same windows;
    ``version``: if registered.
    """

    run_id: str
    folder: Path
    metrics: dict[str, float]
    baseline: dict[str, float]
    version: int | None = None


def train(
    config: Config,
    experiment: str,
    run_name: str | None,
    output: Path | None,
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    register: str | None = None,
) -> TrainingResult:
    """Train, evaluate, save and track; as a part of the run ``parent``, with further tags, if there
    are any.

    ``register``: a name for the model, of which this becomes a version.
    """
    if register is not None:
        registry.check_name(register)
    if output is not None:
        check_model_folder(output)
    check_devices(config.trainer)
    problem = load_problem(config.data)
    for folder in (store.MODELS, store.CHECKPOINTS):
        check_folder(folder)
    with tracking.open_run(experiment, run_name, parent=parent) as run:
        run.tags(tags or {})
        job = Job(
            config=config.model_dump(mode="json"),
            digest=problem.table.digest,
            experiment=experiment,
            run_name=run_name,
            run_id=run.run_id,
            output=str(output.resolve()) if output else None,
            registered_name=register,
        )
        folder = store.CHECKPOINTS / run.run_id
        folder.mkdir()
        (folder / "job.json").write_text(job.model_dump_json(indent=1), encoding="utf-8")
        run.save_unsent_beside(_model_folder(job))
        with _alone(run.run_id):
            _log_start(run, config, problem)
            return _carry_out(run, job, config, problem)


def resume(reference: str, csv: str | None = None) -> TrainingResult:
    """Go on with an interrupted training, in its own run; ``csv``: where its file is by now, if it
    was moved.
    """
    job = _find_job(reference)
    config = check_config(job.config, f"run {job.run_id}")
    if csv is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"csv": csv})})
    check_devices(config.trainer)
    problem = load_problem(config.data)
    if problem.table.digest != job.digest:
        raise UserError(
            f"{problem.table.path}: not the file that run {job.run_id} was trained on (SHA-256 "
            "differs); "
            "put that file back, or train anew"
        )
    with _alone(job.run_id), tracking.open_run(job.experiment, job.run_name, job.run_id) as run:
        run.save_unsent_beside(_model_folder(job))
        return _carry_out(run, job, config, problem)


def _alone(run_id: str) -> AbstractContextManager[None]:
    """Meanwhile no other process trains in the run's folder of checkpoints."""
    refusal = f"run {run_id}: another process is training it; wait for its end, or stop it first"
    return exclusive_lock(store.CHECKPOINTS / run_id / "lock", refusal)


def _model_folder(job: Job) -> Path:
    return Path(job.output) if job.output else store.MODELS / job.run_id


def _find_job(reference: str) -> Job:
    """The interrupted training of a run id, ``runs:/ID``, its checkpoint folder, or ``latest``."""
    known = sorted(store.CHECKPOINTS.glob("*/job.json"), key=lambda p: p.stat().st_mtime)
    if reference == "latest":
        if not known:
            raise UserError(
                "--resume latest: no interrupted training; give the id of a run that did not end"
            )
        path = known[-1]
    else:
        name = reference.removeprefix("runs:/").split("/")[0]
        path = next(
            (p for p in known if p.parent.name == name or p.parent == Path(reference).resolve()),
            Path(),
        )
    if not path.is_file():
        raise UserError(
            f"--resume {reference}: no interrupted training of that name; see {store.CHECKPOINTS}"
        )
    try:
        return Job.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError) as error:
        raise UserError(f"{path}: damaged; train anew") from error


def check_devices(settings: TrainerConfig) -> None:
    """Refuse devices that are not here; processes on the CPU may be more than it has cores."""
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("--accelerator gpu: no CUDA device is available here; use cpu or auto")
    if on_cuda(settings) and settings.devices > torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise UserError(
            f"--devices {settings.devices}: the number of CUDA devices here is {there}; give "
            f"{there} at most, "
            "or --accelerator cpu"
        )


def _carry_out(run: tracking.Run, job: Job, config: Config, problem: Problem) -> TrainingResult:
    data, settings, model = config.data, config.trainer, new_model(config, problem)
    run.tags({"kind": "training", **labels.tags(config, problem, model), "code": code_version()})
    checkpoints = store.CHECKPOINTS / run.run_id
    stopwatch = Stopwatch(checkpoints / "seconds")

    def report(losses: Mapping[str, float], epoch: int) -> None:
        run.metrics(losses, epoch)
        stopwatch.save()

    fit(model, window_data(config, problem), settings, checkpoints, report)
    seconds = stopwatch.seconds()
    if on_cuda(settings):
        model.to("cuda")
    found, leads = final_metrics(model, problem, config)
    metrics = {**found, "train_seconds": seconds}
    baseline = _baseline(problem, settings.point_windows)
    run.metrics(metrics)
    run.metrics(
        {name.replace("test/", "test/seasonal_naive/"): value for name, value in baseline.items()}
    )
    folder = _model_folder(job)
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "by_lead.csv"
        pd.DataFrame({"lead": range(1, data.horizon + 1), **leads}).to_csv(
            table, index=False, float_format="%.8g"
        )
        run.file(table, "evaluation")
    model_id = _save(run, folder, config, model, problem, metrics)
    version = _register(job.registered_name, model_id, run.run_id)
    shutil.rmtree(checkpoints)
    return TrainingResult(run.run_id, folder, metrics, baseline, version)


def final_metrics(
    model: Forecaster, problem: Problem, config: Config
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Validation and test metrics: the point forecast and the samples, on as many windows as the
    configuration says.

    Second, those of the test by lead time (H).
    """
    settings = config.trainer
    metrics: dict[str, float] = {}
    leads: dict[str, list[float]] = {}
    parts: tuple[tuple[Part, str], ...] = (("validation", "val"), ("test", "test"))
    for part, prefix in parts:
        windows = problem.windows(part)
        point = score_windows(
            model, problem, windows, Scoring("point", limit=settings.point_windows)
        )
        found, leads = point.pooled(), point.totals.by_lead()
        if model.distribution != "none" and settings.score_windows:
            # quantiles cost one pass, so there all windows are scored
            limit = settings.score_windows if model.distribution == "samples" else None
            scoring = Scoring(
                "probabilistic", settings.score_samples, limit=limit, seed=settings.seed
            )
            drawn = score_windows(model, problem, windows, scoring)
            pooled = drawn.pooled()
            found |= {
                **pooled,
                "windows": found["windows"],
                "probabilistic_windows": pooled["windows"],
            }
            leads |= drawn.totals.by_lead()
        metrics |= {f"{prefix}/{name}": value for name, value in found.items()}
    return metrics, leads


def _baseline(problem: Problem, limit: int | None) -> dict[str, float]:
    found = score_seasonal_naive(problem, "test", Scoring("point", limit=limit)).pooled()
    return {f"test/{name}": value for name, value in found.items() if name != "windows"}


def _save(
    run: tracking.Run,
    folder: Path,
    config: Config,
    model: Forecaster,
    problem: Problem,
    metrics: Mapping[str, float],
) -> str | None:
    """The model to its folder and to the run, with a picture of its forecast past the end of the
    data; its id there.

    None where the store is away: the folder is then kept with what else is to be logged.
    """
    metadata = {
        "run_id": run.run_id,
        "data": problem.table.path,
        "digest": problem.table.digest,
        "metrics": dict(metrics),
        "decisions": problem.table.report.decisions,
        "code": code_version(),
        "learnt_until": problem.learnt_until(),
    }
    errors = validation_errors(model, problem.windows("validation"), config.trainer.point_windows)
    with whole_folder(folder) as partial:
        save_model(partial, config, model, problem, errors, metadata)
    saved = load_model(folder)
    try:
        model_id = registry.log_model(saved, problem.table)
    except UserError as error:
        print(f"note: {error}; the model is saved, and logged as plain files", file=sys.stderr)
        run.folder(folder, "model")
        model_id = None
    mode: Mode = "point" if model.distribution == "none" else "probabilistic"
    request = PredictionRequest(
        mode, quantiles=(0.05, 0.25, 0.5, 0.75, 0.95), seed=config.trainer.seed
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            forecast, _ = forecast_table(saved, problem.table, request)
        except UserError as error:
            print(f"no forecast plot: {error}", file=sys.stderr)
            return model_id
        picture = Path(scratch) / "forecast.png"
        plot_forecast(picture, problem.table, forecast, history=3 * config.data.horizon)
        run.file(picture, "plots")
        table = Path(scratch) / "forecast.csv"
        table.write_bytes(table_bytes(forecast, ".csv"))
        past = recent_history(problem.table, forecast, 3 * config.data.horizon)
        (Path(scratch) / "history.csv").write_bytes(table_bytes(past, ".csv"))
        for path in sorted(Path(scratch).glob("*.csv")):
            run.file(path, "forecasts")
    return model_id


def _register(name: str | None, model_id: str | None, run_id: str) -> int | None:
    if name is None:
        return None
    if model_id is None:
        raise UserError(
            f"--register {name}: the tracking store is away, so it was not registered; train again"
        )
    return registry.register(name, model_id, run_id)


def _log_start(run: tracking.Run, config: Config, problem: Problem) -> None:
    table = problem.table
    run.parameters({**labels.parameters(config, table.digest), "season": table.interval.season})
    run.dataset(
        labels.dataset_name(problem),
        table.digest,
        labels.data_source(problem),
        table.names,
        "training",
    )
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        contents = {
            "data.json": {**table.report.facts, "decisions": table.report.decisions},
            "versions.json": {**versions(), "code": code_version()},
        }
        for name, content in contents.items():
            (Path(scratch) / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
        for path in sorted(Path(scratch).iterdir()):
            run.file(path)
