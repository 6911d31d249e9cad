"""The commands that compare models: ``benchmark`` and ``backtest``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import column_options
from forecaster.commands.options import (
    accelerator_option,
    bounds_option,
    json_option,
    note,
    print_json,
    print_table,
    settings_option,
    steps_options,
    time_limit_option,
)
from forecaster.commands.train import overrides
from forecaster.training.limit import Limit


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
@time_limit_option("Suspend the training at this time (90s, 10m, 2h); the next call continues.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The folder of the tables (default: mlflow/benchmarks).",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Also write the table into this document, between its markers.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Also draw the metrics against the suite's numbers of steps (PNG, SVG or PDF).",
)
@click.option(
    "--pages",
    type=click.Path(path_type=Path),
    help="Write a page and a picture a data set into this folder; --into then holds the places.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Do not run the cells that this CSV table has; add finished ones to it.",
)
@json_option
def benchmark(
    suite: str,
    models: tuple[str, ...],
    data: tuple[str, ...],
    horizons: tuple[int, ...],
    seeds: tuple[int, ...],
    limit: Limit | None,
    output: Path | None,
    into: Path | None,
    plot: Path | None,
    pages: Path | None,
    results: Path | None,
    as_json: bool,
) -> None:
    """Run the missing trainings of a SUITE of configs/suites (or a YAML file), write its table."""
    from forecaster.training.stages import quiet_libraries
    from forecaster.workflows import benchmark as runner
    from forecaster.workflows.benchmark_suite import CellFilter

    quiet_libraries()
    result = runner.benchmark(
        runner.BenchmarkOptions(
            suite,
            CellFilter(models, data, horizons, seeds),
            limit,
            output,
            into,
            plot,
            pages,
            results,
        )
    )
    if as_json:
        print_json(
            {
                "done": result.done,
                "cells": result.cells,
                "failures": result.failures,
                "markdown": str(result.markdown),
                "csv": str(result.csv),
            }
        )
    else:
        click.echo(result.text)
        click.echo(f"{result.done} of {result.cells} cells done: {result.markdown} {result.csv}")
    if result.failures:
        for failure in result.failures:
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
    help="A configuration; give it several times.",
)
@steps_options
@click.option(
    "--origins",
    type=click.IntRange(2),
    help="Number of times to forecast from (default: 10, in a short file those of its second "
    "half).",
)
@click.option(
    "--stride", type=click.IntRange(1), help="Steps between origins (default: the horizon)."
)
@click.option(
    "--refit-every",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Origins that use the same training.",
)
@click.option(
    "--by",
    type=click.Choice(["mae", "crps"]),
    default="crps",
    show_default=True,
    help="The metric that ranks the models.",
)
@click.option("--samples", type=click.IntRange(2), default=100, show_default=True)
@time_limit_option("End after this time (90s, 10m, 2h), shared by all trainings.")
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
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What trains the models: this process, or a Ray cluster, side by side.",
)
@column_options
@json_option
def backtest(
    models: tuple[str, ...],
    origins: int | None,
    stride: int | None,
    refit_every: int,
    by: str,
    samples: int,
    limit: Limit | None,
    settings: tuple[str, ...],
    experiment: str,
    run_name: str | None,
    output: Path | None,
    engine: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare models on a file by forecasts from rolling origins; baseline: seasonal naive."""
    from dataclasses import asdict

    from forecaster.evaluation.compare import in_words
    from forecaster.training.stages import quiet_libraries
    from forecaster.workflows import backtest as runner

    quiet_libraries()
    options = runner.BacktestOptions(
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
        limit,
        engine,
    )
    result = runner.backtest(options, note)
    if as_json:
        print_json(
            {
                "run_id": result.run_id,
                "by": by,
                "origins": result.origins,
                "missing": result.missing,
                "ranking": [asdict(ranked) for ranked in result.ranking],
                "comparisons": [
                    asdict(c) | {"sentence": c.sentence(by.upper())} for c in result.comparisons
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
        for r in result.ranking
    ]
    rows += [[model, "–", "–", "–", "–"] for model in result.missing]
    print_table(["model", "mae", "crps", "coverage/90", "seconds"], rows)
    click.echo(_scale(len(result.origins), [r.coverage for r in result.ranking]))
    for line in in_words(result.comparisons, by):
        click.echo(line)
    click.echo(f"run    {result.run_id}")


def _scale(origins: int, coverages: Sequence[float]) -> str:
    """What the errors are measured in; without intervals, nan, a crps is an absolute error."""
    text = f"{origins} origins; errors in standard deviations of the training rows"
    pointwise = any(coverage != coverage for coverage in coverages)
    return f"{text}; the crps of a point forecast is its mae" if pointwise else text
