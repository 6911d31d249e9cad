"""A training of each stage for a given number of steps; nothing is validated."""

from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.io.atomic import write_together
from forecaster.models.base import Forecaster, Precursor
from forecaster.training.data_module import WindowData
from forecaster.training.progress import Monitor
from forecaster.training.stages import Stage, Training, interruptible, last_of, make_trainer


def scaled(steps: Sequence[int], ratio: float) -> tuple[int, ...]:
    """The steps times ``ratio``, rounded; one at least where there were any."""
    return tuple(max(round(count * ratio), 1) if count else 0 for count in steps)


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
class ExactSteps:
    """Each stage is trained for its steps, and calibrated after one that was held out.

    ``name`` and ``remedy``: of the training, and what else may be done if it diverges.
    """

    data: WindowData
    steps: tuple[int, ...]
    precursor: Precursor
    name: str
    remedy: str

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
                f"{self.name} diverged: a weight is not finite; lower trainer.learning_rate, or "
                f"{self.remedy}"
            )
        if trainer.is_global_zero:
            _write(stage)
        trainer.strategy.barrier()

    def complete(self, model: Forecaster, number: int) -> None:
        """Calibrate the stage after the held-out one."""
        model.calibrate_after(self.precursor.stage(number))
