"""The commands about models: ``models`` and ``serve``."""

import os
from pathlib import Path
from typing import Literal

import click

from forecaster.commands.options import (
    accelerator_option,
    json_option,
    print_json,
    print_table,
    trust_option,
)


@click.group()
def models() -> None:
    """The models that can be trained, and the versions that were registered."""


@models.command("list")
@json_option
def models_list(as_json: bool) -> None:
    """The configurations, each with its first line."""
    from forecaster.config.paths import CONFIGS

    presets = {
        p.stem: p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        for p in sorted(CONFIGS.glob("*.yaml"), key=lambda path: path.stem)
    }
    if as_json:
        print_json(presets)
        return
    for name, about in presets.items():
        click.echo(f"{name:<20} {about}")


@models.command("show")
@click.argument("name")
@trust_option
@json_option
def models_show(name: str, trust_code: bool, as_json: bool) -> None:
    """A configuration in full, with every default."""
    from forecaster.config.load import dump_content, find_config
    from forecaster.config.part_index import full_configuration

    content = full_configuration(find_config(name), trust_code)
    if as_json:
        print_json(content)
    else:
        click.echo(dump_content(content), nl=False)


@models.command("parts")
@click.option("--kind", help="One kind only: forecaster, network, condition, schedule, objective.")
@json_option
def models_parts(kind: str | None, as_json: bool) -> None:
    """All parts of models, with their settings and defaults.

    Priors are forecasters. Your own parts are named FILE.py:Class or MODULE:Class.
    """
    from forecaster.config.part_index import heading, parts_of, setting_lines

    parts = parts_of(kind)
    if as_json:
        print_json(parts)
        return
    for kind_name, by_name in parts.items():
        for name, about in by_name.items():
            click.echo(heading(kind_name, name, about))
            for line in setting_lines(about["settings"]):
                click.echo(f"    {line}")


@models.command("versions")
@click.argument("name", required=False)
@json_option
def models_versions(name: str | None, as_json: bool) -> None:
    """The registered versions of NAME, or of all models, newest first."""
    from forecaster.serving.registry import list_versions

    versions = list_versions(name)
    if as_json:
        print_json({"versions": versions})
        return
    metric_names = ("test/mse", "test/crps")
    rows = []
    for each in versions:
        metrics = [
            f"{each['metrics'][m]:.5g}" if m in each["metrics"] else "" for m in metric_names
        ]
        rows.append(
            [
                each["name"],
                str(each["version"]),
                ", ".join(each["aliases"]),
                each["run_id"] or "",
                *metrics,
            ]
        )
    print_table(["name", "version", "alias", "run", *metric_names], rows)


@models.command("promote")
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--alias", default="champion", show_default=True, help="The alias of the version.")
@click.option(
    "--force", is_flag=True, help="Without a comparison with the version that has the alias."
)
@click.option(
    "--csv",
    type=click.Path(path_type=Path),
    help="A file with rows that neither version has learnt from (default: the version's own).",
)
@trust_option
@json_option
def models_promote(
    name: str,
    version: int,
    alias: str,
    force: bool,
    csv: Path | None,
    trust_code: bool,
    as_json: bool,
) -> None:
    """Assign an alias to a registered version, for references models:/NAME@ALIAS.

    A version whose forecasts are further off than those of the one that has it is refused.
    """
    from forecaster.workflows.promote import promote

    done = promote(
        name, version, alias, force, csv, lambda line: click.echo(line, err=True), trust_code
    )
    if as_json:
        print_json(
            {
                "name": name,
                "version": version,
                "alias": alias,
                "before": done.before,
                "comparison": None if done.contest is None else done.contest.to_json(),
                "changes": done.changes,
            }
        )
        return
    before = ""
    if done.before not in (None, version):
        comparison = "not compared" if done.contest is None else done.contest.text
        before = f", before: version {done.before} ({comparison})"
    click.echo(f"models:/{name}@{alias}  version {version}{before}")


@click.command()
@click.option(
    "--model",
    "reference",
    required=True,
    metavar="REF",
    help="A saved model's folder, a run's name or id, models:/NAME@ALIAS (followed), latest (of "
    "the start).",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; the default is this machine only.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5001,
    show_default=True,
    help="0: any that is free.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name by which the server is asked; may be given several times.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file with the token that clients have to send; or FORECASTER_TOKEN has it.",
)
@click.option(
    "--log-format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The lines on standard error: to be read, or an object each.",
)
@accelerator_option
@trust_option
def serve(
    reference: str,
    host: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    form: Literal["text", "json"],
    accelerator: str | None,
    trust_code: bool,
) -> None:
    """Serve forecasts of tables posted to /invocations, by MLflow's scoring protocol.

    When the alias of models:/NAME@ALIAS is moved, the version that it then names is served.
    """
    # before Arrow is loaded: memory that is given back, and that has a bound
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from forecaster.serving import log, server
    from forecaster.serving.source import Source
    from forecaster.serving.token import read_token

    log.to_standard_error(form)
    token = read_token(token_file, log.tell)
    server.serve(Source(reference, accelerator, trust_code), host, port, names, token, form)
