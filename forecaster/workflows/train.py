"""``train``: train, evaluate and save a model, as one tracked run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from forecaster.config.load import check_config
from forecaster.config.parts import Trust, custom_names
from forecaster.config.schema import Config, DataConfig, TrainerConfig
from forecaster.data.doubtful import doubts
from forecaster.data.files.containers import split_name
from forecaster.data.problem import Problem, load_problem, load_table
from forecaster.data.reading import RawTable
from forecaster.data.report import briefly
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.io.atomic import check_model_folder
from forecaster.models.ensemble import EnsembleConfig
from forecaster.serving import registry
from forecaster.tracking import labels
from forecaster.training import warm
from forecaster.training.limit import Limit, limit_of
from forecaster.training.progress import Stopwatch
from forecaster.training.refit import wanted
from forecaster.training.stages import on_cuda
from forecaster.workflows.run_context import COMMAND_LINE, RunContext
from forecaster.workflows.settle import settle, settle_width
from forecaster.workflows.tracking_target import Run
from forecaster.workflows.train_bounds import SETTINGS
from forecaster.workflows.train_clock import Clock
from forecaster.workflows.train_job import FILE, Job, find_job
from forecaster.workflows.train_steps import Site, TrainingResult, log_start, run_steps

__all__ = ["TrainOptions", "TrainingResult", "check_devices", "resume", "train"]


@dataclass(frozen=True)
class TrainOptions:
    """The options of a training.

    ``output``: the folder of the saved model. ``parent``: the id of a parent run; ``tags``:
    additional ones; ``registered_name``: the name to register the model by. ``source``: cells in
    memory instead of the configuration's file, or what was read from that already. ``limit``: of
    the time for all of it. ``asked``: the configuration keys that the user set, beyond a preset.
    ``earlier``: a model to begin with, if it has not learnt from rows that are held out here.
    Without ``run_name`` a run is called by the ``preset``, its data, the horizon, and the
    ``changes`` to the preset.
    """

    config: Config
    experiment: str
    run_name: str | None
    output: Path | None
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    registered_name: str | None = None
    source: RawTable | Table | None = None
    limit: Limit | None = None
    asked: tuple[str, ...] = ()
    preset: str | None = None
    changes: tuple[str, ...] = ()
    earlier: SavedModel | None = None


def train(options: TrainOptions, context: RunContext = COMMAND_LINE) -> TrainingResult:
    """Train, evaluate, save and track a model."""
    if options.registered_name is not None:
        registry.check_name(options.registered_name)
    if options.output is not None:
        data = options.config.data
        files = (each for each in (data.csv, data.static_file) if each is not None)
        check_model_folder(options.output, *(Path(split_name(each)[0]) for each in files))
    check_devices(options.config.trainer)
    _check_parts(options.config)
    table = _table(options.config.data, options.source)
    read = [] if options.parent else list(table.report.decisions)
    config, decisions = settle(options.config, table)
    if not options.parent:
        decisions += doubts(table, config.data)
    before = len(table.report.decisions)
    problem = load_problem(config.data, table)
    left_out = [] if options.parent else table.report.decisions[before:]
    config = config.model_copy(update={"data": problem.config})
    config, of_width = settle_width(config, problem, options.asked)
    decisions += of_width
    context.tracker.check()
    for decision in briefly([*read, *decisions, *left_out]):
        context.notify(decision)
    name = options.run_name or _run_name(options, config, problem)
    with context.tracker.open(options.experiment, name, parent=options.parent) as run:
        run.tags(options.tags)
        job = _job(options, config, name, problem, decisions, run.run_id)
        run.save_unsent_beside(job.folder(context.tracker))
        run.tags({"preset": options.preset or labels.title(config)})
        with context.tracker.checkpoints(run.run_id) as checkpoints:
            (checkpoints / FILE).write_text(job.model_dump_json(indent=1), encoding="utf-8")
            site = _site(context, run, checkpoints, job, _clock(options.limit, config))
            log_start(site, config, problem)
            if options.earlier is not None:
                _start_warm(options.earlier, problem, site)
            return run_steps(site, config, problem)


def resume(
    reference: str,
    csv: str | None = None,
    context: RunContext = COMMAND_LINE,
    limit: Limit | None = None,
) -> TrainingResult:
    """Continue an interrupted training in its run; ``csv``: the new path of its file if moved.

    ``limit``: of the time from now; None: what is left of its own.
    """
    job = find_job(reference)
    config = check_config(job.config, f"run {job.run_id}", Trust(code=True))
    if csv is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"csv": csv})})
    check_devices(config.trainer)
    problem = _same_problem(job, config)
    tracker = context.tracker
    with (
        tracker.checkpoints(job.run_id) as checkpoints,
        tracker.open(job.experiment, job.run_name, job.run_id) as run,
    ):
        run.save_unsent_beside(job.folder(tracker))
        limit = limit or _rest(job, checkpoints)
        return run_steps(
            _site(context, run, checkpoints, job, _clock(limit, config)), config, problem
        )


def _clock(limit: Limit | None, config: Config) -> Clock:
    return Clock(limit, wanted(config), isinstance(config.model, EnsembleConfig))


def _start_warm(earlier: SavedModel, problem: Problem, site: Site) -> None:
    """Let the training begin with the weights of an earlier model, if these may be scored here."""
    if isinstance(earlier.config.model, EnsembleConfig):
        site.context.notify("note: no warm start: the members of an ensemble are trained anew")
        return
    scored = earlier.scored()
    until = {item: pd.Timestamp(text) for item, text in problem.learnt_until().items()}
    if any(item not in until or time > until[item] for item, time in scored.until().items()):
        site.context.notify(
            "note: no warm start: the earlier model has learnt from rows that are held out here"
        )
        return
    warm.keep(scored.core, site.checkpoints)


def _check_parts(config: Config) -> None:
    """Raise UserError for custom parts in files, which several processes cannot import."""
    names = custom_names(config.model.model_dump(mode="json"))
    files = [name for name in names if ".py:" in name]
    if files and config.trainer.devices > 1:
        raise UserError(
            f"--devices {config.trainer.devices}: {files[0]} is in a file, which other processes "
            f"cannot import; name it as {files[0].replace('.py:', ':', 1)}, or give --devices 1"
        )


def _table(config: DataConfig, source: RawTable | Table | None) -> Table:
    if source is None:
        return load_table(config)
    return source if isinstance(source, Table) else read_table(source, config.columns)


def _run_name(options: TrainOptions, config: Config, problem: Problem) -> str:
    preset, data = options.preset or labels.title(config), labels.dataset_name(problem)
    return " ".join([preset, data, str(config.data.horizon), *options.changes])


def _same_problem(job: Job, config: Config) -> Problem:
    """The unchanged data of an interrupted training."""
    if config.data.csv is None and config.data.dataset is None:
        raise UserError(
            f"--resume {job.run_id}: it was training on a frame in memory, which is gone; train "
            "again"
        )
    problem = load_problem(config.data)
    if problem.table.digest != job.digest:
        raise UserError(
            f"{problem.table.path}: not the file that run {job.run_id} was trained on (SHA-256 "
            "differs); "
            "put that file back, or train anew"
        )
    problem.table.report.decisions += job.decisions
    return problem


def _job(
    options: TrainOptions,
    config: Config,
    name: str,
    problem: Problem,
    decisions: Sequence[str],
    run_id: str,
) -> Job:
    return Job(
        config=config.model_dump(mode="json"),
        digest=problem.table.digest,
        decisions=tuple(decisions),
        experiment=options.experiment,
        run_name=name,
        run_id=run_id,
        output=str(options.output.resolve()) if options.output else None,
        registered_name=options.registered_name,
        time_limit=_own_limit(options.limit),
        asked=tuple(key for key in SETTINGS if key in options.asked),
    )


def _rest(job: Job, checkpoints: Path) -> Limit | None:
    """What is left of the limit of an interrupted training."""
    limit = limit_of(job.time_limit)
    return None if limit is None else limit.used(Stopwatch(checkpoints / "seconds").before)


def _own_limit(limit: Limit | None) -> float | None:
    """The seconds that also hold for a later process: none of a limit that suspends a training."""
    return None if limit is None or limit.suspends else limit.seconds


def _site(context: RunContext, run: Run, checkpoints: Path, job: Job, clock: Clock) -> Site:
    folder = job.folder(context.tracker)
    return Site(context, run, checkpoints, folder, job.registered_name, clock, job.asked)


def check_devices(settings: TrainerConfig) -> None:
    """Raise UserError for devices that are not available."""
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("--accelerator gpu: no CUDA device is available here; use cpu or auto")
    if on_cuda(settings) and settings.devices > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UserError(
            f"--devices {settings.devices}: the number of CUDA devices here is {count}; give "
            f"{count} at most, "
            "or --accelerator cpu"
        )
