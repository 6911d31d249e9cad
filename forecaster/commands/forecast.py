"""The commands that use a saved model: ``forecast`` and ``evaluate``."""

import io
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from forecaster.commands.columns import column_options
from forecaster.commands.options import (
    accelerator_option,
    conformal_option,
    json_option,
    levels,
    metrics_option,
    mode_option,
    model_option,
    note,
    print_json,
    print_table,
    resample_option,
    trust_option,
)


@click.command()
@model_option
@click.option(
    "--csv",
    type=click.Path(path_type=Path),
    required=True,
    help="The file whose last rows are the history.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Default: forecast.csv; with --stream, standard output.",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Also read further rows from standard input and forecast after each.",
)
@click.option(
    "--start", metavar="TIME", help="When the forecast begins (default: after the last value)."
)
@click.option(
    "--future",
    type=click.Path(path_type=Path),
    help="A file of the known covariates of the rows to forecast.",
)
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    help="Write the rows that --future needs, to be filled in, and no forecast.",
)
@resample_option
@mode_option
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--steps", type=click.IntRange(1), help="Reverse sampling steps (default: the model's)."
)
@click.option("--quantiles", default="0.05,0.5,0.95", callback=levels, show_default=True)
@conformal_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Also draw the forecast (PNG, SVG, PDF, or HTML to explore).",
)
@click.option(
    "--series",
    metavar="NAME[,NAME…]",
    help="The series that --plot draws (default: the 12 with the largest errors; HTML: 100).",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray", "spark"]),
    default="local",
    show_default=True,
    help="What forecasts the parts of Parquet files: this process, a Ray or a Spark cluster.",
)
@accelerator_option
@trust_option
@column_options
@json_option
def forecast(
    reference: str,
    csv: Path,
    output: Path | None,
    stream: bool,
    start: str | None,
    future: Path | None,
    template: Path | None,
    resample_rate: int,
    mode: str | None,
    samples: int,
    steps: int | None,
    quantiles: tuple[float, ...],
    conformal: bool,
    seed: int,
    plot: Path | None,
    series: str | None,
    engine: str,
    accelerator: str | None,
    trust_code: bool,
    as_json: bool,
    **roles: Any,
) -> None:
    """Forecast the values after a file's end, or with --stream after each row of standard input."""
    if stream and plot is not None:
        raise click.UsageError("--stream forecasts many times; give --plot without it")
    if series is not None and plot is None:
        raise click.UsageError("--series names what --plot draws; give both")
    if stream and engine != "local":
        raise click.UsageError("--stream forecasts row after row; give --engine without it")
    from forecaster.workflows import forecast as forecasting

    options = forecasting.ForecastOptions(
        reference,
        csv,
        output,
        mode,
        samples,
        steps,
        quantiles,
        seed,
        plot,
        accelerator,
        conformal,
        resample_rate,
        roles,
        trust_code,
        start,
        future,
        series,
        engine,
    )
    if template is not None:
        click.echo(forecasting.write_template(options, template))
        return
    if stream:
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        forecasting.stream(options, lines, lambda text: click.echo(text, nl=False), note, as_json)
        return
    result = forecasting.forecast(options)
    if as_json:
        print_json(result.meta | {"output": str(result.output)})
        return
    for decision in result.meta["decisions"]:
        note(decision)
    click.echo(
        f"{result.output}: {result.rows} rows, {result.meta['mode']}, {result.meta['horizon']} "
        "steps ahead"
    )
    if plot is not None:
        click.echo(str(plot))


@click.command()
@model_option
@click.option(
    "--csv", type=click.Path(path_type=Path), help="Your file (default: the training data)."
)
@click.option("--dataset", metavar="NAME", help="A named data set.")
@click.option("--split", type=click.Choice(["test", "validation"]), help="Default: test.")
@click.option(
    "--origins",
    type=click.IntRange(1),
    help="Instead of a split: the last N origins of the file --csv.",
)
@click.option(
    "--stride", type=click.IntRange(1), help="Steps between origins (default: the horizon)."
)
@mode_option
@click.option("--samples", type=click.IntRange(2), default=100, show_default=True)
@click.option(
    "--steps", type=click.IntRange(1), help="Reverse sampling steps (default: the model's)."
)
@click.option(
    "--limit", type=click.IntRange(1), help="Score this many evenly spaced windows instead of all."
)
@click.option(
    "--windows",
    type=click.Choice(["all", "published"]),
    default="all",
    show_default=True,
    help="Of a named data set: those of published figures leave out the last incomplete batch.",
)
@conformal_option
@resample_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--experiment", default="forecaster", show_default=True, help="The MLflow experiment."
)
@click.option("--run-name", help="The MLflow run's name (default: model, data and split).")
@accelerator_option
@trust_option
@metrics_option
@column_options
@json_option
def evaluate(
    reference: str,
    csv: Path | None,
    dataset: str | None,
    split: str | None,
    origins: int | None,
    stride: int | None,
    mode: Literal["point", "probabilistic"] | None,
    samples: int,
    steps: int | None,
    limit: int | None,
    windows: Literal["all", "published"],
    conformal: bool,
    resample_rate: int,
    seed: int,
    experiment: str,
    run_name: str | None,
    accelerator: str | None,
    trust_code: bool,
    metrics: str,
    as_json: bool,
    **roles: Any,
) -> None:
    """Score a saved model on a split or a file's last origins; baseline: seasonal naive."""
    if origins is not None and (csv is None or split is not None):
        raise click.UsageError(
            "--origins is for the end of a file: give it with --csv and without --split"
        )
    if origins is None and stride is not None:
        raise click.UsageError("--stride is the distance between --origins; give both")
    if csv is None and any(value is not None for value in roles.values()):
        raise click.UsageError(
            "the options about columns and times are for a file: give --csv, too"
        )
    import pandas as pd

    from forecaster.evaluation.score import Scoring
    from forecaster.reporting.run_section import EFFECTS, effect_rows
    from forecaster.reporting.summary import metric_rows, of_split
    from forecaster.workflows import evaluate as evaluating

    scoring = Scoring(
        samples=samples, steps=steps, limit=limit, seed=seed, full=True, windows=windows
    )
    rolling = None if origins is None else evaluating.Rolling(origins, stride)
    options = evaluating.EvaluateOptions(
        reference,
        csv,
        dataset,
        split or "test",
        rolling,
        mode,
        scoring,
        conformal,
        resample_rate,
        accelerator,
        experiment,
        run_name,
        roles,
        trust_code,
    )
    result = evaluating.evaluate_saved(options, note)
    if as_json:
        print_json(
            {
                "run_id": result.run_id,
                "metrics": result.metrics,
                "seasonal_naive": result.baseline,
                "season": result.season,
                "verdict": result.verdict.text,
                "skill": asdict(result.verdict.skill),
                "by_series": result.by_series,
                "effects": result.effects,
            }
        )
        return
    prefix = "val" if split == "validation" else "test"
    columns = [of_split(each, prefix) for each in (result.metrics, result.baseline)]
    print_table(
        ["metric", split or "test", "seasonal naive"], metric_rows(columns, metrics == "all")
    )
    click.echo(f"{result.about}; season {result.season}\n{result.verdict.text}")
    if result.by_series is not None:
        click.echo(result.by_series)
    if result.effects:
        rows = effect_rows(pd.DataFrame(result.effects))
        print_table(EFFECTS, [[row.name, *row.cells] for row in rows])
    click.echo(f"run    {result.run_id}")
