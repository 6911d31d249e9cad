"""Training: the one Lightning module, the Trainer and its callbacks.

A fit can be killed at any moment and resumed: the order of an epoch is a function of (seed, epoch),
the random numbers of a step one of (seed, step, device), and each epoch's end writes a checkpoint,
atomically.

On several devices the fit, and nothing else, runs in one process a device. Gradients and losses are
averaged over them; the parent loads the resulting checkpoints.
"""

import copy
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from forecaster.config.parts import build
from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.problem import Problem
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, Shape
from forecaster.training.data_module import Share, WindowData
from forecaster.training.distributed import run_in_group
from forecaster.training.progress import Monitor, Terminal, tidy_terminal

EpochMetrics = Callable[[dict[str, float], int], None]
TERMINAL: Monitor = Terminal()


class Training(pl.LightningModule):
    """Any forecaster under Lightning: trained on its loss, stopped early by its score, AdamW."""

    def __init__(self, model: Forecaster, config: TrainerConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss: Tensor = self.model.loss(batch)
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val/loss", self.model.score(batch), batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the weights that are not frozen; the weight decay is 0 by default."""
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            trainable, lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )


class StepSeed(pl.Callback):
    """Seeds every step from (seed, step, device), so that a resumed step draws the same numbers.

    Seeding at an epoch's start would not suffice: a run that is resumed at the end of an epoch
    enters the next one without that hook.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        torch.manual_seed(
            self.seed * 1_000_003 + 7919 * trainer.global_step + 104_729 * trainer.global_rank
        )


class _EpochLosses(pl.Callback):
    """Passes each epoch's losses to ``report``: ``val/loss``, or ``val/loss_prior1`` of a stage."""

    def __init__(self, report: EpochMetrics, stage: str) -> None:
        self.report, self.suffix = report, f"_{stage}" if stage else ""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {
            k: float(v)
            for k, v in trainer.callback_metrics.items()
            if k in {"train/loss", "val/loss"}
        }
        self.report(
            {name + self.suffix: value for name, value in losses.items()}, trainer.current_epoch + 1
        )


class _AtomicCheckpoints(TorchCheckpointIO):
    """Writes checkpoints atomically: a killed process leaves none incomplete."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        partial = f"{path}.part"
        super().save_checkpoint(checkpoint, partial, storage_options)
        Path(partial).replace(path)


def quiet_libraries() -> None:
    """Suppress the banners, tips and warnings of the libraries; this project's warnings remain."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch|gluonts|mlflow)(\.|$)")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of the processes that a fit starts


def new_model(config: Config, problem: Problem) -> Forecaster:
    """The configured model for this data, its weights initialised from ``trainer.seed``."""
    torch.manual_seed(config.trainer.seed)
    data, season = config.data, problem.table.interval.season
    model = build(
        config.model,
        Shape(
            problem.channels, data.lookback, data.horizon, season, series=len(problem.table.series)
        ),
    )
    assert isinstance(model, Forecaster)
    return model


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
) -> None:
    """Train the model's stages in order, then its remaining weights; the model is changed in place.

    Each stage ends with the weights of its best validation score, and is then calibrated on the
    data, for example with residuals. ``folder`` is where the checkpoints are stored; a fit that it
    holds is resumed exactly. ``report`` gets the losses of each epoch.
    """
    quiet_libraries()
    if config.devices > 1 and any(p.requires_grad for p in model.parameters()):
        receive = report if report is not None else (lambda losses, epoch: None)
        backend = "nccl" if on_cuda(config) else "gloo"
        try:
            share = (model, data, config, folder, progress)
            run_in_group(config.devices, backend, _fit_share, share, receive)
        except BaseException:
            tidy_terminal()
            raise
    _fit_stages(model, data, config, folder, report, progress)
    model.eval()


def _fit_share(
    rank: int,
    send: EpochMetrics,
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    folder: Path,
    progress: Monitor,
) -> None:
    """One device's share of the fit, in a separate process."""
    quiet_libraries()
    data.use_share(Share(rank, config.devices))
    replica = copy.deepcopy(model)  # the processes share the memory of the one they are given
    _fit_stages(replica, data, config, folder, send, progress)


def _fit_stages(
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
) -> None:
    """Fit and calibrate each stage; those that a checkpoint completes are only loaded.

    For the parent of several processes these are all.
    """
    stages = [*model.stages(), model]
    for number, stage in enumerate(stages):
        if any(p.requires_grad for p in stage.parameters()):
            prefix = "" if stage is model else f"prior{number + 1}/"
            settings = config if stage is model else _stage_settings(config)
            _fit_stage(stage, data, settings, folder / f"stage{number}", report, progress, prefix)
            stage.requires_grad_(False)
        stage.eval()
        stage.calibrate(data.train, data.validation)


def _stage_settings(config: TrainerConfig) -> TrainerConfig:
    """The training budget of a stage, such as a prior."""
    rate = (
        config.learning_rate if config.stage_learning_rate is None else config.stage_learning_rate
    )
    budget = {
        "max_epochs": config.stage_epochs,
        "max_steps": None,
        "epoch_batches": None,
        "learning_rate": rate,
    }
    return config.model_copy(update=budget)


def on_cuda(config: TrainerConfig) -> bool:
    """Whether a CUDA device is available and not ruled out by ``accelerator: cpu``."""
    return config.accelerator != "cpu" and torch.cuda.is_available()


def make_trainer(
    config: TrainerConfig, folder: Path, batches: int, callbacks: Sequence[pl.Callback]
) -> pl.Trainer:
    """The Trainer, whose only files and output are those of ``callbacks``."""
    batches, epochs = min(batches, config.epoch_batches or batches), config.max_epochs
    if config.max_steps is not None:
        batches = min(batches, config.max_steps)
        epochs = min(epochs, -(-config.max_steps // batches))  # validation is at an epoch's end
    return pl.Trainer(
        accelerator="cuda" if on_cuda(config) else "cpu",
        devices=config.devices,
        strategy=DDPStrategy(broadcast_buffers=False, find_unused_parameters=True)
        if config.devices > 1
        else "auto",
        precision=config.precision,
        max_epochs=epochs,
        limit_train_batches=batches,
        gradient_clip_val=config.gradient_clip or None,
        callbacks=list(callbacks),
        plugins=[_AtomicCheckpoints(), *([LightningEnvironment()] if config.devices > 1 else [])],
        default_root_dir=folder,
        deterministic="warn",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _fit_stage(
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
    prefix: str,
) -> None:
    done = folder / "done.ckpt"
    if not done.is_file():
        start = {name: value.detach().clone() for name, value in model.state_dict().items()}
        checkpoints = ModelCheckpoint(
            folder,
            "best",
            monitor="val/loss",
            save_last=True,
            enable_version_counter=False,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=False,
        )
        callbacks: list[pl.Callback] = [
            StepSeed(config.seed),
            EarlyStopping("val/loss", patience=config.patience, check_on_train_epoch_end=False),
            checkpoints,
        ]
        if data.share.rank == 0:
            callbacks += progress.callbacks(prefix.rstrip("/") or "model")
            callbacks += [_EpochLosses(report, prefix.rstrip("/"))] if report is not None else []
        trainer = make_trainer(config, folder, len(data.train_dataloader()), callbacks)
        last, training = folder / "last.ckpt", Training(model, config)
        try:
            [initial] = trainer.validate(training, data, verbose=False)
            trainer.fit(
                training, data, ckpt_path=last if last.is_file() else None, weights_only=True
            )
        except SystemExit as stop:  # raised by Lightning on Ctrl-C
            raise KeyboardInterrupt from stop
        best, score = folder / "best.ckpt", checkpoints.best_model_score
        if trainer.is_global_zero and score is not None and score.isfinite():
            if initial["val/loss"] <= float(score):
                progress.say(
                    f"{prefix}validation: no epoch is better than the initial weights; using these"
                )
                torch.save({"state_dict": start}, best)
            best.replace(done)
        trainer.strategy.barrier()
        if not done.is_file():
            raise UserError(
                "training diverged: no finite validation loss; lower trainer.learning_rate"
            )
    weights = torch.load(done, map_location="cpu", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
