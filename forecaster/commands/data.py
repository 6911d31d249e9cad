"""The commands about data: ``check`` and ``datasets``."""

from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import column_options
from forecaster.commands.options import json_option, print_json, steps_options
from forecaster.errors import one_line


@click.command()
@click.option("--csv", type=click.Path(path_type=Path), required=True)
@steps_options
@column_options
@json_option
def check(csv: Path, as_json: bool, **given: Any) -> None:
    """Check a file: its facts, and how training and forecasting would use it."""
    from forecaster.workflows.check import PLAN, check_file

    outcome = check_file(csv, {key: value for key, value in given.items() if value is not None})
    if as_json:
        print_json(outcome)
    else:
        for key, value in outcome.items():
            if key in PLAN:
                continue
            if isinstance(value, dict):
                value = [f"{name}: {text}" for name, text in value.items()]
            if isinstance(value, list):
                for item in value:
                    click.echo(f"{key + ':':<16} {one_line(str(item))}")
            elif value is not None:
                click.echo(f"{key + ':':<16} {one_line(str(value))}")
    if outcome["refused"] is not None:
        click.get_current_context().exit(1)


@click.group()
def datasets() -> None:
    """The named data sets."""


@datasets.command("list")
@json_option
def datasets_list(as_json: bool) -> None:
    """Names, intervals, and whether they are downloaded."""
    from forecaster.data.catalog import catalog

    if as_json:
        print_json({name: entry.model_dump(mode="json") for name, entry in catalog().items()})
        return
    rows = [
        [n, d.interval, "here" if d.path.is_file() else "-", d.about] for n, d in catalog().items()
    ]
    for name, interval, status, about in [["name", "interval", "file", "about"], *rows]:
        click.echo(f"{name:<9} {interval:<8} {status:<5} {about}")


@datasets.command("show")
@click.argument("name")
@json_option
def datasets_show(name: str, as_json: bool) -> None:
    """Everything known of one data set."""
    from forecaster.data.catalog import find_dataset

    entry = find_dataset(name).model_dump(mode="json")
    if as_json:
        print_json({name: entry})
        return
    for key, value in entry.items():
        click.echo(f"{key:<9} {value}")


@datasets.command("fetch")
@click.argument("name")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Take the file from a folder."
)
@json_option
def datasets_fetch(name: str, source: Path | None, as_json: bool) -> None:
    """Download a data set (or take it from a folder) and verify it; NAME may be 'all'."""
    from forecaster.data.catalog import catalog, fetch

    paths = {each: str(fetch(each, source)) for each in (catalog() if name == "all" else [name])}
    if as_json:
        print_json(paths)
    else:
        for path in paths.values():
            click.echo(path)
