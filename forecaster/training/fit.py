"""The one Lightning module, the Trainer and its callbacks: a model and its windows → trained
weights.

A fit can be killed at any moment and continued: every epoch draws its order from (seed, epoch)
alone, every step its noise from (seed, step, device), and each epoch's end leaves a whole
checkpoint.

On several devices the fit, and nothing else, runs in one process a device. Gradients and losses are
averaged over them; the checkpoints are what comes back.
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
    """Any forecaster under Lightning: its loss to train on, its score to stop by, Adam."""

    def __init__(self, model: Forecaster, config: TrainerConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The model's loss."""
        loss: Tensor = self.model.loss(batch)
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The model's score."""
        self.log("val/loss", self.model.score(batch), batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay (none by default), over what is not frozen."""
        free = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            free, lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )


class StepSeed(pl.Callback):
    """Every step's random numbers follow from seed, step and device alone, so a resumed step draws
    the same.

    An epoch's start would not do: a run that is resumed at the end of an epoch enters the next one
    without that hook.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Set the seed of this step."""
        torch.manual_seed(
            self.seed * 1_000_003 + 7919 * trainer.global_step + 104_729 * trainer.global_rank
        )


class _Report(pl.Callback):
    """Hands each epoch's losses on, to be tracked: ``val/loss``, and ``val/loss_prior1`` of a part
    trained first.
    """

    def __init__(self, report: EpochMetrics, part: str) -> None:
        self.report, self.suffix = report, f"_{part}" if part else ""

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
    """A checkpoint appears whole or not at all, whenever the process is killed."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        partial = f"{path}.part"
        super().save_checkpoint(checkpoint, partial, storage_options)
        Path(partial).replace(path)


def quiet_libraries() -> None:
    """No banners and tips of the libraries in the output; warnings of our own code stay."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch|gluonts|mlflow)(\.|$)")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of the processes that a fit starts


def new_model(config: Config, problem: Problem) -> Forecaster:
    """The configured model for this data, its weights drawn by the seed alone."""
    torch.manual_seed(config.trainer.seed)
    data, season = config.data, problem.table.interval.season
    model = build(config.model, Shape(problem.channels, data.lookback, data.horizon, season))
    assert isinstance(model, Forecaster)
    return model


def window_data(config: Config, problem: Problem) -> WindowData:
    """The windows that a fit learns from and those it validates on."""
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
    """Train the model's stages one after another, then what of it is not frozen; the best validated
    weights stay in it.

    After each stage it takes from the data what it needs beside its weights, such as residuals.

    ``folder`` keeps the checkpoints. What it already holds is continued from, exactly.
    """
    quiet_libraries()
    if config.devices > 1 and any(p.requires_grad for p in model.parameters()):
        listen = report if report is not None else (lambda losses, epoch: None)
        backend = "nccl" if on_cuda(config) else "gloo"
        try:
            share = (model, data, config, folder, progress)
            run_in_group(config.devices, backend, _fit_share, share, listen)
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
    """One device's part of the fit, in a process of its own."""
    quiet_libraries()
    data.use_share(Share(rank, config.devices))
    own = copy.deepcopy(model)  # what the processes were given is one memory
    _fit_stages(own, data, config, folder, send, progress)


def _fit_stages(
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
) -> None:
    """What is done already is only loaded: for the parent of several processes that is
    everything.
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
    """The budget of a part that is trained first."""
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
    """Whether a CUDA device is to be used, and is there."""
    return config.accelerator != "cpu" and torch.cuda.is_available()


def make_trainer(
    config: TrainerConfig, folder: Path, batches: int, callbacks: Sequence[pl.Callback]
) -> pl.Trainer:
    """The Trainer: nothing is written but the checkpoints of ``callbacks``, nothing printed but
    theirs.
    """
    batches, epochs = min(batches, config.epoch_batches or batches), config.max_epochs
    if config.max_steps is not None:
        batches = min(batches, config.max_steps)
        epochs = min(
            epochs, -(-config.max_steps // batches)
        )  # it is at an epoch's end that validation looks
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
        keep = ModelCheckpoint(
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
            keep,
        ]
        if data.share.rank == 0:
            callbacks += progress.callbacks(prefix.rstrip("/") or "model")
            callbacks += [_Report(report, prefix.rstrip("/"))] if report is not None else []
        trainer = make_trainer(config, folder, len(data.train_dataloader()), callbacks)
        last, training = folder / "last.ckpt", Training(model, config)
        try:
            [begun] = trainer.validate(training, data, verbose=False)
            trainer.fit(
                training, data, ckpt_path=last if last.is_file() else None, weights_only=True
            )
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from stop
        best, score = folder / "best.ckpt", keep.best_model_score
        if trainer.is_global_zero and score is not None and score.isfinite():
            if begun["val/loss"] <= float(score):
                progress.say(f"{prefix}validation: no epoch is better than the start; kept it")
                torch.save({"state_dict": start}, best)
            best.replace(done)
        trainer.strategy.barrier()
        if not done.is_file():
            raise UserError(
                "training diverged: no finite validation loss; lower trainer.learning_rate"
            )
    weights = torch.load(done, map_location="cpu", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
