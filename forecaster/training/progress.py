"""Progress on standard error: one bar for a whole work, or a line now and then; training time."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.segment import ControlType
from rich.text import Text
from torch.utils.data import DataLoader

from forecaster.data.windows import Batch
from forecaster.io.atomic import write_together
from forecaster.training.limit import Limit
from forecaster.training.plan import Part, Plan

# seconds between two lines where there is no terminal
LINE_EVERY = 10.0


class Monitor(Protocol):
    """Where a training and a scoring tell how far they are."""

    def say(self, text: str) -> None:
        """Tell one line."""

    def overall(
        self, parts: Iterable[Part], limit: Limit | None = None
    ) -> AbstractContextManager[None]:
        """A work of these parts; within another one, they are parts of that."""

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        """A part of the work begins; see ``Plan.start``."""

    def advance(self, done: int, detail: str = "") -> None:
        """So many units of the part are done."""

    def skip(self, title: str) -> None:
        """A part was done by an earlier process."""

    def hide(self) -> None:
        """Leave the terminal to another process."""

    def scoring(self, batches: DataLoader[Batch], title: str = "scoring") -> Iterator[Batch]:
        """The batches, watched while they are worked on."""


class Terminal:
    """Progress on standard error: a bar on a terminal, elsewhere a line every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._plan: Plan | None = None
        self._told = 0.0
        self._bar: Progress | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_bar": None}  # each process draws its own

    def say(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr)

    @contextmanager
    def overall(self, parts: Iterable[Part], limit: Limit | None = None) -> Iterator[None]:
        """One bar or one sequence of lines for all parts."""
        if self._plan is not None:
            self._plan.add(parts)
            yield
            return
        self._plan, self._told = Plan(parts, limit, self.clock), self.clock()
        try:
            yield
        finally:
            self.hide()
            self._plan = None

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        """Tell of the part from now on."""
        if self._plan is not None:
            self._plan.start(title, units, epochs, done)
            self._show()

    def advance(self, done: int, detail: str = "") -> None:
        """Move the bar, or print a line if the last one is ten seconds old."""
        if self._plan is not None:
            self._plan.advance(done, detail)
            self._show()

    def skip(self, title: str) -> None:
        """Count the part as done."""
        if self._plan is not None:
            self._plan.skip(title)

    def hide(self) -> None:
        """Erase the bar until the next step."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def scoring(self, batches: DataLoader[Batch], title: str = "scoring") -> Iterator[Batch]:
        """A part of the work."""
        total = sum(len(numbers) for numbers in batches.sampler)
        with self.overall([Part(title)]):
            self.start(title, total)
            done = 0
            for batch in batches:
                yield batch
                done += len(batch)
                self.advance(done, f"{done:,} of {total:,} windows")

    def _show(self) -> None:
        plan = self._plan
        assert plan is not None
        console = Console(stderr=True, highlight=False)
        if console.is_terminal:
            if self._bar is None:
                columns = _Words(plan), BarColumn()
                self._bar = Progress(*columns, console=console, transient=True)
                self._bar.add_task("", total=1.0)
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=plan.share())
        elif self.clock() - self._told >= LINE_EVERY:
            self._told = self.clock()
            self.say(plan.words())


class _Words(ProgressColumn):
    """What a plan says, so that the time left goes on between two steps."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def render(self, task: Task) -> Text:
        return Text(self.plan.words(), overflow="ellipsis", no_wrap=True)


class Silent:
    """No progress is told, as to a caller in Python."""

    def say(self, text: str) -> None:
        """Tell nobody."""

    def overall(
        self, parts: Iterable[Part], limit: Limit | None = None
    ) -> AbstractContextManager[None]:
        """Nothing is shown."""
        return nullcontext()

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        """Tell nobody."""

    def advance(self, done: int, detail: str = "") -> None:
        """Tell nobody."""

    def skip(self, title: str) -> None:
        """Tell nobody."""

    def hide(self) -> None:
        """Nothing is shown."""

    def scoring(self, batches: DataLoader[Batch], title: str = "scoring") -> Iterator[Batch]:
        """The batches as they are."""
        return iter(batches)


class Watch(pl.Callback):
    """Tells a monitor of the steps and epochs of a fit."""

    def __init__(self, monitor: Monitor, title: str) -> None:
        self.monitor, self.title = monitor, title
        self._validation = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epochs, batches = trainer.max_epochs or 0, int(trainer.num_training_batches)
        steps = epochs * batches if trainer.max_steps < 0 else trainer.max_steps
        self.monitor.start(self.title, steps, epochs, trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._tell(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if "val/loss" in trainer.callback_metrics:
            self._validation = f", validation {float(trainer.callback_metrics['val/loss']):.5f}"
        self._tell(trainer)

    def _tell(self, trainer: pl.Trainer) -> None:
        epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}{self._validation}"
        self.monitor.advance(trainer.global_step, epoch)


def tidy_terminal() -> None:
    """Clear the progress bar of a process that was killed, and show the cursor again."""
    console = Console(stderr=True)
    console.control(
        Control(
            ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), ControlType.SHOW_CURSOR
        )
    )


class Stopwatch:
    """The time of a training, including earlier processes up to their last complete epoch."""

    def __init__(self, path: Path) -> None:
        self.path, self.started = path, time.monotonic()
        self.before = float(path.read_text(encoding="utf-8")) if path.is_file() else 0.0

    def seconds(self) -> float:
        """Seconds so far, in all processes."""
        return self.before + time.monotonic() - self.started

    def save(self) -> None:
        """Store the time so far, for a process that resumes the training."""
        write_together(
            {
                self.path: lambda partial: partial.write_text(
                    f"{self.seconds():.3f}", encoding="utf-8"
                )
            }
        )
