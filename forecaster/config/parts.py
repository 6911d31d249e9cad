"""The registry of parts: forecasters, networks, conditions, schedules and objectives by name.

A part is an implementation, built as ``implementation(config, *shape)``, and the section of the
configuration that holds its settings. Both stand in one file, and one decorator registers them:

    class MixerConfig(Section):
        name: Literal["mixer"] = "mixer"
        width: Positive = 128

    @register("network", MixerConfig)
    class MixerNetwork(DenoisingNetwork): ...

A part of one's own is named by where it is, ``my_net.py:MyNet`` or ``my_package.module:MyNet``;
its settings are those of its attribute ``Config``. Such code runs only where the configuration
that names it is trusted: the user's own, and a saved one with ``--trust-code``.
"""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BeforeValidator, SerializeAsAny, ValidationInfo, create_model
from pydantic.fields import FieldInfo

from forecaster.config.sections import PartConfig, Section, nearest
from forecaster.errors import UserError

Kind = Literal["forecaster", "network", "condition", "schedule", "objective"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# the packages whose modules hold the parts that come with the program
ROOMS = ("forecaster.models", "forecaster.networks", "forecaster.diffusion")

Built = TypeVar("Built", bound=Callable[..., Any])


@dataclass(frozen=True)
class Part:
    """A name of a kind, the class of its settings, and what is built from them."""

    kind: Kind
    name: str
    config: type[PartConfig]
    implementation: Callable[..., Any]


@dataclass(frozen=True)
class Trust:
    """Whether code that a configuration names may run, and the folder its files are looked up in
    (None: the working directory).
    """

    code: bool
    folder: Path | None = None


NO_TRUST = Trust(code=False)
_parts: dict[Kind, dict[str, Part]] = {kind: {} for kind in KINDS}
_by_config: dict[type[Section], Part] = {}


def register(kind: Kind, config: type[Section]) -> Callable[[Built], Built]:
    """Attach settings to the decorated class or function, as its attribute ``Config``; those of a
    ``PartConfig`` under the default of their field ``name``, by which the part is then found.
    """

    def decorate(implementation: Built) -> Built:
        implementation.Config = config  # type: ignore[attr-defined]
        if issubclass(config, PartConfig):
            part = Part(kind, config.model_fields["name"].default, config, implementation)
            _parts[kind][part.name] = _by_config[config] = part
        return implementation

    return decorate


def parts(kind: Kind) -> Mapping[str, Part]:
    """All parts of a kind that come with the program, by name."""
    _load_rooms()
    return _parts[kind]


@cache
def _load_rooms() -> None:
    """Import every module of the rooms, so that each part has registered itself."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)


def find(kind: Kind, name: str, trust: Trust) -> Part:
    """A part by its name, or by the place of one's own. Raises UserError or ValueError."""
    if ":" in name:
        return _own(kind, name, trust)
    known = parts(kind)
    if name not in known:
        raise ValueError(
            f"no {kind} '{name}'{nearest(name, list(known))}; there are "
            f"{', '.join(sorted(known))}, "
            "or name your own as FILE.py:Class"
        )
    return known[name]


def implementation(config: Section) -> Callable[..., Any]:
    """What is built from a part's settings."""
    return _by_config[type(config)].implementation


def build(config: Section, *shape: Any) -> Any:
    """The part of these settings, for a shape."""
    return implementation(config)(config, *shape)


def is_custom(name: object) -> bool:
    """Whether a name is the place of a part of one's own."""
    return isinstance(name, str) and ":" in name


def custom_names(content: Any) -> Iterator[str]:
    """The places of all parts of one's own in a configuration's plain values."""
    if isinstance(content, Mapping):
        if is_custom(content.get("name")):
            yield content["name"]
        content = content.values()
    elif not isinstance(content, list | tuple):
        return
    for value in content:
        yield from custom_names(value)


def _own(kind: Kind, reference: str, trust: Trust) -> Part:
    place, _, qualified = reference.rpartition(":")
    if not trust.code:
        raise UserError(
            f"{reference}: this model runs code of its own, which may do anything; if you know who "
            "wrote it, give --trust-code (in Python: trust_code=True)"
        )
    module = _module(place, trust.folder)
    own = _attribute(module, qualified)
    if not callable(own):
        raise UserError(f"{reference}: there is no '{qualified}' in {place}; correct the name")
    return _own_part(kind, reference, own)


def _attribute(module: ModuleType, qualified: str) -> Any:
    value: Any = module
    for name in qualified.split("."):
        value = getattr(value, name, None)
    return value


class CustomConfig(PartConfig):
    """Settings of a part of one's own; another process of the same training finds them by name."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (_by_config[type(self)].kind, self.model_dump())


def _restored(kind: Kind, content: dict[str, Any]) -> PartConfig:
    trust = Trust(code=True)
    return find(kind, content["name"], trust).config.model_validate(content, context=trust)


@cache
def _own_part(kind: Kind, reference: str, own: Callable[..., Any]) -> Part:
    part = Part(kind, reference, _named(reference, getattr(own, "Config", Section)), own)
    _by_config[part.config] = part
    return part


def _named(reference: str, settings: Any) -> type[PartConfig]:
    """Settings of one's own with the reference for their name."""
    if not (isinstance(settings, type) and issubclass(settings, Section)):
        raise UserError(f"{reference}: its Config is not a forecaster.Section; derive it from that")
    fields: dict[str, Any] = {"name": (Literal[reference], reference)}
    create: Any = create_model
    return create(
        settings.__name__, __base__=(settings, CustomConfig), __doc__=settings.__doc__, **fields
    )


def _module(place: str, folder: Path | None) -> ModuleType:
    """A file's module, or one that can be imported."""
    if place.endswith(".py"):
        return _file_module((folder or Path.cwd()).joinpath(place).resolve())
    if place in sys.modules:
        return sys.modules[place]
    try:
        return importlib.import_module(place)
    except ImportError as error:
        raise UserError(f"{place}: cannot be imported ({error}); correct its name") from error


def _file_module(path: Path) -> ModuleType:
    """Run a file once for each content."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; name your own part as FILE.py:Class")
    content = path.read_bytes()
    name = f"own_{path.stem}_{hashlib.sha256(str(path).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def reference_of(own: type) -> str:
    """The name of a class of one's own in a configuration."""
    return f"{own.__module__}:{own.__qualname__}"


def _read(kind: Kind, value: Any, info: ValidationInfo) -> Any:
    """A part's section from its settings, by the name among them."""
    if not isinstance(value, Mapping):
        return value
    if not isinstance(value.get("name"), str):
        known = ", ".join(sorted(parts(kind)))
        raise ValueError(f"a {kind} needs its name: one of {known}, or your own as FILE.py:Class")
    trust = info.context if isinstance(info.context, Trust) else NO_TRUST
    return find(kind, value["name"], trust).config.model_validate(value, context=trust)


@dataclass(frozen=True)
class PartOf:
    """Marks a field as holding a part of this kind."""

    kind: Kind


def kind_held(field: FieldInfo) -> Kind | None:
    """The kind of the part, or parts, that a field of a section holds, if it does."""
    marks = [*field.metadata, *_metadata(field.annotation)]
    return next((mark.kind for mark in marks if isinstance(mark, PartOf)), None)


def _metadata(annotation: Any) -> list[Any]:
    own = list(getattr(annotation, "__metadata__", ()))
    return own + [mark for argument in get_args(annotation) for mark in _metadata(argument)]


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
