"""The typed configuration: YAML in and out, unknown keys refused with the nearest that exists."""

import reprlib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from forecaster.config.paths import CONFIGS
from forecaster.config.schema import Config
from forecaster.config.sections import Section, nearest
from forecaster.errors import UserError


def find_config(name: str) -> Path:
    """``configs/NAME.yaml``, or the path of a YAML file."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return path
    found = CONFIGS / f"{name}.yaml"
    if not found.is_file():
        names = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
        raise UserError(f"no model '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, read safely."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except RecursionError as error:
        raise UserError(f"{path}: not a configuration (nested too deeply); correct it") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}{line}: not a YAML file ({getattr(error, 'problem', error)}); correct it"
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: not a configuration; it needs the sections data, model and trainer"
        )
    return content


def load_config(
    path: Path, settings: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Config:
    """Read a configuration, lay ``overrides`` and then ``KEY=VALUE`` settings over it, and check
    it.
    """
    content = read_yaml(path)
    for key, value in (overrides or {}).items():
        _put(content, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, for example trainer.max_steps=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {setting}: the value is not YAML; quote it") from error
        _put(content, key.strip(), value)
    return check_config(content, str(path))


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise UserError(f"configuration key '{key}': '{section}' is a value, not a section")
    content[last] = value


def check_config(content: Mapping[str, Any], source: str) -> Config:
    """Validate; the first fault is told in one line."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
    sections, keys = _walk(first["loc"])
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = sorted(sections.model_fields)
        told = (
            f"{source}: no configuration key '{key}'{nearest(keys[-1], known)}; "
            f"known: {', '.join(known)}"
        )
        if "name" in known:  # the keys may be those of the part that was there before
            told += f"; a part that is exchanged is given whole: {'.'.join(keys[:-1])}={{name: …}}"
        raise UserError(told)
    raise UserError(f"{source}: configuration key '{key}': {reason(first)}; correct it")


def reason(fault: Any) -> str:
    """What is wrong with a value, from pydantic's account of it."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return (
        message[0].lower()
        + message[1:]
        + ("" if fault["type"] == "missing" else f", got {reprlib.repr(fault['input'])}")
    )


def _walk(location: Sequence[str | int]) -> tuple[type[Section], list[str]]:
    """The section that a fault lies in, and the keys that lead to it: its location without the
    names of alternatives.
    """
    section: type[Section] = Config
    options: dict[str, type[Section]] = {}
    keys: list[str] = []
    for part in map(str, location):
        if part in options:  # one of several sections, told apart by its name
            section, options = options[part], {}
            continue
        keys.append(part)
        field = section.model_fields.get(part)
        kinds = (
            []
            if field is None
            else [k for k in _leaves(field.annotation) if hasattr(k, "model_fields")]
        )
        options = {k.model_fields["name"].default: k for k in kinds if "name" in k.model_fields}
        if len(kinds) == 1 and not options:
            section = kinds[0]
    return section, keys


def _leaves(kind: Any) -> list[Any]:
    """The classes of a union, however it is nested and annotated."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in {typing.Annotated, typing.Literal}:
        arguments = arguments[:1]
    return [leaf for argument in arguments for leaf in _leaves(argument)] if arguments else [kind]


def dump_config(config: Config) -> str:
    """The configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
