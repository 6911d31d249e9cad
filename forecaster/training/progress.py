"""The progress of training and scoring, on standard error, and the time they take."""

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
    """The batches, with a bar while they are worked on (on a terminal only)."""
    console = Console(file=sys.stderr, highlight=False)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield from bar.track(batches, total=len(batches))


class ProgressLines(pl.Callback):
    """A bar while an epoch runs (on a terminal only), and one line when it has ended."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._console = Console(file=sys.stderr, highlight=False)
        self._bar: Progress | None = None
        self._task: Any = None
        self._began: float | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the bar with the first batch (a resumed run may enter an epoch without its
        start).
        """
        if batch_idx > 0:
            return
        self._began = time.monotonic()
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
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One line: the epoch's losses and its time; none for an epoch that a resumed run enters at
        its end.
        """
        self._stop()
        if self._began is None:
            return
        values = {
            k: float(v)
            for k, v in trainer.callback_metrics.items()
            if k in {"train/loss", "val/loss"}
        }
        text = "  ".join(f"{name} {value:.5f}" for name, value in sorted(values.items()))
        self._console.print(
            f"{self.title} epoch {trainer.current_epoch + 1}: {text}  "
            f"{time.monotonic() - self._began:.1f} s"
        )
        self._began = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def tidy_terminal() -> None:
    """Take away the bar of a process that was ended before it could do so itself."""
    console = Console(stderr=True)
    console.control(
        Control(
            ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), ControlType.SHOW_CURSOR
        )
    )


class Stopwatch:
    """How long a training took, with what it took before it was interrupted, up to the last epoch
    then.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.began = path, time.monotonic()
        self.before = float(path.read_text(encoding="utf-8")) if path.is_file() else 0.0

    def seconds(self) -> float:
        """All of it so far."""
        return self.before + time.monotonic() - self.began

    def keep(self) -> None:
        """For the next process, should this one be interrupted."""
        write_together(
            {
                self.path: lambda partial: partial.write_text(
                    f"{self.seconds():.3f}", encoding="utf-8"
                )
            }
        )
