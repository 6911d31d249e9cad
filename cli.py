"""The command line: parse, call, print. Whatever is heavy is imported inside the command that needs it."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from forecaster.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])


class Cli(click.Group):
    """A group whose user errors are one line on standard error and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; ``--debug`` shows tracebacks instead."""
        try:
            return super().invoke(ctx)
        except (UserError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            message = str(error) if isinstance(error, UserError) else _os_error(error)
            click.echo(f"error: {message}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("interrupted; an unfinished training goes on with: train --resume latest", err=True)
            ctx.exit(130)


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; check the path, its permissions and the free space"


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name=None, version="0.1.0", prog_name="forecaster")
def main(debug: bool) -> None:
    """Train forecasting models on a CSV file, forecast what comes next, and compare runs."""
    if not debug:
        warnings.filterwarnings("ignore")


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(name.strip() for name in value.split(","))


def _levels(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(level) for level in value.split(",")}))
    except ValueError as error:
        raise click.BadParameter("numbers between 0 and 1, separated by commas") from error


def _bounds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | dict[str, float] | None:
    if value is None:
        return None
    try:
        pairs = [part.rpartition("=") for part in value.split(",")]
        return {name.strip(): float(text) for name, _, text in pairs} if "=" in value else float(value)
    except ValueError as error:
        raise click.BadParameter("a number for all columns, or COL=NUMBER, separated by commas") from error


column_options = _options(
    click.option("--timestamp", metavar="COL", help="The time column."),
    click.option("--target", metavar="COL[,COL…]", callback=_names, help="The value columns."),
    click.option("--item-id", metavar="COL", help="The column that names the series (long files)."),
    click.option("--freq", help="The interval, e.g. 15min, h, D, B, W-MON, MS, ME, QE-DEC."),
    click.option("--timezone", help="The zone of local times, e.g. Europe/Berlin."),
    click.option(
        "--on-gap", type=click.Choice(["error", "fill"]), help="Missing times: refuse, or take as missing values."
    ),
    click.option("--on-duplicate", type=click.Choice(["error", "first", "last", "mean"]), help="Repeated times."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
conformal_option = click.option(
    "--conformal", is_flag=True, help="Intervals from the errors on validation, in place of the model's own."
)
accelerator_option = click.option("--accelerator", type=click.Choice(["auto", "cpu", "gpu"]), help="Where to compute.")
resample_option = click.option(
    "--resample-rate", type=click.IntRange(1), default=1, metavar="R",
    help="The file's interval is R times the model's: state-space models read it with steps R times as long.",
)  # fmt: skip
COLUMNS = ("timestamp", "target", "item_id", "freq", "timezone", "on_gap", "on_duplicate")


def _print_json(content: Mapping[str, Any]) -> None:
    click.echo(json.dumps(content, ensure_ascii=False))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned first column, the rest to the right; plain text, however narrow the terminal."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        click.echo("  ".join(cells).rstrip())


@main.command()
@click.argument("config", required=False)
@click.option("--csv", type=click.Path(path_type=Path), help="The file to learn from.")
@click.option("--dataset", metavar="NAME", help="A named data set, by its published protocol.")
@click.option("--model", metavar="NAME", help="A configuration of configs/ by its name (default: s2dbm).")
@click.option("--horizon", type=int, help="Steps to forecast.")
@click.option("--lookback", type=int, help="Steps of history that the model reads.")
@click.option(
    "--lower",
    metavar="X|COL=X,…",
    callback=_bounds,
    help="No value lies below (0 for counts): forecasts are cut off there.",
)
@click.option("--upper", metavar="X|COL=X,…", callback=_bounds, help="No value lies above.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any configuration key.")
@click.option("--seed", type=int, help="Seed of all random numbers.")
@accelerator_option
@click.option("--devices", type=int, help="How many GPUs, or processes on the CPU; each takes batches of its own.")
@click.option("--precision", help="32-true, 16-mixed or bf16-mixed.")
@click.option("--experiment", default="forecaster", show_default=True, help="The MLflow experiment.")
@click.option("--run-name", help="The MLflow run's name (default: configuration, data and horizon).")
@click.option("--output", type=click.Path(path_type=Path), help="The folder of the saved model.")
@click.option("--resume", metavar="REF", help="Go on with an interrupted training: its run id, or latest.")
@column_options
@json_option
def train(
    config: str | None,
    model: str | None,
    settings: tuple[str, ...],
    experiment: str,
    run_name: str | None,
    output: Path | None,
    resume: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a model: CONFIG is a YAML file or a name in configs/ (see: models list)."""
    if config is not None and model is not None:
        raise click.UsageError("give CONFIG or --model, not both")
    from forecaster import training
    from forecaster.fitting import quiet_libraries

    quiet_libraries()
    if resume is not None:
        others = [n for n, v in given.items() if v is not None] + [n for n, v in {"CONFIG": config or model}.items() if v]
        if others or settings or output:
            raise click.UsageError("--resume goes on with the configuration of its run; give nothing else")
        trained = training.resume(resume)
    else:
        chosen = config or model or "s2dbm"
        loaded = _train_config(chosen, given, settings)
        data = loaded.data.dataset or Path(loaded.data.csv or "").stem
        name = run_name or f"{Path(chosen).stem} {data} {loaded.data.horizon}"
        trained = training.train(loaded, experiment, name, output)
    if as_json:
        _print_json({"run_id": trained.run_id, "model_dir": str(trained.folder), "metrics": trained.metrics})
        return
    _print_metrics(trained.metrics, trained.baseline)
    click.echo(f"run    {trained.run_id}\nmodel  {trained.folder}")


def _train_config(name: str, given: Mapping[str, Any], settings: Sequence[str]) -> Any:
    """The configuration: the file, then the data set's protocol, then the options, then --set."""
    from forecaster.config import find_config, load_config
    from forecaster.data.catalog import find_dataset

    overrides: dict[str, Any] = {}
    if given["dataset"] is not None:
        dataset = find_dataset(given["dataset"])
        overrides |= {"data.lookback": dataset.lookback, "data.horizon": dataset.horizons[0]}
    for key in ("csv", "dataset", "horizon", "lookback", "lower", "upper", *COLUMNS):
        if given[key] is not None:
            overrides[f"data.{key}"] = str(given[key]) if key == "csv" else given[key]
    for key in ("seed", "accelerator", "devices", "precision"):
        if given[key] is not None:
            overrides[f"trainer.{key}"] = given[key]
    return load_config(find_config(name), settings, overrides)


def _print_metrics(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> None:
    names = dict.fromkeys(name.partition("/")[2] for name in metrics if name.startswith(("val/", "test/")))
    rows = []
    for name in names:
        values = (metrics.get(f"val/{name}"), metrics.get(f"test/{name}"), baseline.get(f"test/{name}"))
        rows.append([name, *("" if v is None else f"{v:.5g}" for v in values)])
    _print_table(["metric", "val", "test", "seasonal naive, test"], rows)


@main.command()
@click.option("--model", "reference", required=True, metavar="REF", help="A saved model's folder, runs:/ID/model, latest.")
@click.option("--csv", type=click.Path(path_type=Path), required=True, help="The file whose last rows are the history.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: forecast.csv; with --stream, standard output.")
@click.option("--stream", is_flag=True, help="Then read further rows from standard input and forecast after each.")
@resample_option
@click.option("--mode", type=click.Choice(["point", "probabilistic"]), help="Default: probabilistic if the model can.")
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Sampling steps (default: the model's own).")
@click.option("--quantiles", default="0.05,0.5,0.95", callback=_levels, show_default=True)
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
        lines = click.get_text_stream("stdin", encoding="utf-8-sig", errors="replace")
        say = lambda decision: click.echo(f"note: {decision}", err=True)  # noqa: E731
        forecasting.stream(asked, lines, lambda text: click.echo(text, nl=False), say, as_json)
        return
    written = forecasting.forecast(asked)
    if as_json:
        _print_json(written.meta | {"output": str(written.output)})
        return
    for decision in written.meta["decisions"]:
        click.echo(f"note: {decision}", err=True)
    click.echo(f"{written.output}: {written.rows} rows, {written.meta['mode']}, {written.meta['horizon']} steps ahead")
    if plot is not None:
        click.echo(str(plot))


@main.command()
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
        _print_json({"metrics": metrics})
        return
    _print_table(["metric", "value"], [[name, f"{value:.6g}"] for name, value in metrics.items()])


@main.command()
@click.option("--csv", type=click.Path(path_type=Path), required=True)
@click.option("--horizon", type=click.IntRange(1), default=96, show_default=True, help="What training would be asked for.")
@click.option("--lookback", type=click.IntRange(1), default=336, show_default=True)
@column_options
@json_option
def check(csv: Path, horizon: int, lookback: int, as_json: bool, **roles: Any) -> None:
    """Say what is found in a file, and what training and forecasting would do with it."""
    from forecaster.checking import check_file

    found = check_file(csv, horizon, lookback, {k: v for k, v in roles.items() if v is not None})
    if as_json:
        _print_json(found)
    else:
        for key, value in found.items():
            if isinstance(value, dict):
                value = [f"{name}: {text}" for name, text in value.items()]
            if isinstance(value, list):
                for item in value:
                    click.echo(f"{key + ':':<16} {item}")
            elif value is not None:
                click.echo(f"{key + ':':<16} {value}")
    if found["refused"] is not None:
        click.get_current_context().exit(1)


@main.group()
def datasets() -> None:
    """The named data sets."""


@datasets.command("list")
@json_option
def datasets_list(as_json: bool) -> None:
    """Names, intervals, and whether they are here."""
    from forecaster.data.catalog import catalog

    if as_json:
        _print_json({name: entry.model_dump(mode="json") for name, entry in catalog().items()})
        return
    rows = [[n, d.interval, "here" if d.path.is_file() else "-", d.about] for n, d in catalog().items()]
    for name, interval, here, about in [["name", "interval", "file", "about"], *rows]:
        click.echo(f"{name:<9} {interval:<8} {here:<5} {about}")


@datasets.command("show")
@click.argument("name")
@json_option
def datasets_show(name: str, as_json: bool) -> None:
    """Everything known of one data set."""
    from forecaster.data.catalog import find_dataset

    entry = find_dataset(name).model_dump(mode="json")
    if as_json:
        _print_json({name: entry})
        return
    for key, value in entry.items():
        click.echo(f"{key:<9} {value}")


@datasets.command("fetch")
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Take the file from a folder.")
def datasets_fetch(name: str, source: Path | None) -> None:
    """Download a data set (or take it from a folder) and verify it; NAME may be 'all'."""
    from forecaster.data.catalog import catalog, fetch

    for each in catalog() if name == "all" else [name]:
        click.echo(str(fetch(each, source)))


@main.group()
def models() -> None:
    """The models that can be trained."""


@models.command("list")
@json_option
def models_list(as_json: bool) -> None:
    """The configurations, each with its first line."""
    from forecaster.config import CONFIGS

    found = {p.stem: p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for p in sorted(CONFIGS.glob("*.yaml"))}
    if as_json:
        _print_json(found)
        return
    for name, about in found.items():
        click.echo(f"{name:<20} {about}")


@models.command("show")
@click.argument("name")
def models_show(name: str) -> None:
    """A configuration in full, with every default."""
    from forecaster.config import dump_config, find_config, load_config

    click.echo(dump_config(load_config(find_config(name))), nl=False)


@main.group()
def runs() -> None:
    """The tracked runs."""


@runs.command("list")
@click.option("--experiment", help="One experiment only.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
def runs_list(experiment: str | None, limit: int, as_json: bool) -> None:
    """The newest runs."""
    from forecaster.tracking import list_runs

    found = list_runs(experiment, limit)
    if as_json:
        _print_json({"runs": found})
        return
    shown = ("test/mse", "test/mae", "test/crps", "test/coverage/90")
    rows = []
    for run in found:
        data = run["params"].get("data.dataset") or Path(run["params"].get("data.csv", "-")).name
        metrics = [f"{run['metrics'][m]:.4g}" if m in run["metrics"] else "" for m in shown]
        rows.append([run["run_id"], run["name"], run["status"], run["params"].get("model.name", "-"), data, *metrics])
    _print_table(["run", "name", "status", "model", "data", *shown], rows)


@runs.command("compare")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN RUN…")
@json_option
def runs_compare(run_ids: tuple[str, ...], as_json: bool) -> None:
    """Runs side by side: the parameters that differ, and the final metrics."""
    from forecaster.tracking import get_run

    found = [get_run(run_id) for run_id in run_ids]
    if as_json:
        _print_json({"runs": found})
        return
    keys = sorted({key for run in found for key in run["params"]})
    differing = [key for key in keys if len({run["params"].get(key) for run in found}) > 1]
    rows = [[key, *(run["params"].get(key, "") for run in found)] for key in differing]
    for name in sorted({m for run in found for m in run["metrics"] if m.startswith(("val/", "test/"))}):
        rows.append([name, *(f"{r['metrics'][name]:.5g}" if name in r["metrics"] else "" for r in found)])
    _print_table(["", *(run["name"] for run in found)], [[str(cell)[:44] for cell in row] for row in rows])


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(port: int) -> None:
    """Open the MLflow UI over the configured store, on this machine only."""
    import subprocess

    from forecaster.tracking import ui_command, ui_page

    click.echo(f"the runs: {ui_page(port)}  (Ctrl-C ends the server)", err=True)
    sys.exit(subprocess.call(ui_command(port)))


if __name__ == "__main__":
    main()
