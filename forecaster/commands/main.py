"""The command group and its error reports."""

import io
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from forecaster import __version__
from forecaster.commands import (
    calibrate,
    compare,
    data,
    forecast,
    models,
    reproduce,
    retrain,
    runs,
    train,
)
from forecaster.config.program import program
from forecaster.errors import UserError, one_line

# hints for resuming an interrupted command
_RESUME_HINTS = {
    "train": "; an unfinished training goes on with: train --resume latest",
    "retrain": "; the version in service is as it was; the same command begins anew",
    "benchmark": "; the same command goes on",
    "tune": "; the same command goes on",
}


class Cli(click.Group):
    """A group whose user errors are one line on standard error and exit status 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without arguments, print the help and exit with status 0."""
        if not args:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and report its errors, or tracebacks with ``--debug``."""
        try:
            with _sigterm_interrupts() as received:
                return super().invoke(ctx)
        except (UserError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            message = str(error) if isinstance(error, UserError) else _os_error(error)
            click.echo(f"error: {message}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo(
                "interrupted" + _RESUME_HINTS.get(ctx.invoked_subcommand or "", ""), err=True
            )
            ctx.exit(128 + (received[0] if received else signal.SIGINT))


@contextmanager
def _sigterm_interrupts() -> Iterator[list[int]]:
    """Turn SIGTERM into KeyboardInterrupt; the list holds the received signals."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, previous)


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return one_line(
        f"{where}{error.strerror or error}; check the path, its permissions and the free space"
    )


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name=None, version=__version__, prog_name="forecaster")
def main(debug: bool) -> None:
    """Train forecasting models on a CSV file, forecast what comes next, and compare runs."""
    for stream in (sys.stdout, sys.stderr):
        # escape characters that the terminal's encoding lacks
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not debug:
        warnings.filterwarnings("ignore")


def run() -> None:
    """Run the program under the name it was started by."""
    main(prog_name=program())


for command in (
    train.train,
    train.tune,
    retrain.retrain,
    calibrate.calibrate,
    forecast.forecast,
    forecast.evaluate,
    reproduce.reproduce,
    compare.backtest,
    compare.benchmark,
    data.check,
    data.datasets,
    models.models,
    models.serve,
    runs.runs,
    runs.report,
    runs.ui,
):
    main.add_command(command)
