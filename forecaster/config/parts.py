"""The registry of parts: forecasters, networks, conditions, schedules and objectives by name.

A part is an implementation, built as ``implementation(config, *shape)``, and the section of the
configuration with its settings. Both are in one file, and a decorator registers them:

    class MixerConfig(PartConfig):
        name: Literal["mixer"] = "mixer"
        width: Positive = 128

    @register("network", MixerConfig)
    class MixerNetwork(DenoisingNetwork): ...

A custom part is referenced as ``my_net.py:MyNet`` or ``my_package.module:MyNet``; the class of its
settings is its attribute ``Config``. Such code runs only if the configuration that references it is
trusted: the user's, and that of a saved model with ``--trust-code``.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BeforeValidator, SerializeAsAny, ValidationInfo, create_model
from pydantic.fields import FieldInfo

from forecaster.config.custom_modules import import_source
from forecaster.config.sections import PartConfig, Section, nearest
from forecaster.errors import UserError

Kind = Literal["forecaster", "network", "condition", "schedule", "objective"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# the packages with the built-in parts
PACKAGES = ("forecaster.models", "forecaster.networks", "forecaster.diffusion")

Built = TypeVar("Built", bound=Callable[..., Any])
Base = TypeVar("Base")


@dataclass(frozen=True)
class Part:
    """A registered part: its name, the class of its settings, and its implementation."""

    kind: Kind
    name: str
    config: type[PartConfig]
    implementation: Callable[..., Any]


@dataclass(frozen=True)
class Trust:
    """Whether custom code may run, and the folder of its files (None: the working directory)."""

    code: bool
    folder: Path | None = None


NO_TRUST = Trust(code=False)
_parts: dict[Kind, dict[str, Part]] = {kind: {} for kind in KINDS}
_by_config: dict[type[Section], Part] = {}
_bases: dict[Kind, type] = {}


def register(kind: Kind, config: type[Section]) -> Callable[[Built], Built]:
    """Register a class or function with its settings, which become its attribute ``Config``.

    A ``PartConfig`` is registered by the default of its field ``name``.
    """

    def decorate(implementation: Built) -> Built:
        implementation.Config = config  # type: ignore[attr-defined]
        if issubclass(config, PartConfig):
            part = Part(kind, config.model_fields["name"].default, config, implementation)
            _parts[kind][part.name] = _by_config[config] = part
        return implementation

    return decorate


def base_of(kind: Kind) -> Callable[[type[Base]], type[Base]]:
    """Make the decorated class the one that all parts of a kind, custom ones too, derive from."""

    def decorate(base: type[Base]) -> type[Base]:
        _bases[kind] = base
        return base

    return decorate


def parts(kind: Kind) -> Mapping[str, Part]:
    """All built-in parts of a kind, by name."""
    _import_packages()
    return _parts[kind]


@cache
def _import_packages() -> None:
    """Import all modules of ``PACKAGES``, so that each part registers itself."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


def find(kind: Kind, name: str, trust: Trust) -> Part:
    """A part by its name, or a custom part by its reference. Raises UserError or ValueError."""
    if ":" in name:
        return _custom(kind, name, trust)
    known = parts(kind)
    if name not in known:
        raise ValueError(
            f"no {kind} '{name}'{nearest(name, list(known))}; there are "
            f"{', '.join(sorted(known))}, "
            "or name your own as FILE.py:Class"
        )
    return known[name]


def implementation(config: Section) -> Callable[..., Any]:
    """The implementation that belongs to a part's settings."""
    return _by_config[type(config)].implementation


def build(config: Section, *shape: Any) -> Any:
    """Build a part from its settings, for a shape."""
    return implementation(config)(config, *shape)


def is_custom(name: object) -> bool:
    """Whether a name is the reference of a custom part."""
    return isinstance(name, str) and ":" in name


def custom_names(content: Any) -> Iterator[str]:
    """The references of all custom parts in a configuration's plain values."""
    if isinstance(content, Mapping):
        if is_custom(content.get("name")):
            yield content["name"]
        content = content.values()
    elif not isinstance(content, list | tuple):
        return
    for value in content:
        yield from custom_names(value)


def _custom(kind: Kind, reference: str, trust: Trust) -> Part:
    source, _, qualified = reference.rpartition(":")
    if not trust.code:
        raise UserError(
            f"{reference}: this model runs code of its own, which may do anything; if you know who "
            "wrote it, give --trust-code (in Python: trust_code=True)"
        )
    custom = _attribute(import_source(source, trust.folder), qualified)
    if custom is None and source == "__main__":
        raise UserError(
            f"{reference}: was defined in a program or notebook that has ended; put it into a "
            "module, import it from there, and train again"
        )
    if custom is None:
        raise UserError(f"{reference}: there is no '{qualified}' in {source}; correct the name")
    _check_kind(kind, reference, custom)
    return _custom_part(kind, reference, custom)


def _attribute(module: ModuleType, qualified: str) -> Any:
    value: Any = module
    for name in qualified.split("."):
        value = getattr(value, name, None)
    return value


def _check_kind(kind: Kind, reference: str, custom: Any) -> None:
    """Refuse what is no part of the kind; a schedule is a function that is registered."""
    _import_packages()
    base = _bases.get(kind)
    if base is None and not (callable(custom) and hasattr(custom, "Config")):
        raise UserError(f"{reference}: no {kind}; decorate it with forecaster.register")
    if base is not None and not (isinstance(custom, type) and issubclass(custom, base)):
        raise UserError(
            f"{reference}: no {kind}; derive it from {base.__module__}.{base.__qualname__}"
        )


class CustomConfig(PartConfig):
    """Settings of a custom part, pickled by reference for other processes of a training."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_reference, (_by_config[type(self)].kind, self.model_dump())


def _from_reference(kind: Kind, content: dict[str, Any]) -> PartConfig:
    trust = Trust(code=True)
    return find(kind, content["name"], trust).config.model_validate(content, context=trust)


@cache
def _custom_part(kind: Kind, reference: str, custom: Callable[..., Any]) -> Part:
    part = Part(kind, reference, _with_name(reference, getattr(custom, "Config", Section)), custom)
    _by_config[part.config] = part
    return part


def _with_name(reference: str, settings: Any) -> type[PartConfig]:
    """The settings of a custom part, with its reference as the field ``name``."""
    if not (isinstance(settings, type) and issubclass(settings, Section)):
        raise UserError(f"{reference}: its Config is not a forecaster.Section; derive it from that")
    bases = (CustomConfig,) if issubclass(CustomConfig, settings) else (settings, CustomConfig)
    fields: dict[str, Any] = {"name": (Literal[reference], reference)}
    create: Any = create_model
    return create(settings.__name__, __base__=bases, __doc__=settings.__doc__, **fields)


def reference_of(custom: type) -> str:
    """The reference of a custom class in a configuration. Raises UserError within a function."""
    if "<locals>" in custom.__qualname__:
        raise UserError(f"{custom.__name__}: defined in a function; define it in a module itself")
    return f"{custom.__module__}:{custom.__qualname__}"


def _read(kind: Kind, value: Any, info: ValidationInfo) -> Any:
    """Validate a part's settings by the class that belongs to their name."""
    if not isinstance(value, Mapping):
        return value
    if not isinstance(value.get("name"), str):
        known = ", ".join(sorted(parts(kind)))
        raise ValueError(f"a {kind} needs its name: one of {known}, or your own as FILE.py:Class")
    trust = info.context if isinstance(info.context, Trust) else NO_TRUST
    return find(kind, value["name"], trust).config.model_validate(value, context=trust)


@dataclass(frozen=True)
class PartOf:
    """Marks a field that holds a part of this kind."""

    kind: Kind


def part_kind_of(field: FieldInfo) -> Kind | None:
    """The kind of the part, or parts, in a field of a section; None for other fields."""
    marks = [*field.metadata, *_metadata(field.annotation)]
    return next((mark.kind for mark in marks if isinstance(mark, PartOf)), None)


def _metadata(annotation: Any) -> list[Any]:
    marks = list(getattr(annotation, "__metadata__", ()))
    return marks + [mark for argument in get_args(annotation) for mark in _metadata(argument)]


# the types of fields that hold parts
ForecasterPart = Annotated[
    SerializeAsAny[PartConfig], BeforeValidator(partial(_read, "forecaster")), PartOf("forecaster")
]
NetworkPart = Annotated[
    SerializeAsAny[PartConfig], BeforeValidator(partial(_read, "network")), PartOf("network")
]
ConditionPart = Annotated[
    SerializeAsAny[PartConfig], BeforeValidator(partial(_read, "condition")), PartOf("condition")
]
SchedulePart = Annotated[
    SerializeAsAny[PartConfig], BeforeValidator(partial(_read, "schedule")), PartOf("schedule")
]
ObjectivePart = Annotated[
    SerializeAsAny[PartConfig], BeforeValidator(partial(_read, "objective")), PartOf("objective")
]
