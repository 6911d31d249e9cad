"""The commands about models: ``models``."""

import click

from forecaster.commands.options import json_option, print_json


@click.group()
def models() -> None:
    """The models that can be trained."""


@models.command("list")
@json_option
def models_list(as_json: bool) -> None:
    """The configurations, each with its first line."""
    from forecaster.config import CONFIGS

    found = {p.stem: p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for p in sorted(CONFIGS.glob("*.yaml"))}
    if as_json:
        print_json(found)
        return
    for name, about in found.items():
        click.echo(f"{name:<20} {about}")


@models.command("show")
@click.argument("name")
@json_option
def models_show(name: str, as_json: bool) -> None:
    """A configuration in full, with every default."""
    from forecaster.config import dump_config, find_config, load_config

    config = load_config(find_config(name))
    if as_json:
        print_json(config.model_dump(mode="json"))
    else:
        click.echo(dump_config(config), nl=False)
