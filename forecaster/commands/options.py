"""Options and output of several commands."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from forecaster.errors import UserError, one_line, printable
from forecaster.training.limit import Limit, limit_of

F = TypeVar("F", bound=Callable[..., Any])


def options_of(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Combine options into one decorator."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse names separated by commas."""
    return None if value is None else tuple(name.strip() for name in value.split(","))


def levels(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, ...]:
    """Parse quantile levels separated by commas, and sort them."""
    try:
        return tuple(sorted({float(level) for level in value.split(",")}))
    except ValueError as error:
        raise click.BadParameter("numbers between 0 and 1, separated by commas") from error


def bounds(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> float | dict[str, float] | None:
    """Parse a number, or COL=NUMBER separated by commas."""
    if value is None:
        return None
    try:
        pairs = [part.rpartition("=") for part in value.split(",")]
        return (
            {name.strip(): float(text) for name, _, text in pairs} if "=" in value else float(value)
        )
    except ValueError as error:
        raise click.BadParameter(
            "a number for all columns, or COL=NUMBER, separated by commas"
        ) from error


def time_limit(ctx: click.Context, param: click.Parameter, value: str | None) -> Limit | None:
    """Parse a time; it begins to pass now."""
    try:
        return limit_of(value)
    except UserError as error:
        raise click.BadParameter(str(error).partition(": ")[2]) from error


def time_limit_option(text: str) -> Callable[[F], F]:
    """The option ``--time-limit`` with its help."""
    return click.option("--time-limit", "limit", metavar="TIME", callback=time_limit, help=text)


def whole_numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Parse whole numbers of 1 or more, separated by commas."""
    if value is None:
        return None
    numbers = [part.strip() for part in value.split(",")]
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise click.BadParameter("whole numbers of steps, separated by commas")
    return tuple(dict.fromkeys(map(int, numbers)))


steps_options = options_of(
    click.option(
        "--horizon",
        type=click.IntRange(1),
        help="Steps to forecast (default: by the file's interval and length).",
    ),
    click.option(
        "--lookback",
        type=click.IntRange(1),
        help="Steps of history that the model uses (default: by interval and length).",
    ),
    click.option(
        "--seasons",
        metavar="MAIN[,N…]",
        callback=whole_numbers,
        help="The seasons in steps, first the one that seasonal naive repeats; 1 for none "
        "(default: those found in the training rows).",
    ),
)
bounds_option = options_of(
    click.option(
        "--lower",
        metavar="X|COL=X,…",
        callback=bounds,
        help="No value lies below (0 for counts): forecasts are cut off there.",
    ),
    click.option("--upper", metavar="X|COL=X,…", callback=bounds, help="No value lies above."),
)
settings_option = click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any configuration key."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
model_option = click.option(
    "--model",
    "reference",
    required=True,
    metavar="REF",
    help="latest, a run's name or short id, a saved model's folder, models:/NAME@ALIAS.",
)
metrics_option = click.option(
    "--metrics",
    type=click.Choice(["few", "all"]),
    default="few",
    show_default=True,
    help="The metrics to print; the run and --json have all.",
)
mode_option = click.option(
    "--mode",
    type=click.Choice(["point", "probabilistic"]),
    help="Default: probabilistic (point with --resample-rate).",
)
conformal_option = click.option(
    "--conformal",
    is_flag=True,
    help="Intervals from the errors on validation, in place of the model's own.",
)
accelerator_option = click.option(
    "--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), help="Where to compute."
)
trust_option = click.option(
    "--trust-code",
    is_flag=True,
    help="Run the code that the model's maker put into it; it may do anything.",
)
resample_option = click.option(
    "--resample-rate",
    type=click.IntRange(1),
    default=1,
    metavar="R",
    help="The file's interval is R times the model's (state-space models only).",
)


def print_json(content: Mapping[str, Any]) -> None:
    """Print a JSON object on standard output, with null for nan."""
    click.echo(json.dumps(_without_nan(content), ensure_ascii=False, allow_nan=False))


def _without_nan(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and content != content else content


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> None:
    """Print a plain-text table; the columns ``left`` are left-aligned, the others right-aligned."""
    table = [[printable(str(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        cells = [
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def note(text: str) -> None:
    """Print a note on standard error."""
    click.echo(f"note: {one_line(text)}", err=True)
