"""The group of all commands, and how errors are reported."""

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
from forecaster.commands import compare, data, forecast, models, reproduce, runs, train
from forecaster.config.program import program
from forecaster.errors import UserError, one_line

# how to go on with what was interrupted
_GO_ON = {
    "train": "; an unfinished training goes on with: train --resume latest",
    "benchmark": "; the same command goes on",
    "tune": "; the same command goes on",
}


class Cli(click.Group):
    """A group whose user errors are one line on standard error and exit status 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without arguments: the help, and exit status 0."""
        if not args:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; ``--debug`` shows tracebacks instead. SIGTERM is answered as Ctrl-C
        is.
        """
        try:
            with _terminable() as received:
                return super().invoke(ctx)
        except (UserError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            message = str(error) if isinstance(error, UserError) else _os_error(error)
            click.echo(f"error: {message}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted" + _GO_ON.get(ctx.invoked_subcommand or "", ""), err=True)
            ctx.exit(128 + (received[0] if received else signal.SIGINT))


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """Within it SIGTERM, of a service manager or a container engine, interrupts; what was received
    is in the list.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    answer = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, answer)


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
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    if not debug:
        warnings.filterwarnings("ignore")


def run() -> None:
    """The program: its usage names it as it was started."""
    main(prog_name=program())


for command in (
    train.train,
    train.tune,
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
