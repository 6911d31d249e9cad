"""The command ``reproduce``."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from forecaster.commands.forecast import forecast
from forecaster.commands.options import COLUMNS, json_option, note, print_json


@click.command()
@click.argument("meta", type=click.Path(path_type=Path), metavar="FORECAST.meta.json")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Keep the forecast made again (default: compare only).",
)
@json_option
def reproduce(meta: Path, output: Path | None, as_json: bool) -> None:
    """Make a forecast again from the .meta.json beside it, and say whether it is identical."""
    from forecaster.workflows import reproduce as reproducing

    done = reproducing.reproduce(meta, _asked_again, output)
    if as_json:
        print_json(dataclasses.asdict(done) | {"identical": done.difference is None})
    elif done.difference is None:
        for text in done.notes:
            note(text)
        click.echo(f"identical: {done.output}, {done.rows} rows, SHA-256 {done.sha256}")
    else:
        click.echo(f"error: not identical: {done.difference}", err=True)
    if done.difference is not None:
        click.get_current_context().exit(1)


def _asked_again(arguments: list[str]) -> Any:
    """The options of a ``forecast`` command line that was written down."""
    from forecaster.errors import UserError
    from forecaster.workflows.forecast import ForecastOptions

    try:
        if arguments[:1] != ["forecast"]:
            raise click.UsageError("it is not a forecast's")
        given = forecast.make_context("forecast", arguments[1:]).params
    except click.ClickException as error:
        raise UserError(
            f"the command that was written down is damaged: {error.message}; forecast anew"
        ) from error
    roles = {name: given[name] for name in COLUMNS}
    return ForecastOptions(
        **{f.name: given[f.name] for f in dataclasses.fields(ForecastOptions) if f.name != "roles"},
        roles=roles,
    )
