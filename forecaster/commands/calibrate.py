"""The command ``calibrate``."""

from pathlib import Path

import click

from forecaster.commands.options import (
    accelerator_option,
    json_option,
    metrics_option,
    note,
    print_json,
    print_table,
    trust_option,
)

_ROWS = 10  # of the table by step


@click.command()
@click.argument("model", metavar="REF")
@click.option(
    "--csv",
    type=click.Path(path_type=Path),
    help="The file that it was trained on (default: where that was).",
)
@click.option("--output", type=click.Path(path_type=Path), help="The folder of the new model.")
@click.option("--register", metavar="NAME", help="Register it as a version of the model NAME.")
@click.option(
    "--experiment", default="forecaster", show_default=True, help="The MLflow experiment."
)
@click.option("--run-name", help="The MLflow run's name.")
@accelerator_option
@trust_option
@metrics_option
@json_option
def calibrate(
    model: str,
    csv: Path | None,
    output: Path | None,
    register: str | None,
    experiment: str,
    run_name: str | None,
    accelerator: str | None,
    trust_code: bool,
    metrics: str,
    as_json: bool,
) -> None:
    """Take the mean errors of the network of the diffusion model REF out of its output.

    They are measured at each step of its path on earlier validation windows, and kept where they
    lower the squared error on later ones. The calibrated model is a new one; REF stays as it is.
    """
    from forecaster.data.windows import evenly_spaced
    from forecaster.reporting.numbers import figure
    from forecaster.reporting.summary import metric_rows, of_split
    from forecaster.training.stages import quiet_libraries
    from forecaster.workflows.calibrate import CalibrateOptions, calibrate_saved
    from forecaster.workflows.run_context import RunContext

    quiet_libraries()
    options = CalibrateOptions(
        model, csv, output, register, experiment, run_name, accelerator, trust_code
    )
    done = calibrate_saved(options, RunContext(notify=note))
    trained, steps = done.trained, done.by_step()
    if as_json:
        print_json(
            {
                "run_id": done.run_id,
                "outcome": done.outcome,
                "steps": steps,
                "model_dir": None if trained is None else str(trained.folder),
                "version": None if trained is None else trained.version,
                "metrics": {} if trained is None else trained.metrics,
                "metrics_before": {f"test/{name}": each for name, each in done.before.items()},
                "seasonal_naive": {} if trained is None else trained.baseline,
                "verdict": None if trained is None else trained.verdict.text,
            }
        )
        return
    shown = [steps[number] for number in evenly_spaced(len(steps), _ROWS).tolist()]
    rows = [
        [each["step"], *map(figure, (each["before"], each["after"])), "kept" * each["kept"]]
        for each in shown
    ]
    print_table(["step", "squared error before", "after", "mean error"], rows, left=(3,))
    click.echo(done.outcome)
    if trained is not None:
        columns = [
            done.before,
            *(of_split(each, "test") for each in (trained.metrics, trained.baseline)),
        ]
        print_table(
            ["metric, test", "before", "after", "seasonal naive"],
            metric_rows(columns, metrics == "all"),
        )
        click.echo(trained.verdict.text)
        if trained.version is not None:
            click.echo(f"version {trained.version} of the registered model; see: models versions")
    click.echo(f"run    {done.run_id}")
    if trained is not None:
        click.echo(f"model  {trained.folder}")
