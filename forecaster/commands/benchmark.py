"""The commands that compare models: ``benchmark``."""

from pathlib import Path

import click

from forecaster.commands.options import json_option, print_json


@click.command()
@click.argument("suite")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model of the suite; may be repeated.")
@click.option("--data", multiple=True, metavar="NAME", help="Only this data set of the suite; may be repeated.")
@click.option("--minutes", type=click.FloatRange(min=0), help="Begin no training after so long; the next call goes on.")
@click.option("--output", type=click.Path(path_type=Path), help="The folder of the tables (default: mlflow/benchmarks).")
@click.option("--into", type=click.Path(path_type=Path), help="Also put the table into this document, between its marks.")
@json_option
def benchmark(
    suite: str, models: tuple[str, ...], data: tuple[str, ...], minutes: float | None, output: Path | None,
    into: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run what is missing of a SUITE of configs/suites (or a YAML file), and make its table."""
    from forecaster import benchmark as runner
    from forecaster.fitting import quiet_libraries

    quiet_libraries()
    finished = runner.benchmark(runner.Asked(suite, models, data, minutes, output, into))
    if as_json:
        print_json(
            {
                "done": finished.done, "cells": finished.cells, "failures": finished.failures,
                "markdown": str(finished.markdown), "csv": str(finished.csv),
            }
        )  # fmt: skip
    else:
        click.echo(finished.text)
        click.echo(f"{finished.done} of {finished.cells} cells done: {finished.markdown} {finished.csv}")
    if finished.failures:
        for failure in finished.failures:
            click.echo(f"failed: {failure}", err=True)
        click.get_current_context().exit(1)
