"""``calibrate``: the mean errors of a saved diffusion model's network at the steps of its path,
taken out where that helps: saved model → calibrated model → scores → saved model, as one run.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecaster.config.schema import Config
from forecaster.data.files.containers import split_name
from forecaster.data.problem import Problem, load_problem, load_table
from forecaster.data.reading import RawTable
from forecaster.data.splits import PARTS
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.inference.locate import open_model
from forecaster.inference.saved_model import SavedModel
from forecaster.io.atomic import check_model_folder
from forecaster.models.base import Precursor
from forecaster.models.diffusion.calibration import StepShifts
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.reporting.summary import of_split
from forecaster.serving import registry
from forecaster.tracking import labels
from forecaster.tracking.provenance import code_version
from forecaster.training.plan import Part
from forecaster.training.refit import Refitted
from forecaster.workflows.run_context import COMMAND_LINE, RunContext
from forecaster.workflows.tracking_target import Run
from forecaster.workflows.train_bounds import Selection
from forecaster.workflows.train_clock import Clock
from forecaster.workflows.train_scores import score_split
from forecaster.workflows.train_steps import (
    Fitted,
    InService,
    Site,
    TrainingResult,
    evaluate_fitted,
    finish,
    log_shifts,
    log_start,
)


@dataclass(frozen=True)
class CalibrateOptions:
    """The options of the command ``calibrate``.

    ``csv``: the file of the training where it lies now, or cells in memory (None: where it was).
    ``output``: the folder of the calibrated model. ``registered_name``: to register it by.
    """

    reference: str
    csv: Path | RawTable | None = None
    output: Path | None = None
    registered_name: str | None = None
    experiment: str = "forecaster"
    run_name: str | None = None
    accelerator: str | None = None
    trust_code: bool = False


@dataclass(frozen=True)
class Calibration:
    """``trained``: the calibrated model, as of a training; None if no step's mean error is kept.

    ``before``: the metrics of the model as it was on the same test windows, without their prefix.
    """

    run_id: str
    shifts: StepShifts
    trained: TrainingResult | None
    before: dict[str, float]

    @property
    def outcome(self) -> str:
        """What was kept, in a sentence."""
        if self.trained is not None:
            return str(self.shifts)
        return (
            f"nothing is kept: at none of the {len(self.shifts.before)} steps does the network's "
            "mean error on earlier validation windows lower the squared error on later ones; the "
            "model stays as it is"
        )

    def by_step(self) -> list[dict[str, Any]]:
        """The mean squared error at each step, and whether the mean error is kept."""
        found = self.shifts
        columns = (found.before.tolist(), found.after.tolist(), found.kept.tolist())
        return [
            {"step": step, "before": before, "after": after, "kept": kept}
            for step, (before, after, kept) in enumerate(zip(*columns, strict=True), 1)
        ]


def calibrate_saved(options: CalibrateOptions, context: RunContext = COMMAND_LINE) -> Calibration:
    """Load the model, calibrate and score it, and save and track what became of it."""
    saved = open_model(options.reference, options.accelerator, options.trust_code)
    return calibrate(saved, options, context)


def calibrate(saved: SavedModel, options: CalibrateOptions, context: RunContext) -> Calibration:
    """``calibrate_saved`` for a loaded model, which is not changed."""
    if options.registered_name is not None:
        registry.check_name(options.registered_name)
    if options.output is not None:
        csv = saved.config.data.csv if options.csv is None else options.csv
        read = Path(split_name(csv)[0]) if isinstance(csv, str | Path) else None
        check_model_folder(options.output, read)
        if options.output.resolve() == saved.folder.resolve():
            raise UserError(
                f"--output {options.output}: is the given model itself, which stays as it is; "
                "choose another folder"
            )
    _check_walks(saved, options.reference)
    problem = _problem(saved, options)
    settings = saved.config.trainer.model_copy(update={"calibrate": True})
    config = saved.config.model_copy(update={"data": problem.config, "trainer": settings})
    context.tracker.check()
    with context.progress.overall([Part("calibration"), Part("scoring"), Part("saving")]):
        context.progress.start("calibration")
        before = saved.scored()
        model = _copy(before)
        if model.denoiser.shifts is not None:
            context.notify("it was calibrated already: the mean errors are measured anew")
        shifts = _measured(model, problem)
        name = options.run_name or f"calibrate {_title(config, problem)}"
        with context.tracker.open(options.experiment, name) as run:
            _log_measured(run, saved, options, shifts)
            if not bool(shifts.kept.any()):
                _log_nothing(run, config, problem, model)
                return Calibration(run.run_id, shifts, None, {})
            model.calibrate(problem.windows("train"), problem.windows("validation"))
            with context.tracker.checkpoints(run.run_id) as checkpoints:
                folder = options.output or context.tracker.model_folder(run.run_id)
                run.save_unsent_beside(folder)
                register = options.registered_name
                site = Site(context, run, checkpoints, folder, register, Clock())
                log_start(site, config, problem)
                run.tags({"kind": "training", **_tags(config, problem, model)})
                seconds = saved.metadata.get("metrics", {}).get("train_seconds", 0.0)
                fitted = Fitted(config, problem, model, seconds, checkpoints)
                selection = _as_scored(saved, problem)
                evaluated = evaluate_fitted(site, fitted, selection)
                scored = config.model_copy(update={"trainer": selection.settings})
                earlier = score_split(before.model, problem, scored, "test", context.progress)
                context.progress.skip("scoring")
                service = InService(evaluated, *_refitted(saved, model, problem))
                trained = finish(site, service)
    return Calibration(run.run_id, shifts, trained, earlier.pooled())


def _check_walks(saved: SavedModel, reference: str) -> None:
    if not isinstance(saved.core, Diffusion):
        raise UserError(
            f"{reference}: the network of a diffusion model is calibrated, at each step of its "
            f"path, and model '{saved.config.model.name}' is none; give another, as of: train s2dbm"
        )
    if saved.core.config.predicts == "end":
        raise UserError(
            f"{reference}: its network leads to the end of a path in one call, and has no mean "
            "errors at the steps; give another model, as of: train s2dbm"
        )


def _problem(saved: SavedModel, options: CalibrateOptions) -> Problem:
    """The rows that the model was trained on, split as they were."""
    data = saved.config.data
    if options.csv is None and data.csv is None and data.dataset is None:
        raise UserError(
            f"{options.reference}: trained on a frame in memory, which is not kept; in Python "
            "give it to model.calibrate(frame)"
        )
    if options.csv is None and data.csv is not None and not Path(split_name(data.csv)[0]).exists():
        raise UserError(
            f"{data.csv}: what {options.reference} was trained on is there no more; say where it "
            "is with --csv"
        )
    table = _table(saved, options.csv)
    if table.digest != saved.metadata.get("digest"):
        raise UserError(
            f"{table.path}: not what {options.reference} was trained on (SHA-256 differs), so that "
            "its validation rows are others; give that file with --csv, or train on this one: "
            f"retrain {options.reference} --csv {table.path} --set trainer.calibrate=true"
        )
    problem = load_problem(data, table, saved.scaling, saved.encoding)
    table.report.decisions[:] = saved.metadata.get("decisions", table.report.decisions)
    return problem


def _table(saved: SavedModel, source: Path | RawTable | None) -> Table:
    data = saved.config.data
    if isinstance(source, RawTable):
        return read_table(source, data.columns)
    if source is not None:
        data = data.model_copy(update={"csv": str(source), "dataset": None})
    return load_table(data)


def _copy(saved: SavedModel) -> Diffusion:
    model = copy.deepcopy(saved.core)
    assert isinstance(model, Diffusion)
    return model


def _measured(model: Diffusion, problem: Problem) -> StepShifts:
    """The mean errors at the steps, which the model is then without."""
    windows = problem.windows("validation")
    model.calibrate_steps(windows)
    if model.step_shifts is None:
        raise UserError(
            f"{problem.table.path}: its {len(windows)} validation windows are too few to measure a "
            "network's mean errors on the earlier and to try them on the later ones; train with "
            "more rows, or a shorter --horizon"
        )
    return model.step_shifts


def _title(config: Config, problem: Problem) -> str:
    return f"{labels.title(config)} {labels.dataset_name(problem)} {config.data.horizon}"


def _log_measured(
    run: Run, saved: SavedModel, options: CalibrateOptions, shifts: StepShifts
) -> None:
    earlier = saved.metadata.get("run_id")
    of = {} if earlier is None else {"calibrated_from": str(earlier)}
    run.tags({"calibrated": options.reference, **of, "preset": labels.title(saved.config)})
    log_shifts(run, "calibration", shifts)


def _tags(config: Config, problem: Problem, model: Diffusion) -> dict[str, str]:
    return {**labels.tags(config, problem, model), "code": code_version()}


def _log_nothing(run: Run, config: Config, problem: Problem, model: Diffusion) -> None:
    """A run without a model."""
    table = problem.table
    run.parameters(labels.parameters(config, table.digest))
    source = labels.data_source(problem)
    run.dataset(labels.dataset_name(problem), table.digest, source, table.names, "validation")
    run.tags({"kind": "calibration", **_tags(config, problem, model)})


def _as_scored(saved: SavedModel, problem: Problem) -> Selection:
    """As many windows as the training scored."""
    metrics, count = saved.metadata.get("metrics", {}), problem.count_windows("test")
    names = {"point_windows": "windows", "score_windows": "probabilistic_windows"}
    scored = {key: int(of_split(metrics, "test").get(name, count)) for key, name in names.items()}
    fewer = {key: found for key, found in scored.items() if found < count}
    return Selection(saved.config.trainer.model_copy(update=fewer))


def _refitted(
    saved: SavedModel, model: Diffusion, problem: Problem
) -> tuple[Refitted | None, dict[str, str] | None]:
    """The model that was then trained on all rows, with the mean errors of the one before it."""
    if "trained_until" not in saved.metadata:
        return None, None
    later = _copy(saved)
    later.calibrate_after(Precursor(model, *(problem.windows(part) for part in PARTS)))
    before, after = (_numbers(saved, key) for key in ("held_out_steps", "refit_steps"))
    return Refitted(later, before, after), dict(saved.metadata["trained_until"])


def _numbers(saved: SavedModel, key: str) -> tuple[int, ...]:
    """What ``metadata.json`` keeps as a text, parted by commas."""
    text = str(saved.metadata.get(key, ""))
    return tuple(int(part) for part in text.split(",") if part)
