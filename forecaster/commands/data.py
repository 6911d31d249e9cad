"""The commands about data: ``check`` and ``datasets``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import column_options
from forecaster.commands.options import json_option, print_json, print_table, steps_options
from forecaster.errors import one_line


@click.command()
@click.option("--csv", type=click.Path(path_type=Path), required=True)
@steps_options
@column_options
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    help="Write a page with the profile and a picture of each series.",
)
@json_option
def check(csv: Path, html: Path | None, as_json: bool, **given: Any) -> None:
    """Profile a file: its columns and series, how training would use them, and the command."""
    from forecaster.workflows.check import examine

    checked = examine(csv, {key: value for key, value in given.items() if value is not None})
    if html is not None:
        from forecaster.reporting.profile_page import write_profile

        write_profile(checked.outcome, checked.table, html)
    if as_json:
        print_json(checked.outcome)
    else:
        _print_profile(checked.outcome)
    if checked.outcome["refused"] is not None:
        click.get_current_context().exit(1)


def _print_profile(outcome: Mapping[str, Any]) -> None:
    """The commands, the table of columns, and a line a fact."""
    from forecaster.reporting.profile import HEAD, column_table, lines_of

    for i, command in enumerate(outcome["commands"]):
        click.echo(f"{'or:' if i else 'command:':<16} {command}")
    if "of_several" in outcome:
        click.echo(f"{'of several:':<16} {outcome['of_several']}")
    if outcome["columns"]:
        click.echo()
        rows = [[one_line(cell) for cell in row] for row in column_table(outcome["columns"])]
        print_table(HEAD, rows, left=(0, 1, 2, len(HEAD) - 1))
        click.echo()
    for name, text in lines_of(outcome):
        click.echo(f"{name + ':':<16} {one_line(text)}")


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
