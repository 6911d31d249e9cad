"""The command ``reproduce``."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import COLUMNS
from forecaster.commands.forecast import forecast
from forecaster.commands.options import json_option, note, print_json, trust_option


@click.command()
@click.argument("meta", type=click.Path(path_type=Path), metavar="FORECAST")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the repeated forecast (default: compare only).",
)
@trust_option
@json_option
def reproduce(meta: Path, output: Path | None, trust_code: bool, as_json: bool) -> None:
    """Repeat a forecast from the .meta.json beside it, and report whether it is identical.

    FORECAST: the forecast's file, or its .meta.json.
    """
    from forecaster.workflows import reproduce as reproducing

    result = reproducing.reproduce(meta, _recorded_options, output, trust_code)
    if as_json:
        print_json(dataclasses.asdict(result) | {"identical": result.difference is None})
    elif result.difference is None:
        for text in result.notes:
            note(text)
        click.echo(f"identical: {result.output}, {result.rows} rows, SHA-256 {result.sha256}")
    else:
        click.echo(f"error: not identical: {result.difference}", err=True)
    if result.difference is not None:
        click.get_current_context().exit(1)


def _recorded_options(arguments: list[str]) -> Any:
    """The options of a recorded ``forecast`` command line; raises UserError if it is damaged."""
    from forecaster.errors import UserError
    from forecaster.workflows.forecast import ForecastOptions

    try:
        if arguments[:1] != ["forecast"]:
            raise click.UsageError("it is not a forecast's")
        given = forecast.make_context("forecast", arguments[1:]).params
    except click.ClickException as error:
        raise UserError(
            f"the recorded command is damaged: {error.message}; forecast anew"
        ) from error
    roles = {name: given[name] for name in COLUMNS}
    return ForecastOptions(
        **{f.name: given[f.name] for f in dataclasses.fields(ForecastOptions) if f.name != "roles"},
        roles=roles,
    )
