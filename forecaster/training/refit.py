"""The training on all rows that follows a held-out one: as many steps, scaled to the windows.

A stage is trained for the steps of its best held-out weights, times the number of all windows over
that of the training windows; nothing is validated. Its own errors make the intervals, in the size
that those of the held-out model show to be out of sample. It can be killed and resumed as a fit
can (``fit``).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from forecaster.config.schema import Config
from forecaster.data.problem import Problem
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.io.atomic import write_together
from forecaster.models.base import Forecaster, Precursor
from forecaster.models.selected import selections
from forecaster.training import warm
from forecaster.training.data_module import WindowData
from forecaster.training.fit import (
    TERMINAL,
    EpochMetrics,
    Stage,
    Training,
    interruptible,
    last_of,
    make_trainer,
    new_model,
    stages_of,
    train_stages,
)
from forecaster.training.limit import Limit
from forecaster.training.progress import Monitor

# before the titles of the stages in the progress
NAME = "refit, "


@dataclass(frozen=True)
class Refitted:
    """A model trained on all rows, and the steps of its stages, those of the held-out one before.

    0 steps: the initial weights, a stage without weights, or one that was not selected.
    ``stopped``: the stages that a limit of time stopped before their last step.
    """

    model: Forecaster
    held_out_steps: tuple[int, ...]
    steps: tuple[int, ...]
    stopped: tuple[str, ...] = ()


def wanted(config: Config) -> bool:
    """Whether the configuration asks for a training on all rows: ``auto`` not for a data set."""
    return config.trainer.refit == "all" or (
        config.trainer.refit == "auto" and config.data.dataset is None
    )


def refit(
    held_out: Forecaster,
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
    name: str = NAME,
) -> Refitted:
    """Train a new model on all rows of a problem, after a fit with its checkpoints in ``folder``.

    The scaling remains that of the training rows. ``report`` gets losses named ``refit/…``;
    ``name`` goes before the stages' titles in the progress.
    """
    settings, train = config.trainer, problem.windows("train")
    everything = problem.on_all_rows().windows("train")
    before = _steps_of(held_out, config, folder)
    steps = scaled(before, len(everything) / len(train))
    parts = (train, problem.windows("validation"), problem.windows("test"))
    precursor = Precursor(copy.deepcopy(held_out).cpu(), *parts)
    data = WindowData(everything, everything, settings.batch_size, settings.seed, 1)
    model = new_model(config, problem)
    if warm.is_warm(folder):
        warm.start(model, folder)

    def send(losses: dict[str, float], epoch: int) -> None:
        if report is not None:
            report({f"refit/{name}": value for name, value in losses.items()}, epoch)

    course = _AllRows(data, steps, precursor)
    place = folder / "refit"
    stopped = train_stages(model, course, settings, place, send, progress, limit, name)
    return Refitted(model, before, steps, tuple(stopped))


def scaled(steps: Sequence[int], ratio: float) -> tuple[int, ...]:
    """The steps times ``ratio``, rounded; one at least where there were any."""
    return tuple(max(round(count * ratio), 1) if count else 0 for count in steps)


def _steps_of(model: Forecaster, config: Config, folder: Path) -> tuple[int, ...]:
    """The optimisation steps of each stage's weights, 0 for the initial ones and unused stages."""
    idle = [stage for _, selection in selections(model) for stage in selection.idle()]
    return tuple(
        int(torch.load(stage.done, map_location="cpu", weights_only=True).get("global_step", 0))
        if stage.done.is_file() and stage.model not in idle
        else 0
        for stage in stages_of(model, config.trainer, folder)
    )


class _Unscored(Training):
    """Its validation is empty: a mere place for the checkpoints of the epochs.

    From a checkpoint that is written at an epoch's end without one, Lightning resumes otherwise
    than it went on.
    """

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        pass


def _write(stage: Stage) -> None:
    content = {"state_dict": stage.model.state_dict()}
    stage.folder.mkdir(parents=True, exist_ok=True)  # there is no checkpoint of a part of an epoch
    write_together({stage.done: lambda path: torch.save(content, path)})


@dataclass(frozen=True)
class _AllRows:
    """Each stage is trained for its steps, and calibrated after the held-out one."""

    data: WindowData
    steps: tuple[int, ...]
    precursor: Precursor

    def train(self, stage: Stage, callbacks: list[pl.Callback], progress: Monitor) -> None:
        """Train for the steps, with a checkpoint at the end of each epoch."""
        steps, folder = self.steps[stage.number], stage.folder
        if steps == 0:  # every process writes the same file
            _write(stage)
            return
        checkpoints = ModelCheckpoint(
            folder, "last", enable_version_counter=False, save_on_train_epoch_end=False
        )
        batches = len(self.data.train_dataloader())
        trainer = make_trainer(stage.config, folder, batches, [*callbacks, checkpoints], steps)
        training = _Unscored(stage.model, stage.config)
        with interruptible():
            trainer.fit(training, self.data, ckpt_path=last_of(folder), weights_only=True)
        if not all(bool(p.isfinite().all()) for p in stage.model.parameters()):
            raise UserError(
                "the training on all rows diverged: a weight is not finite; lower "
                "trainer.learning_rate, or give --refit none"
            )
        if trainer.is_global_zero:
            _write(stage)
        trainer.strategy.barrier()

    def complete(self, model: Forecaster, number: int) -> None:
        """Calibrate the stage after the held-out one."""
        model.calibrate_after(self.precursor.stage(number))
