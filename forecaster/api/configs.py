"""Configurations from a model's name, file or class, and keyword arguments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from forecaster.config.load import check_config, find_config, load_config
from forecaster.config.parts import Trust, reference_of
from forecaster.config.schema import Config
from forecaster.errors import UserError
from forecaster.models.base import Forecaster

Accelerator = Literal["auto", "cpu", "gpu"]
Bounds = float | Mapping[str, float]


def model_name(model: str | Path | type[Forecaster]) -> str:
    """The name of a model in tables."""
    return model.__name__ if isinstance(model, type) else Path(model).stem


def config_of(model: str | Path | type[Forecaster], overrides: Mapping[str, Any]) -> Config:
    """The configuration of a preset, a YAML file or a custom class.

    ``overrides``: values by dotted key, such as ``trainer.max_steps``.
    """
    if not isinstance(model, type):
        return load_config(find_config(str(model)), (), overrides)
    if not issubclass(model, Forecaster):
        raise UserError(f"{model.__name__}: not a forecaster; derive it from forecaster.Forecaster")
    content = _nested({"model.name": reference_of(model), **overrides})
    return check_config(content, model.__name__, Trust(code=True))


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` → ``{"a": {"b": 1}}``."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        target = nested
        for section in sections:
            target = target.setdefault(section, {})
        target[last] = value
    return nested


def overrides_of(
    source: object,
    horizon: int | None,
    lookback: int | None,
    seed: int,
    accelerator: Accelerator,
    lower: Bounds | None,
    upper: Bounds | None,
    roles: Mapping[str, Any],
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The configuration keys that keyword arguments set; ``settings`` override the others."""
    data = {
        "csv": str(source) if isinstance(source, Path) else None,
        "horizon": horizon,
        "lookback": lookback,
        "lower": _plain(lower),
        "upper": _plain(upper),
        **roles,
    }
    values = {f"data.{name}": value for name, value in data.items() if value is not None}
    trainer = {"trainer.seed": seed, "trainer.accelerator": accelerator}
    return {**values, **trainer, **(settings or {})}


def _plain(bounds: Bounds | None) -> float | dict[str, float] | None:
    return dict(bounds) if isinstance(bounds, Mapping) else bounds
