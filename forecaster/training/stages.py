"""The stages of a training: the one Lightning module, the Trainer and its callbacks.

A fit can be killed at any moment and resumed: the order of an epoch is a function of (seed, epoch),
the random numbers of a step one of (seed, step, device), and each epoch's end writes a checkpoint,
atomically.

On several devices the fit, and nothing else, runs in one process a device. Gradients and losses are
averaged over them; the parent loads the resulting checkpoints.

A limit of time is shared out among the stages. A stage that it stops is validated and ends, as any
other, with the best weights so far.
"""

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from forecaster.config.schema import TrainerConfig
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.adjusted import effect_weights
from forecaster.models.base import Forecaster
from forecaster.models.selected import selections
from forecaster.training.averaging import moving_average
from forecaster.training.data_module import Share, WindowData
from forecaster.training.distributed import run_in_group
from forecaster.training.limit import Limit, in_words
from forecaster.training.plan import Part
from forecaster.training.progress import Monitor, Terminal, Watch, tidy_terminal

EpochMetrics = Callable[[dict[str, float], int], None]
TERMINAL: Monitor = Terminal()
# the share of a limit of time that the model gets, in that of each stage before it
_MODEL_WEIGHT = 2
# how much faster the effects of covariates learn than a model, up to which rate
_EFFECTS_FASTER, _EFFECTS_RATE = 10, 0.003


class Training(pl.LightningModule):
    """Any forecaster under Lightning: trained on its loss, stopped early by its score, AdamW."""

    def __init__(self, model: Forecaster, config: TrainerConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        # of models that score each channel by itself: sums of a validation with what has been
        # learnt and without, and the latter of all its windows, which training does not change
        self._sums: dict[bool, Tensor] = {}
        self._without: Tensor | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss: Tensor = self.model.loss(batch)
        self.log(
            "train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True
        )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for learnt in (True, False) if self._without is None else (True,):
            found = self.model.channel_scores(batch, learnt)
            if found is None:
                score = self.model.score(batch)
                self.log("val/loss", score, batch_size=len(batch), sync_dist=True)
                return
            self._sums[learnt] = self._sums.get(learnt, torch.zeros_like(found)) + found

    def on_validation_epoch_end(self) -> None:
        """The mean over channels of the better score of each, with what it has learnt or without,
        over all devices.
        """
        if not self._sums:
            return
        totals = {
            learnt: self.trainer.strategy.reduce(sums, reduce_op="sum")
            for learnt, sums in self._sums.items()
        }
        self._sums = {}
        own, windows = totals[True]
        if self._without is None:
            self._without = totals[False][0]
        seen = windows > 0
        self.log("val/loss", (torch.minimum(own, self._without) / windows)[seen].mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the weights that are not frozen; the weight decay is 0 by default.

        Effects of covariates start at 0 and are of the size of the values, so they learn faster.
        """
        rate, trainable = self.config.learning_rate, dict[bool, list[nn.Parameter]]()
        faster = max(rate, min(_EFFECTS_FASTER * rate, _EFFECTS_RATE))
        effects = effect_weights(self.model)
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                trainable.setdefault(id(parameter) in effects, []).append(parameter)
        groups = [
            {"params": found, "lr": faster if of_effects else rate}
            for of_effects, found in trainable.items()
        ]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=self.config.weight_decay)


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
        # torch.manual_seed, which notes where it is called from, takes as long as a small step
        seed = self.seed * 1_000_003 + 7919 * trainer.global_step + 104_729 * trainer.global_rank
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)


class OutOfTimeError(UserError):
    """A training is suspended by a limit of time, and can be resumed."""


class _Stop(pl.Callback):
    """Stops a fit once no more time is left than its last validation took.

    ``record`` is the file that then says so. A limit that suspends ends the fit with
    ``OutOfTimeError``, after an epoch, whose checkpoint is written.
    """

    def __init__(self, limit: Limit, record: Path, title: str) -> None:
        self.limit, self.record, self.title = limit, record, title
        self._left, self._validation, self._trained = limit.left(), 0.0, False

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._left = self.limit.left()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validation = self._left - self.limit.left()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        self._trained = True
        if self.limit.suspends or self._at_end(trainer, batch_idx):
            return
        if trainer.strategy.broadcast(self.limit.over(self._validation)):
            trainer.should_stop = True
            where = f"{self.title} in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            if trainer.is_global_zero:
                self.record.parent.mkdir(parents=True, exist_ok=True)
                self.record.write_text(where, encoding="utf-8")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.limit.suspends or trainer.should_stop or self._at_end(trainer, -1):
            return
        if not self._trained:  # a resumed fit enters an epoch at its end
            return
        if trainer.strategy.broadcast(self.limit.over()):
            raise OutOfTimeError(f"time limit of {in_words(self.limit.seconds)}: suspended")

    def _at_end(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        last_batch = batch_idx in {-1, int(trainer.num_training_batches) - 1}
        last_step = trainer.global_step == trainer.max_steps
        return last_step or (last_batch and trainer.current_epoch + 1 == trainer.max_epochs)


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


@dataclass(frozen=True)
class Stage:
    """A part of a model that is trained by itself: its ``number``, settings and checkpoints.

    ``key`` is in the names of its losses ('' for the model itself); ``weight``: its share of a
    limit of time, 0 if it has no weights of its own.
    """

    model: Forecaster
    number: int
    config: TrainerConfig
    folder: Path
    title: str
    key: str
    weight: int

    @property
    def done(self) -> Path:
        """The checkpoint of the trained weights."""
        return self.folder / "done.ckpt"

    def load(self) -> None:
        """Load the trained weights."""
        weights = torch.load(self.done, map_location="cpu", weights_only=True)["state_dict"]
        self.model.load_state_dict(
            {name.removeprefix("model."): value for name, value in weights.items()}
        )


class Course(Protocol):
    """How each stage is trained on ``data``, and completed with what it needs besides weights."""

    @property
    def data(self) -> WindowData:
        """The windows that the stages are trained on."""

    @property
    def steps(self) -> Sequence[int] | None:
        """The exact number of steps of each stage, None for the configured budget."""

    def train(self, stage: Stage, callbacks: list[pl.Callback], progress: Monitor) -> None:
        """Train a stage up to its checkpoint ``done``."""

    def complete(self, model: Forecaster, number: int) -> None:
        """Complete a trained stage, for example with residuals."""


def train_stages(
    model: Forecaster,
    course: Course,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
    limit: Limit | None = None,
    name: str = "",
    count: int | None = None,
    first: int = 0,
) -> list[str]:
    """Train and complete the stages of a model, on several devices if configured.

    ``name`` goes before their titles in the progress; ``count``: only so many of them; ``first``:
    how many of these are complete already. Returns the stages that ``limit`` stopped.
    """
    quiet_libraries()
    work = _Work(course, config, folder, report, progress, limit, name, slice(first, count))
    with progress.overall(parts_of(model, course.data, config, name, course.steps, count), limit):
        if config.devices > 1 and any(p.requires_grad for p in model.parameters()):
            receive = report if report is not None else (lambda losses, epoch: None)
            backend = "nccl" if on_cuda(config) else "gloo"
            progress.hide()
            try:
                share = (model, replace(work, report=None))
                run_in_group(config.devices, backend, _train_share, share, receive)
            except BaseException:
                tidy_terminal()
                raise
        _train_stages(model, work)
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("stage*/stopped"))]


@dataclass(frozen=True)
class _Work:
    """The arguments of ``train_stages``."""

    course: Course
    config: TrainerConfig
    folder: Path
    report: EpochMetrics | None
    progress: Monitor
    limit: Limit | None
    name: str
    place: slice


def _train_share(rank: int, send: EpochMetrics, model: Forecaster, work: _Work) -> None:
    """One device's share of the training, in a separate process."""
    quiet_libraries()
    work.course.data.use_share(Share(rank, work.config.devices))
    replica = copy.deepcopy(model)  # the processes share the memory of the one they are given
    with work.progress.overall([]):
        _train_stages(replica, replace(work, report=send))


def _train_stages(model: Forecaster, work: _Work) -> None:
    """Train and complete each stage; those that a checkpoint completes are only loaded.

    For the parent of several processes these are all. A limit of time is shared out by the weights
    of the stages to come, so that what one leaves over goes to the others.
    """
    stages = stages_of(model, work.config, work.folder)[work.place]
    for place, stage in enumerate(stages):
        if stage.weight:
            if not stage.done.is_file():
                share = stage.weight / sum(other.weight for other in stages[place:])
                limit = None if work.limit is None else work.limit.share(share)
                callbacks = _callbacks(stage, replace(work, limit=limit))
                stage.model.prepare()
                work.course.data.use_batches(stage.config.epoch_batches)
                work.course.train(stage, callbacks, work.progress)
            work.progress.skip(work.name + stage.title)
            stage.load()
            stage.model.requires_grad_(False)
        stage.model.eval()
        work.course.complete(stage.model, stage.number)


def _callbacks(stage: Stage, work: _Work) -> list[pl.Callback]:
    """The seed of each step, the limit of time, and, of one process, what is told."""
    title = work.name + stage.title
    callbacks: list[pl.Callback] = [StepSeed(work.config.seed)]
    if stage.config.weight_average:
        average = moving_average(stage.config.weight_average)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    if work.limit is not None:
        callbacks.append(_Stop(work.limit, stage.folder / "stopped", title))
    if work.course.data.share.rank == 0:
        callbacks.append(Watch(work.progress, title))
        callbacks += [] if work.report is None else [_EpochLosses(work.report, stage.key)]
    return callbacks


def stages_of(model: Forecaster, config: TrainerConfig, folder: Path) -> list[Stage]:
    """The stages of a model with their settings, the model itself last."""
    parts, known = [*model.stages(), model], set[int]()
    trained = []
    for part in parts:
        own = {id(p) for p in part.parameters() if p.requires_grad} - known
        known |= own
        trained.append(bool(own))
    priors = sum(t and not part.teaches for part, t in zip(parts[:-1], trained, strict=False))
    stages = []
    for number, part in enumerate(parts):
        last = part is model
        whole = last or part.teaches
        prior = "prior" if priors == 1 else f"prior {sum(trained[: number + 1])} of {priors}"
        title, key = ("teacher", "teacher") if part.teaches else (prior, f"prior{number + 1}")
        stages.append(
            Stage(
                part,
                number,
                config if whole else stage_settings(config),
                folder / f"stage{number}",
                "model" if last else title,
                "" if last else key,
                (_MODEL_WEIGHT if whole else 1) * trained[number],
            )
        )
    return stages


def steps_of(model: Forecaster, config: TrainerConfig, folder: Path) -> tuple[int, ...]:
    """The optimisation steps of each stage's weights, 0 for the initial ones and unused stages."""
    idle = [stage for _, selection in selections(model) for stage in selection.idle()]
    return tuple(
        int(torch.load(stage.done, map_location="cpu", weights_only=True).get("global_step", 0))
        if stage.done.is_file() and stage.model not in idle
        else 0
        for stage in stages_of(model, config, folder)
    )


def parts_of(
    model: Forecaster,
    data: WindowData,
    config: TrainerConfig,
    name: str = "",
    steps: Sequence[int] | None = None,
    count: int | None = None,
) -> list[Part]:
    """The parts of a training for its progress, with the steps and epochs planned at most."""
    parts, batches = [], len(data.train_dataloader())
    for stage in stages_of(model, config, Path())[:count]:
        planned = None if steps is None else steps[stage.number]
        size, epochs = _budget(stage.config, batches, planned)
        known = stage.weight and epochs
        parts += [Part(name + stage.title, size * epochs, epochs)] if known else []
    return parts


def stage_settings(config: TrainerConfig) -> TrainerConfig:
    """The training budget of a stage, such as a prior."""
    rate = (
        config.learning_rate if config.stage_learning_rate is None else config.stage_learning_rate
    )
    budget = {
        "max_epochs": config.stage_epochs,
        "max_steps": None,
        "epoch_batches": config.stage_batches,
        "learning_rate": rate,
        "weight_average": 0.0,
    }
    return config.model_copy(update=budget)


def on_cuda(config: TrainerConfig) -> bool:
    """Whether a CUDA device is available and not ruled out by ``accelerator: cpu``."""
    return config.accelerator != "cpu" and torch.cuda.is_available()


def _budget(config: TrainerConfig, batches: int, steps: int | None = None) -> tuple[int, int]:
    """The batches of an epoch and the most epochs; ``batches``: those of all windows.

    ``steps``: see ``make_trainer``.
    """
    batches, epochs = config.epoch_batches or batches, config.max_epochs
    if steps is not None:
        return batches, -(-steps // batches)
    if config.max_steps is not None:
        batches = min(batches, config.max_steps)
        epochs = min(epochs, -(-config.max_steps // batches))  # validation is at an epoch's end
    return batches, epochs


def make_trainer(
    config: TrainerConfig,
    folder: Path,
    batches: int,
    callbacks: Sequence[pl.Callback],
    steps: int | None = None,
) -> pl.Trainer:
    """The Trainer, whose only files and output are those of ``callbacks``.

    ``steps``: their exact number, in place of the configured budget.
    """
    batches, epochs = _budget(config, batches, steps)
    return pl.Trainer(
        accelerator="cuda" if on_cuda(config) else "cpu",
        devices=config.devices,
        strategy=DDPStrategy(broadcast_buffers=False, find_unused_parameters=True)
        if config.devices > 1
        else "auto",
        precision=config.precision,
        max_epochs=epochs,
        max_steps=-1 if steps is None else steps,
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


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C in a fit of Lightning, which raises SystemExit for it, raises KeyboardInterrupt."""
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop


def last_of(folder: Path) -> Path | None:
    """The checkpoint of the last epoch's end in ``folder``, if any."""
    last = folder / "last.ckpt"
    return last if last.is_file() else None
