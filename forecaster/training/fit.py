"""The training of a model: each stage until its score on validation no longer improves."""

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.problem import Problem
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.size import build_model
from forecaster.training import warm
from forecaster.training.cross_fit import train_with_folds
from forecaster.training.data_module import WindowData
from forecaster.training.limit import Limit
from forecaster.training.patience import Patience
from forecaster.training.progress import Monitor
from forecaster.training.stages import (
    TERMINAL,
    EpochMetrics,
    Stage,
    Training,
    interruptible,
    last_of,
    make_trainer,
)


def new_model(config: Config, problem: Problem) -> Forecaster:
    """The configured model for this data, its weights initialised from ``trainer.seed``."""
    torch.manual_seed(config.trainer.seed)
    return build_model(config.model, problem_shape(problem))


def window_data(config: Config, problem: Problem) -> WindowData:
    """The training and validation windows of a fit."""
    settings = config.trainer
    return WindowData(
        problem.windows("train"),
        problem.windows("validation"),
        settings.batch_size,
        settings.seed,
        settings.validation_windows,
    )


def fit(
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
    name: str = "",
    count: int | None = None,
) -> list[str]:
    """Train the model's stages in order, then its remaining weights; the model is changed in place.

    Each stage ends with the weights of its best validation score, and is then calibrated on the
    data, for example with residuals. ``folder`` is where the checkpoints are stored; a fit that it
    holds is resumed exactly. ``report`` gets the losses of each epoch. ``name`` goes before the
    stages' titles in the progress; ``count``: only so many stages, the model itself the last.
    Returns the stages that ``limit`` stopped, in words.
    """
    course, begun = _Validated(data, config.calibrate), warm.is_warm(folder)
    return train_with_folds(
        model, course, config, folder, report, progress, limit, name, count, begun
    )


@dataclass(frozen=True)
class _Validated:
    """Each stage ends with the weights of its best validation score, and is then calibrated."""

    data: WindowData
    calibrates: bool = False
    steps = None

    def train(self, stage: Stage, callbacks: list[pl.Callback], progress: Monitor) -> None:
        """Train until the validation score no longer improves, and select the best weights."""
        folder, data = stage.folder, self.data
        start = {name: value.detach().clone() for name, value in stage.model.state_dict().items()}
        checkpoints = ModelCheckpoint(
            folder,
            "best",
            monitor="val/loss",
            save_last=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=False,
        )
        averaged = bool(stage.config.weight_average)
        stopping = Patience("val/loss", stage.config.patience, averaged)
        trainer = make_trainer(
            stage.config, folder, len(data.train_dataloader()), [stopping, checkpoints, *callbacks]
        )
        training = Training(stage.model, stage.config)
        with interruptible():
            [initial] = trainer.validate(training, data, verbose=False)
            trainer.fit(training, data, ckpt_path=last_of(folder), weights_only=True)
        best, score = folder / "best.ckpt", checkpoints.best_model_score
        if trainer.is_global_zero and score is not None and score.isfinite():
            if initial["val/loss"] <= float(score):
                progress.say(
                    f"{stage.title}: no epoch is better than the initial weights on validation; "
                    "using these"
                )
                torch.save({"state_dict": start}, best)
            best.replace(stage.done)
        trainer.strategy.barrier()
        if not stage.done.is_file():
            raise UserError(
                "training diverged: no finite validation loss; lower trainer.learning_rate"
            )

    def complete(self, model: Forecaster, number: int) -> None:
        """Calibrate the stage on the data, and a network's steps before its samples."""
        if self.calibrates:
            model.calibrate_steps(self.data.validation)
        model.calibrate(self.data.train, self.data.validation)
