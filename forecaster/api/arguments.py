"""Checks of keyword arguments, with a UserError that names the argument, its value and a remedy."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from numbers import Integral, Real
from pathlib import Path
from reprlib import repr as short
from typing import Any

import pandas as pd

from forecaster.errors import UserError

Seasons = int | Sequence[int]
_LARGEST_SEED = 2**32 - 1


def whole(name: str, value: object, least: int) -> int:
    """A whole number that is not below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserError(f"{name}: {short(value)} is no whole number; give {least} or more")
    if value < least:
        raise UserError(f"{name}: {value} is too few; give {least} at least")
    return int(value)


def whole_or_none(name: str, value: object, least: int) -> int | None:
    """None for the default, or a whole number that is not below ``least``."""
    return None if value is None else whole(name, value, least)


def seasons_of(value: object) -> tuple[int, ...] | None:
    """Seasons in steps, the main one first; None for those that are found."""
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return (whole("seasons", value, 1),)
    seasons = tuple(dict.fromkeys(whole("seasons", each, 1) for each in value))
    if not seasons:
        raise UserError("seasons: none are given; give 1 for no season, or leave it out")
    return seasons


def time_of(name: str, value: object) -> str | None:
    """A time as ISO 8601; None for the default."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, date) or pd.isna(value):
        raise UserError(f"{name}: {short(value)} is no time; give a datetime, or a text")
    return value.isoformat()


def seed_of(value: object) -> int:
    """A seed of random numbers, below 2**32."""
    valid = isinstance(value, Integral) and not isinstance(value, bool)
    if not valid or not 0 <= value <= _LARGEST_SEED:  # type: ignore[operator]
        raise UserError(f"seed: {short(value)} is none; give a whole number of 0 to 2**32 - 1")
    return int(value)  # type: ignore[call-overload]


def levels(value: object) -> tuple[float, ...]:
    """Quantile levels between 0 and 1, in ascending order, without repetitions."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise UserError(f"quantiles: {short(value)} is no list; give levels such as [0.1, 0.9]")
    return tuple(sorted({_level(each) for each in value}))


def _level(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise UserError(
            f"quantiles: {short(value)} is no level; give numbers between 0 and 1, such as 0.9"
        )
    return float(value)


def choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise UserError for a value that is not one of ``known``."""
    if not isinstance(value, str) or value not in known:
        listed = f"{', '.join(known[:-1])} or {known[-1]}"
        raise UserError(f"{name}: {short(value)} is none; give {listed}")


def folder_of(name: str, value: object) -> Path:
    """The path of a folder."""
    if not isinstance(value, str | Path) or not str(value):
        raise UserError(f"{name}: {short(value)} is no folder; give its path")
    return Path(value)


def settings_of(value: object) -> dict[str, Any]:
    """A copy of the configuration keys; none for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f'settings: {short(value)} is no mapping; give {{"trainer.max_steps": 2}}')
    for key in value:
        if not isinstance(key, str):
            raise UserError(f"settings: {short(key)} is no key; give a text: trainer.max_steps")
    return copy.deepcopy(dict(value))
