"""Progress bars and lines on standard error, and the training time."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import ControlType
from torch.utils.data import DataLoader

from forecaster.data.windows import Batch
from forecaster.io.atomic import write_together


class Monitor(Protocol):
    """Where a training and a scoring tell how far they are."""

    def say(self, text: str) -> None:
        """Tell one line."""

    def callbacks(self, title: str) -> list[pl.Callback]:
        """What a fit of the part ``title`` reports its epochs to."""

    def scoring(self, batches: DataLoader[Batch]) -> Iterator[Batch]:
        """The batches, watched while they are worked on."""


class Terminal:
    """Progress on standard error."""

    def say(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr)

    def callbacks(self, title: str) -> list[pl.Callback]:
        """A line an epoch."""
        return [ProgressLines(title)]

    def scoring(self, batches: DataLoader[Batch]) -> Iterator[Batch]:
        """A bar."""
        return scoring_bar(batches)


class Silent:
    """No progress is told, as to a caller in Python."""

    def say(self, text: str) -> None:
        """Tell nobody."""

    def callbacks(self, title: str) -> list[pl.Callback]:
        """None."""
        return []

    def scoring(self, batches: DataLoader[Batch]) -> Iterator[Batch]:
        """The batches as they are."""
        return iter(batches)


def scoring_bar(batches: DataLoader[Batch]) -> Iterator[Batch]:
    """Iterate over the batches, with a progress bar on a terminal."""
    console = Console(file=sys.stderr, highlight=False)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield from bar.track(batches, total=len(batches))


class ProgressLines(pl.Callback):
    """A progress bar during an epoch (on a terminal only), and one line at its end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._console = Console(file=sys.stderr, highlight=False)
        self._bar: Progress | None = None
        self._task: Any = None
        self._started: float | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # with the first batch, as a resumed run may enter an epoch without the hook of its start
        if batch_idx > 0:
            return
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn(f"{self.title} epoch {trainer.current_epoch + 1}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=trainer.num_training_batches)
            self._bar.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()
        if self._started is None:  # a resumed run entered the epoch at its end
            return
        values = {
            k: float(v)
            for k, v in trainer.callback_metrics.items()
            if k in {"train/loss", "val/loss"}
        }
        text = "  ".join(f"{name} {value:.5f}" for name, value in sorted(values.items()))
        self._console.print(
            f"{self.title} epoch {trainer.current_epoch + 1}: {text}  "
            f"{time.monotonic() - self._started:.1f} s"
        )
        self._started = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


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
