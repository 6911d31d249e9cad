"""The commands that compare models: ``benchmark`` and ``backtest``."""

from pathlib import Path
from typing import Any

import click

from forecaster.commands.options import (
    accelerator_option,
    bounds_option,
    column_options,
    json_option,
    note,
    print_json,
    print_table,
    settings_option,
)
from forecaster.commands.train import overrides


@click.command()
@click.argument("suite")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Only this model of the suite; may be repeated.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="NAME",
    help="Only this data set of the suite; may be repeated.",
)
@click.option(
    "--horizon", "horizons", type=int, multiple=True, help="Only this horizon; may be repeated."
)
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed; may be repeated.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    help="Begin no training after so long; the next call goes on.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The folder of the tables (default: mlflow/benchmarks).",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Also put the table into this document, between its marks.",
)
@json_option
def benchmark(
    suite: str,
    models: tuple[str, ...],
    data: tuple[str, ...],
    horizons: tuple[int, ...],
    seeds: tuple[int, ...],
    minutes: float | None,
    output: Path | None,
    into: Path | None,
    as_json: bool,
) -> None:
    """Run what is missing of a SUITE of configs/suites (or a YAML file), and make its table."""
    from forecaster.training.fit import quiet_libraries
    from forecaster.workflows import benchmark as runner
    from forecaster.workflows.benchmark_suite import CellFilter

    quiet_libraries()
    finished = runner.benchmark(
        runner.BenchmarkOptions(
            suite, CellFilter(models, data, horizons, seeds), minutes, output, into
        )
    )
    if as_json:
        print_json(
            {
                "done": finished.done,
                "cells": finished.cells,
                "failures": finished.failures,
                "markdown": str(finished.markdown),
                "csv": str(finished.csv),
            }
        )
    else:
        click.echo(finished.text)
        click.echo(
            f"{finished.done} of {finished.cells} cells done: {finished.markdown} {finished.csv}"
        )
    if finished.failures:
        for failure in finished.failures:
            click.echo(f"failed: {failure}", err=True)
        click.get_current_context().exit(1)


@click.command()
@click.option(
    "--csv",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to compare the models on.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A configuration; to be repeated.",
)
@click.option("--horizon", type=click.IntRange(1), help="Steps to forecast.")
@click.option("--lookback", type=click.IntRange(1), help="Steps of history that the models read.")
@click.option(
    "--origins",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="How many times to forecast from.",
)
@click.option(
    "--stride", type=click.IntRange(1), help="Steps from one to the next (default: the horizon)."
)
@click.option(
    "--refit-every",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Origins served by a training.",
)
@click.option(
    "--by",
    type=click.Choice(["mae", "crps"]),
    default="crps",
    show_default=True,
    help="What ranks the models.",
)
@click.option("--samples", type=click.IntRange(2), default=100, show_default=True)
@bounds_option
@settings_option
@click.option("--seed", type=int, help="Seed of all random numbers.")
@accelerator_option
@click.option(
    "--experiment", default="forecaster", show_default=True, help="The MLflow experiment."
)
@click.option("--run-name", help="The MLflow run's name (default: backtest and the file's name).")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Also write each model's errors by origin (CSV).",
)
@column_options
@json_option
def backtest(
    models: tuple[str, ...],
    origins: int,
    stride: int | None,
    refit_every: int,
    by: str,
    samples: int,
    settings: tuple[str, ...],
    experiment: str,
    run_name: str | None,
    output: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Which model is better on a file: forecast its past from rolling origins, beside seasonal
    naive.
    """
    from dataclasses import asdict

    from forecaster.evaluation.compare import in_words
    from forecaster.training.fit import quiet_libraries
    from forecaster.workflows import backtest as runner

    quiet_libraries()
    asked = runner.BacktestOptions(
        models,
        origins,
        stride,
        refit_every,
        overrides(given),
        settings,
        by,
        samples,
        experiment,
        run_name,
        output,
    )
    found = runner.backtest(asked, note)
    if as_json:
        print_json(
            {
                "run_id": found.run_id,
                "by": by,
                "origins": found.origins,
                "ranking": [asdict(ranked) for ranked in found.ranking],
                "comparisons": [
                    asdict(c) | {"sentence": c.sentence(by.upper())} for c in found.comparisons
                ],
            }
        )
        return
    rows = [
        [
            r.model,
            f"{r.mae:.4f}",
            f"{r.crps:.4f}",
            f"{r.coverage:.3f}" if r.coverage == r.coverage else "",
            f"{r.seconds:.0f}",
        ]
        for r in found.ranking
    ]
    print_table(["model", "mae", "crps", "coverage/90", "seconds"], rows)
    click.echo(
        f"{origins} origins; errors in standard deviations of the training rows; the crps of a "
        "point forecast is its mae"
    )
    for line in in_words(found.comparisons, by):
        click.echo(line)
    click.echo(f"run    {found.run_id}")
