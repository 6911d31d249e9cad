"""Reading and writing the typed configuration as YAML."""

import copy
import functools
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from forecaster.config.parts import NO_TRUST, Kind, Trust, find, part_kind_of
from forecaster.config.paths import CONFIGS
from forecaster.config.schema import Config
from forecaster.config.sections import Section, nearest
from forecaster.errors import UserError

_LONGEST = 1_000_000  # letters of a configuration
_LARGEST = 100_000  # values in it
_MERGE = "tag:yaml.org,2002:merge"  # << brings in the keys of another mapping


def find_config(name: str) -> Path:
    """``configs/NAME.yaml``, or the path of a YAML file."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return path
    preset = CONFIGS / f"{name}.yaml"
    if not preset.is_file():
        names = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
        raise UserError(f"no model '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    return preset


def keys_of(settings: Iterable[str]) -> tuple[str, ...]:
    """The keys that settings of ``--set``, KEY=VALUE each, are of."""
    return tuple(setting.partition("=")[0].strip() for setting in settings)


def read_yaml(path: Path) -> dict[str, Any]:
    """The content of a YAML file, which has to be a mapping."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
        content = _parsed(text)
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


def _parsed(text: str) -> Any:
    """The content of a YAML text; raises ValueError for one that is, or would grow, too large."""
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} letters")
    return copy.deepcopy(_parsed_once(text))


@functools.lru_cache(maxsize=32)  # the cells of a benchmark have few configurations
def _parsed_once(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _LARGEST:
            raise ValueError("its aliases repeat too much")
        _check_keys(loader, node, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values of a node with every alias written out."""
    if id(node) not in known:
        parts: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = [each for part in parts for each in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + sum(_size(each, known) for each in pairs)
    return known[id(node)]


def _check_keys(loader: yaml.SafeLoader, node: yaml.Node, seen: set[int]) -> None:
    """Raise YAMLError where a mapping has a key twice: of its values the last would be taken."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    keys = set()
    for part in node.value:
        if not isinstance(part, tuple):
            _check_keys(loader, part, seen)
            continue
        key, value = part
        _check_keys(loader, value, seen)
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        name = loader.construct_object(key)
        if name in keys:
            problem = f"the key '{key.value}' is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        keys.add(name)


def load_config(
    path: Path, settings: Sequence[str] = (), overrides: Mapping[str, Any] | None = None
) -> Config:
    """Read and validate a configuration, overridden by ``overrides`` and then by settings.

    ``settings``: texts KEY=VALUE.
    """
    return _overridden(read_yaml(path), str(path), settings, overrides or {})


def changed_config(
    config: Config, source: str, settings: Sequence[str], overrides: Mapping[str, Any]
) -> Config:
    """A configuration overridden as by ``load_config``; ``source``: its name in messages."""
    return _overridden(config.model_dump(mode="json"), source, settings, overrides)


def _overridden(
    content: dict[str, Any], source: str, settings: Sequence[str], overrides: Mapping[str, Any]
) -> Config:
    before, titled = _part_name(content), False
    for key, value in overrides.items():
        _put(content, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, for example trainer.max_steps=2")
        try:
            value = _parsed(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            if isinstance(error, yaml.constructor.ConstructorError) and error.problem_mark:
                raise UserError(f"--set {setting}: {error.problem}; correct it") from error
            raise UserError(f"--set {setting}: the value is not YAML; quote it") from error
        _put(content, key.strip(), value)
        titled = titled or key.strip() == "title"
    if _part_name(content) != before and not titled:
        content.pop("title", None)  # it was that of another model
    return check_config(content, source, Trust(code=True))


def _part_name(content: Mapping[str, Any]) -> Any:
    """The name of a configuration's forecaster, as far as it has one."""
    model = content.get("model")
    return model.get("name") if isinstance(model, Mapping) else model


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise UserError(f"configuration key '{key}': '{section}' is a value, not a section")
    content[last] = value


def check_config(content: Mapping[str, Any], source: str, trust: Trust = NO_TRUST) -> Config:
    """Validate a configuration, with the first fault as UserError. ``trust``: in custom parts."""
    try:
        return Config.model_validate(content, context=trust)
    except RecursionError as error:
        raise UserError(f"{source}: nested too deeply; correct it") from error
    except ValidationError as error:
        fault = error.errors()[0]
    key, section = _locate(content, fault["loc"], trust)
    if fault["type"] == "extra_forbidden":
        last, known = key.rpartition(".")[2], sorted(section.model_fields)
        message = (
            f"{source}: no configuration key '{key}'{nearest(last, known)}; "
            f"known: {', '.join(known)}"
        )
        if "name" in known:  # the keys may be those of the part that was replaced
            replaced = key.removesuffix(f".{last}")
            message += f"; a part that is exchanged is given whole: {replaced}={{name: …}}"
        raise UserError(message)
    raise UserError(f"{source}: configuration key '{key}': {reason(fault)}; correct it")


def reason(fault: Any) -> str:
    """A message for one of pydantic's errors, with the wrong value."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    of_a_section = isinstance(fault["input"], Mapping | Section)
    value = "" if of_a_section else f", got {reprlib.repr(fault['input'])}"
    return message[0].lower() + message[1:] + value


def _locate(
    content: Mapping[str, Any], location: Sequence[str | int], trust: Trust
) -> tuple[str, type[Section]]:
    """The dotted key of a fault, and the class of its section."""
    section: type[Section] = Config
    inside: type[Section] | None = Config
    value: Any = content
    kind: Kind | None = None
    keys: list[str] = []
    for step in location:
        if isinstance(step, str):
            if kind is not None:
                inside = find(kind, value["name"], trust).config
            if inside is None:  # the rest names an alternative of the field's type
                break
            section, field = inside, inside.model_fields.get(step)
            kind = None if field is None else part_kind_of(field)
            inside = None if field is None else _section(field.annotation)
        keys.append(str(step))
        value = _item(value, step)
    return ".".join(keys), section


def _item(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    return value[step] if isinstance(value, list | tuple) and isinstance(step, int) else None


def _section(annotation: Any) -> type[Section] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def dump_config(config: Config) -> str:
    """The configuration as YAML."""
    return dump_content(config.model_dump(mode="json"))


def dump_content(content: Mapping[str, Any]) -> str:
    """A configuration's plain values as YAML."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
