"""The command ``retrain``."""

from pathlib import Path
from typing import Any

import click

from forecaster.commands.columns import column_options
from forecaster.commands.options import (
    accelerator_option,
    bounds_option,
    json_option,
    print_json,
    settings_option,
    steps_options,
    time_limit_option,
    trust_option,
)
from forecaster.training.limit import Limit

_KEPT = 3  # the exit status of a training whose model does not go into service


@click.command()
@click.argument("model", metavar="REF")
@click.option(
    "--csv", type=click.Path(path_type=Path), required=True, help="The file that has grown."
)
@click.option(
    "--promote-if-better",
    "promote",
    is_flag=True,
    help="Into service if its forecasts are closer than those of the version that is there.",
)
@click.option(
    "--register", metavar="NAME", help="The registered model (default: that of the reference)."
)
@click.option("--alias", help="The alias of the version in service (default: the reference's).")
@steps_options
@bounds_option
@column_options
@settings_option
@click.option("--seed", type=int, help="Seed of all random numbers (default: as before).")
@accelerator_option
@click.option(
    "--experiment", default="forecaster", show_default=True, help="The MLflow experiment."
)
@click.option("--run-name", help="The MLflow run's name.")
@click.option("--output", type=click.Path(path_type=Path), help="The folder of the saved model.")
@time_limit_option("End after this time (90s, 10m, 2h), with what is best by then.")
@trust_option
@json_option
@click.pass_context
def retrain(
    ctx: click.Context,
    /,
    model: str,
    csv: Path,
    promote: bool,
    register: str | None,
    alias: str | None,
    settings: tuple[str, ...],
    experiment: str,
    run_name: str | None,
    output: Path | None,
    limit: Limit | None,
    trust_code: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train the model REF again on a file that has grown, with all its settings.

    It begins with the weights of the earlier model where that has not seen what is held out now.
    Both are scored on the newest rows that neither has learnt from. With --promote-if-better the
    exit status is 0 if the new version is in service, and 3 if the earlier one stays.
    """
    from forecaster.commands.train import overrides
    from forecaster.training.stages import quiet_libraries
    from forecaster.workflows.retrain import Retrained, RetrainOptions
    from forecaster.workflows.retrain import retrain as run

    quiet_libraries()
    done: Retrained = run(
        RetrainOptions(
            model,
            csv,
            overrides(given),
            settings,
            register,
            alias,
            promote,
            experiment,
            run_name,
            output,
            limit,
            trust_code,
        )
    )
    if as_json:
        print_json(done.to_json())
    else:
        for line in done.lines():
            click.echo(line)
    ctx.exit(_KEPT if done.promoted is False else 0)
