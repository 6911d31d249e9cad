"""An index of all parts, generated from the registry.

Importing every part takes seconds, since their code imports torch; ``models parts`` and
``models show`` read ``parts.json`` instead. ``python -m forecaster.config.part_index`` regenerates
it, and a test compares it with the registry.
"""

import inspect
import json
import types
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from forecaster.config.load import check_config, read_yaml
from forecaster.config.parts import KINDS, Kind, PartOf, Trust, part_kind_of, parts
from forecaster.config.paths import CONFIGS
from forecaster.config.schema import DataConfig, TrainerConfig
from forecaster.config.sections import Section, nearest
from forecaster.errors import UserError

PATH = Path(__file__).with_name("parts.json")
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}

Index = dict[str, dict[str, dict[str, Any]]]


def describe() -> Index:
    """By kind and name: ``about``, ``module``, whether it can be a ``prior``, and ``settings``."""
    return {
        kind: {
            name: {
                "about": inspect.cleandoc(part.config.__doc__ or ""),
                "module": part.config.__module__,
                "prior": hasattr(part.implementation, "sample_with_label"),
                "settings": _settings(part.config, kind),
            }
            for name, part in sorted(parts(kind).items())
        }
        for kind in KINDS
    }


def _settings(section: type[Section], kind: Kind | None = None) -> dict[str, Any]:
    """``_setting`` of each field; the name of a part is not a setting."""
    defaults = section().model_dump(mode="json")
    return {
        name: _setting(field, defaults[name])
        for name, field in section.model_fields.items()
        if kind is None or name != "name"
    }


def _setting(field: FieldInfo, default: Any) -> dict[str, Any]:
    """``type`` and ``default``; also the ``kind`` of a part, or the ``settings`` of a section."""
    part_kind = part_kind_of(field)
    if part_kind is not None:
        return {"type": part_kind, "default": default, "kind": part_kind}
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        return {"type": "section", "settings": _settings(field.annotation)}
    return {"type": _type(field.annotation) + _limits(field.metadata), "default": default}


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        marks = [mark for mark in arguments[1:] if isinstance(mark, PartOf)]
        return marks[0].kind if marks else _type(arguments[0]) + _limits(arguments[1:])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in {Union, types.UnionType}:
        return " | ".join(map(_type, arguments))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _limits(marks: Any) -> str:
    """The bounds among a type's annotations, as text."""
    inner = [
        m for mark in marks for m in (mark.metadata if isinstance(mark, FieldInfo) else [mark])
    ]
    bounds = [
        f" {sign} {getattr(mark, name):.10g}"
        for mark in inner
        for name, sign in _BOUNDS.items()
        if hasattr(mark, name)
    ]
    even = [" even" for mark in inner if getattr(mark, "multiple_of", None) == 2]
    return ",".join(bounds) + "".join(even)


@cache
def read_index() -> Index:
    """The content of ``parts.json``."""
    content: Index = json.loads(PATH.read_text(encoding="utf-8"))
    return content


def parts_of(kind: str | None) -> Index:
    """The index of all kinds, or of one. Raises UserError for an unknown kind."""
    index = read_index()
    if kind is None:
        return index
    if kind not in index:
        raise UserError(
            f"--kind {kind}: no such kind of part{nearest(kind, list(index))}; there are "
            f"{', '.join(index)}"
        )
    return {kind: index[kind]}


def heading(kind: str, name: str, about: Mapping[str, Any]) -> str:
    """A part's kind, name and summary in one line."""
    summary = " ".join(about["about"].partition("\n\n")[0].split()).replace("``", "")
    return f"{kind} {name}{' (can be a prior)' if about['prior'] else ''}: {summary}"


def setting_lines(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A line ``key = default  (type)`` for each setting, including those of sections."""
    for name, about in settings.items():
        if "settings" in about:
            yield from setting_lines(about["settings"], f"{prefix}{name}.")
        else:
            default = json.dumps(about["default"], ensure_ascii=False)
            yield f"{prefix}{name} = {default}  ({about['type']})"


def full_configuration(path: Path, trust_code: bool = False) -> dict[str, Any]:
    """A configuration with all defaults, as plain values. Raises UserError for an invalid one.

    A preset is completed from the index; any other file is validated, with ``trust_code`` also by
    the code of its custom parts.
    """
    content = read_yaml(path)
    if path.parent != CONFIGS:
        return check_config(content, str(path), Trust(trust_code)).model_dump(mode="json")
    return {
        "title": content.get("title"),
        "data": DataConfig.model_validate(content.get("data", {})).model_dump(mode="json"),
        "model": complete("forecaster", content["model"]),
        "trainer": TrainerConfig.model_validate(content.get("trainer", {})).model_dump(mode="json"),
    }


def complete(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A part's settings with all defaults, as in a loaded configuration."""
    name = content["name"]
    return {"name": name} | _completed(read_index()[kind][name]["settings"], content)


def _completed(settings: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(about, name, content) for name, about in settings.items()}


def _value(about: Mapping[str, Any], name: str, content: Mapping[str, Any]) -> Any:
    if "settings" in about:
        return _completed(about["settings"], content.get(name, {}))
    value = content.get(name, about["default"])
    if "kind" not in about or value is None:
        return value
    if isinstance(value, Mapping):
        return complete(about["kind"], value)
    return [complete(about["kind"], each) for each in value]


if __name__ == "__main__":
    text = json.dumps(describe(), indent=1, ensure_ascii=False)
    PATH.write_text(text + "\n", encoding="utf-8")
