"""The commands that use a saved model: ``forecast`` and ``evaluate``."""

import io
import sys
from pathlib import Path
from typing import Any

import click

from forecaster.commands.options import (
    accelerator_option,
    column_options,
    conformal_option,
    json_option,
    levels,
    print_json,
    print_table,
    resample_option,
)


@click.command()
@click.option("--model", "reference", required=True, metavar="REF", help="A saved model's folder, runs:/ID/model, latest.")
@click.option("--csv", type=click.Path(path_type=Path), required=True, help="The file whose last rows are the history.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: forecast.csv; with --stream, standard output.")
@click.option("--stream", is_flag=True, help="Then read further rows from standard input and forecast after each.")
@resample_option
@click.option("--mode", type=click.Choice(["point", "probabilistic"]), help="Default: probabilistic if the model can.")
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Sampling steps (default: the model's own).")
@click.option("--quantiles", default="0.05,0.5,0.95", callback=levels, show_default=True)
@conformal_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw the forecast (PNG, SVG or PDF).")
@accelerator_option
@column_options
@json_option
def forecast(
    reference: str, csv: Path, output: Path | None, stream: bool, resample_rate: int, mode: str | None, samples: int,
    steps: int | None,
    quantiles: tuple[float, ...], conformal: bool, seed: int, plot: Path | None, accelerator: str | None, as_json: bool,
    **roles: Any,
) -> None:  # fmt: skip
    """Forecast the values after a file's end, and with --stream after every row that follows it on standard input."""
    if stream and plot is not None:
        raise click.UsageError("--stream forecasts many times; give --plot without it")
    from forecaster import forecasting

    asked = forecasting.Asked(
        reference, csv, output, mode, samples, steps, quantiles, seed, plot, accelerator, conformal, resample_rate, roles
    )
    if stream:
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        forecasting.stream(asked, lines, lambda text: click.echo(text, nl=False), _note, as_json)
        return
    written = forecasting.forecast(asked)
    if as_json:
        print_json(written.meta | {"output": str(written.output)})
        return
    for decision in written.meta["decisions"]:
        _note(decision)
    click.echo(f"{written.output}: {written.rows} rows, {written.meta['mode']}, {written.meta['horizon']} steps ahead")
    if plot is not None:
        click.echo(str(plot))


@click.command()
@click.option("--model", "reference", required=True, metavar="REF", help="A saved model's folder, runs:/ID/model, latest.")
@click.option("--csv", type=click.Path(path_type=Path), help="A file of the user's (default: what was trained on).")
@click.option("--dataset", metavar="NAME", help="A named data set.")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test", show_default=True)
@click.option("--mode", type=click.Choice(["point", "probabilistic"]), default="point", show_default=True)
@click.option("--samples", type=click.IntRange(2), default=100, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Sampling steps (default: the model's own).")
@click.option("--limit", type=click.IntRange(1), help="Score this many evenly spaced windows instead of all.")
@conformal_option
@resample_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@accelerator_option
@json_option
def evaluate(
    reference: str,
    csv: Path | None,
    dataset: str | None,
    split: str,
    as_json: bool,
    accelerator: str | None,
    conformal: bool,
    resample_rate: int,
    **scoring: Any,
) -> None:
    """Score a saved model on every window of a split."""
    from forecaster import forecasting

    metrics = forecasting.evaluate_saved(reference, csv, dataset, split, accelerator, conformal, resample_rate, scoring)
    if as_json:
        print_json({"metrics": metrics})
        return
    print_table(["metric", "value"], [[name, f"{value:.6g}"] for name, value in metrics.items()])


def _note(decision: str) -> None:
    click.echo(f"note: {decision}", err=True)
