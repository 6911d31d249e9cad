"""The one Lightning module, the Trainer and its callbacks: a model and its windows → trained weights.

A fit can be killed at any moment and continued: every epoch draws its order from (seed, epoch) alone, every step its
noise from (seed, step), and each epoch's end leaves a whole checkpoint.
"""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

from forecaster.config import TrainerConfig
from forecaster.data.windows import Batch, WindowData
from forecaster.errors import UserError
from forecaster.models import Forecaster
from forecaster.progress import ProgressLines

EpochMetrics = Callable[[dict[str, float], int], None]


class Training(pl.LightningModule):
    """Any forecaster under Lightning: its loss to train on, its score to stop by, Adam."""

    def __init__(self, model: Forecaster, config: TrainerConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The model's loss."""
        loss: Tensor = self.model.loss(batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The model's score."""
        self.log("val/loss", self.model.score(batch), batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay (none by default), over what is not frozen."""
        free = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.AdamW(free, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)


class _StepSeed(pl.Callback):
    """Every step's random numbers follow from the seed and the step's number, so a resumed step draws the same.

    An epoch's start would not do: a run that is resumed at the end of an epoch enters the next one without that hook.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        torch.manual_seed(self.seed * 1_000_003 + 7919 * trainer.global_step)


class _Report(pl.Callback):
    """Hands each epoch's losses on, to be tracked."""

    def __init__(self, report: EpochMetrics, prefix: str) -> None:
        self.report, self.prefix = report, prefix

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {k: float(v) for k, v in trainer.callback_metrics.items() if k in {"train/loss", "val/loss"}}
        self.report({self.prefix + name: value for name, value in losses.items()}, trainer.current_epoch + 1)


class _AtomicCheckpoints(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, whenever the process is killed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        partial = f"{path}.part"
        super().save_checkpoint(checkpoint, partial, storage_options)
        Path(partial).replace(path)


def quiet_libraries() -> None:
    """No banners and tips of the libraries in the output; warnings of our own code stay."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch|gluonts|mlflow)(\.|$)")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def fit(
    model: Forecaster, data: WindowData, config: TrainerConfig, folder: Path, report: EpochMetrics | None = None
) -> None:
    """Train the model's stages one after another, then what of it is not frozen; the best validated weights stay in it.

    After each stage it takes from the data what it needs beside its weights, such as residuals.

    ``folder`` keeps the checkpoints. What it already holds is continued from, exactly.
    """
    quiet_libraries()
    stages = [*model.stages(), model]
    for number, stage in enumerate(stages):
        if any(p.requires_grad for p in stage.parameters()):
            prefix = "" if stage is model else "prior/"
            settings = config if stage is model else _stage_settings(config)
            _fit_stage(stage, data, settings, folder / f"stage{number}", report, prefix)
            stage.requires_grad_(False)
        stage.eval()
        stage.finish(data.train, data.validation)


def _stage_settings(config: TrainerConfig) -> TrainerConfig:
    """The budget of a part that is trained first."""
    rate = config.learning_rate if config.stage_learning_rate is None else config.stage_learning_rate
    budget = {"max_epochs": config.stage_epochs, "max_steps": -1, "epoch_batches": None, "learning_rate": rate}
    return config.model_copy(update=budget)


def compute_device(config: TrainerConfig) -> torch.device:
    """Where a configuration computes."""
    return torch.device("cuda" if torch.cuda.is_available() and config.accelerator != "cpu" else "cpu")


@torch.no_grad()
def validation_score(model: Forecaster, data: WindowData, device: torch.device) -> float:
    """The mean score over the validation windows, as each epoch's end gives it."""
    model.to(device).eval()
    total = sum(float(model.score(batch.to(device))) * len(batch) for batch in data.val_dataloader())
    model.train()
    return total / sum(len(batch) for batch in data.val_dataloader())


def make_trainer(config: TrainerConfig, folder: Path, batches: int, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """The Trainer: nothing is written but the checkpoints of ``callbacks``, nothing printed but theirs."""
    batches = min(batches, config.epoch_batches or batches)
    return pl.Trainer(
        accelerator=compute_device(config).type,
        devices=config.devices,
        precision=config.precision,
        max_epochs=config.max_epochs,
        max_steps=config.max_steps,
        limit_train_batches=min(batches, config.max_steps) if config.max_steps > 0 else batches,
        gradient_clip_val=config.gradient_clip or None,
        callbacks=list(callbacks),
        plugins=[_AtomicCheckpoints()],
        default_root_dir=folder,
        deterministic="warn",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _fit_stage(
    model: Forecaster, data: WindowData, config: TrainerConfig, folder: Path, report: EpochMetrics | None, prefix: str
) -> None:
    done = folder / "done.ckpt"
    if not done.is_file():
        start = {name: value.detach().clone() for name, value in model.state_dict().items()}
        start_score = validation_score(model, data, compute_device(config))
        keep = ModelCheckpoint(
            folder,
            "best",
            monitor="val/loss",
            save_last=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=False,
        )
        callbacks = [
            _StepSeed(config.seed),
            EarlyStopping("val/loss", patience=config.patience, check_on_train_epoch_end=False),
            keep,
            ProgressLines(prefix.rstrip("/") or "model"),
            *([_Report(report, prefix)] if report is not None else []),
        ]
        trainer = make_trainer(config, folder, len(data.train_dataloader()), callbacks)
        last = folder / "last.ckpt"
        try:
            trainer.fit(Training(model, config), data, ckpt_path=last if last.is_file() else None, weights_only=True)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from stop
        if not (folder / "best.ckpt").is_file():
            raise UserError("training diverged: no finite validation loss; lower trainer.learning_rate")
        best = keep.best_model_score
        if best is None or start_score <= float(best):
            print(f"{prefix}validation: no epoch is better than the start ({start_score:.5g}); kept it", file=sys.stderr)
            torch.save({"state_dict": start}, folder / "best.ckpt")
        (folder / "best.ckpt").replace(done)
    weights = torch.load(done, map_location="cpu", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
