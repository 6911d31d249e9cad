"""Configurations from a model's name, file or class, and keyword arguments."""

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, get_args

from forecaster.api.arguments import (
    Seasons,
    choice,
    seasons_of,
    seed_of,
    settings_of,
    whole_or_none,
)
from forecaster.config.load import check_config, find_config, load_config
from forecaster.config.parts import Trust, find, is_custom, reference_of
from forecaster.config.schema import Config
from forecaster.errors import UserError
from forecaster.models.base import Forecaster

Accelerator = Literal["auto", "cpu", "gpu"]
ACCELERATORS: tuple[str, ...] = get_args(Accelerator)
Bounds = float | Mapping[str, float]


def model_name(model: str | Path | type[Forecaster]) -> str:
    """The name of a model in tables."""
    if isinstance(model, type):
        return model.__name__
    return str(model).rpartition(":")[2] if is_reference(model) else Path(model).stem


def is_reference(model: object) -> bool:
    """Whether a model is the reference of a custom class, ``FILE.py:Class`` or ``module:Class``."""
    return is_custom(str(model)) and Path(str(model)).suffix not in {".yaml", ".yml"}


def config_of(model: str | Path | type[Forecaster], overrides: Mapping[str, Any]) -> Config:
    """The configuration of a preset, a YAML file, a custom class or its reference.

    ``overrides``: values by dotted key, such as ``trainer.max_steps``.
    """
    if not isinstance(model, str | Path | type):
        raise UserError(f"model: {short(model)} is none; give a preset, a YAML file or a class")
    if isinstance(model, type):
        return _config_of_class(reference_of(model), model, overrides)
    if is_reference(model):
        built = find("forecaster", str(model), Trust(code=True)).implementation
        return _config_of_class(str(model), built, overrides)
    return load_config(find_config(str(model)), (), overrides)


def _config_of_class(reference: str, custom: object, overrides: Mapping[str, Any]) -> Config:
    name = reference.rpartition(":")[2]
    if not (isinstance(custom, type) and issubclass(custom, Forecaster)):
        raise UserError(f"{name}: not a forecaster; derive it from forecaster.Forecaster")
    content = nested({"model.name": reference, **overrides})
    return check_config(content, name, Trust(code=True))


def nested(values: Mapping[str, Any], content: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``{"a.b": 1}`` → ``{"a": {"b": 1}}``, on top of a nested ``content``."""
    result = dict(content or {})
    for key, value in values.items():
        *sections, last = key.split(".")
        target: Any = result
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise UserError(f"settings: '{key}': '{section}' is a value; give a section")
        target[last] = value
    return result


def overrides_of(
    source: object,
    horizon: int | None,
    lookback: int | None,
    seasons: Seasons | None,
    seed: int,
    accelerator: Accelerator,
    lower: Bounds | None,
    upper: Bounds | None,
    roles: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The configuration keys that keyword arguments set; ``settings`` override the others."""
    choice("accelerator", accelerator, ACCELERATORS)
    data = {
        "csv": str(source) if isinstance(source, Path) else None,
        "horizon": whole_or_none("horizon", horizon, 1),
        "lookback": whole_or_none("lookback", lookback, 1),
        "seasons": seasons_of(seasons),
        "lower": _plain(lower),
        "upper": _plain(upper),
        **roles,
    }
    values = {f"data.{name}": value for name, value in data.items() if value is not None}
    trainer = {"trainer.seed": seed_of(seed), "trainer.accelerator": accelerator}
    return {**values, **trainer, **settings_of(settings)}


def _plain(bounds: Bounds | None) -> float | dict[str, float] | None:
    return dict(bounds) if isinstance(bounds, Mapping) else bounds
