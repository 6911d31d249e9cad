"""The command ``train``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import COLUMNS, column_options
from forecaster.commands.options import (
    accelerator_option,
    bounds_option,
    json_option,
    metrics_option,
    print_json,
    print_table,
    settings_option,
    steps_options,
    time_limit_option,
)
from forecaster.config.program import install_extra, program
from forecaster.errors import UserError
from forecaster.training.limit import Limit


@click.command()
@click.argument("config", required=False)
@click.option("--csv", type=click.Path(path_type=Path), help="The file to train on.")
@click.option("--dataset", metavar="NAME", help="A named data set, by its published protocol.")
@click.option(
    "--model", metavar="NAME", help="A configuration of configs/ by its name (default: s2dbm)."
)
@steps_options
@bounds_option
@settings_option
@click.option("--seed", type=int, help="Seed of all random numbers.")
@accelerator_option
@click.option(
    "--devices",
    type=int,
    help="Number of GPUs, or of processes on the CPU; each has its own batches.",
)
@click.option(
    "--refit",
    type=click.Choice(["all", "none"]),
    help="Then train the saved model on all rows, or save the one that was scored (default: all, "
    "none with --dataset).",
)
@click.option("--precision", help="32-true, 16-mixed or bf16-mixed.")
@click.option(
    "--experiment", default="forecaster", show_default=True, help="The MLflow experiment."
)
@click.option(
    "--run-name",
    help="The MLflow run's name (default: configuration, data, horizon, --set model.…).",
)
@click.option("--output", type=click.Path(path_type=Path), help="The folder of the saved model.")
@click.option(
    "--register", metavar="NAME", help="Register the model as a version of the model NAME."
)
@click.option(
    "--resume",
    metavar="REF",
    help="Resume an interrupted training: its run's name or short id, or latest.",
)
@metrics_option
@time_limit_option("End after this time (90s, 10m, 2h), with what is best by then.")
@column_options
@json_option
def train(
    config: str | None,
    model: str | None,
    settings: tuple[str, ...],
    experiment: str,
    run_name: str | None,
    output: Path | None,
    register: str | None,
    resume: str | None,
    limit: Limit | None,
    metrics: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a model: CONFIG is a YAML file or a name in configs/ (see: models list)."""
    if config is not None and model is not None:
        raise click.UsageError("give CONFIG or --model, not both")
    selected = model if config is None else config
    from forecaster.config.load import keys_of
    from forecaster.training.stages import quiet_libraries
    from forecaster.workflows import train as training

    quiet_libraries()
    if resume is not None:
        others = [n for n, v in given.items() if v is not None] + [
            n for n, v in {"CONFIG": selected}.items() if v is not None
        ]
        if others or settings or output or register:
            raise click.UsageError(
                "--resume continues with the configuration of its run; give nothing else but "
                "--time-limit"
            )
        trained = training.resume(resume, limit=limit)
    else:
        chosen = "s2dbm" if selected is None else selected
        loaded = train_config(chosen, given, settings)
        options = training.TrainOptions(
            loaded,
            experiment,
            run_name,
            output,
            registered_name=register,
            preset=Path(chosen).stem,
            changes=_changes(settings),
            limit=limit,
            asked=keys_of(settings),
        )
        trained = training.train(options)
    if as_json:
        version = {} if trained.version is None else {"version": trained.version}
        print_json(
            {
                "run_id": trained.run_id,
                "model_dir": str(trained.folder),
                "metrics": trained.metrics,
                "seasonal_naive": trained.baseline,
                "verdict": trained.verdict.text,
                "skill": asdict(trained.verdict.skill),
                "by_series": trained.by_series,
                **(
                    {"leaderboard": rows}
                    if (rows := list(map(asdict, trained.leaderboard)))
                    else {}
                ),
                "refit": "none" if trained.trained_until is None else "all",
                "learnt_until": trained.said(trained.learnt_until),
                "trained_until": trained.said(trained.trained_until),
                **version,
            }
        )
        return
    if trained.leaderboard:
        _print_leaderboard(trained.leaderboard)
    _print_metrics(trained.metrics, trained.baseline, metrics == "all")
    click.echo(trained.verdict.text)
    if trained.by_series is not None:
        click.echo(trained.by_series)
    if trained.version is not None:
        click.echo(f"version {trained.version} of the registered model; see: models versions")
    click.echo(trained.scored)
    click.echo(f"run    {trained.run_id}\nmodel  {trained.folder}")


def _changes(settings: Sequence[str]) -> tuple[str, ...]:
    """The model settings given, for a run's name: ``model.network.width=64`` → ``width=64``."""
    pairs = [setting.partition("=") for setting in settings if setting.startswith("model.")]
    return tuple(f"{key.rpartition('.')[2].strip()}={value}" for key, _, value in pairs)


def train_config(name: str, given: Mapping[str, Any], settings: Sequence[str]) -> Any:
    """The configuration: the file, then the data set's protocol, then the options, then --set."""
    from forecaster.config.load import find_config, load_config

    return load_config(find_config(name), settings, overrides(given))


def overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration keys that the options set, with their values."""
    from forecaster.data.catalog import find_dataset

    values: dict[str, Any] = {}
    if given.get("dataset") is not None:
        dataset = find_dataset(given["dataset"])
        values |= {"data.lookback": dataset.lookback, "data.horizon": dataset.horizons[0]}
    for key in ("csv", "dataset", "horizon", "lookback", "seasons", "lower", "upper", *COLUMNS):
        if given.get(key) is not None:
            values[f"data.{key}"] = str(given[key]) if key == "csv" else given[key]
    for key in ("seed", "accelerator", "devices", "precision", "refit"):
        if given.get(key) is not None:
            values[f"trainer.{key}"] = given[key]
    return values


def _print_metrics(
    metrics: Mapping[str, float], baseline: Mapping[str, float], every: bool
) -> None:
    from forecaster.reporting.summary import TRAINING, metric_rows, training_columns

    print_table(TRAINING, metric_rows(training_columns(metrics, baseline), every))


def _print_leaderboard(rows: Sequence[Any]) -> None:
    """The candidates of an ensemble, those that could not be trained last, with the reason."""
    from forecaster.training.limit import in_words

    lines = [
        (row.name, row.fault, "", in_words(row.seconds))
        if row.fault is not None
        else (
            row.name,
            f"{row.crps:.4f}",
            f"{row.weight:.2f}" if row.weight else "",
            in_words(row.seconds),
        )
        for row in rows
    ]
    print_table(("candidate", "validation CRPS", "weight", "time"), lines)


@click.command()
@click.argument("config")
@click.option("--csv", type=click.Path(path_type=Path), help="The file to train on.")
@click.option("--dataset", metavar="NAME", help="A named data set, by its published protocol.")
@steps_options
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Number of trials, including earlier calls'.",
)
@time_limit_option("End after this time (90s, 10m, 2h); the next call continues.")
@click.option(
    "--metric",
    type=click.Choice(["mse", "mae", "crps", "energy"]),
    default="mae",
    show_default=True,
)
@click.option(
    "--space",
    "spaces",
    multiple=True,
    metavar="KEY=LOW..HIGH[:log]|KEY=A|B",
    help="What to search (default: learning rates, batch size, network size); may be repeated.",
)
@bounds_option
@settings_option
@click.option("--seed", type=int, help="Seed of all random numbers.")
@accelerator_option
@click.option("--experiment", default="tuning", show_default=True, help="The MLflow experiment.")
@click.option("--output", type=click.Path(path_type=Path), default="tuned.yaml", show_default=True)
@column_options
@json_option
def tune(
    config: str,
    trials: int,
    limit: Limit | None,
    metric: str,
    spaces: tuple[str, ...],
    settings: tuple[str, ...],
    experiment: str,
    output: Path,
    as_json: bool,
    **given: Any,
) -> None:
    """Search for the settings of CONFIG with the best validation metric.

    The same command again continues where it stopped.
    """
    try:
        from forecaster.workflows import tune as tuning
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError(f"tune needs Optuna: {install_extra('tune')}") from error
    from forecaster.config.load import find_config, keys_of
    from forecaster.training.stages import quiet_libraries

    quiet_libraries()
    loaded = train_config(config, given, settings)
    space = tuple(map(tuning.parse_range, spaces)) or tuple(tuning.default_space(loaded))
    result = tuning.tune(
        tuning.TuneOptions(
            loaded,
            Path(config).stem,
            space,
            metric,
            trials,
            limit,
            output,
            experiment,
            keys_of(settings),
            find_config(config),
        )
    )
    if as_json:
        print_json(
            {
                "run_id": result.run_id,
                "output": str(result.output),
                "trial": result.number,
                "settings": result.settings,
                f"val/{metric}": result.value,
                "complete": result.complete,
                "pruned": result.pruned,
                "failed": result.failed,
            }
        )
        return
    trials = result.complete + result.pruned + result.failed
    states = f"{result.pruned} pruned, {result.failed} failed"
    click.echo(f"trial {result.number} of {trials} ({states}): val/{metric} {result.value:.5g}")
    for key, value in result.settings.items():
        click.echo(f"  {key}={value}")
    click.echo(
        f"run    {result.run_id}\nconfig {result.output}   (test it once: {program()} train "
        f"{result.output} …)"
    )
