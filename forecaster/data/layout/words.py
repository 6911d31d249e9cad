"""Names of columns in messages."""

import shlex
from collections.abc import Iterable

_FEW = 20


def listed(names: Iterable[str]) -> str:
    """The names in quotes, with commas."""
    return ", ".join(f"'{name}'" for name in names)


def with_unit(unit: str) -> str:
    """How numbers are written: with a unit, or without one."""
    return f"with '{unit}'" if unit else "without a unit"


def or_without(name: str, names: Iterable[str]) -> str:
    """The option that leaves a value column out, if there are others: with them if they are few."""
    others = [other for other in names if other != name]
    if not others:
        return ""
    return ", or leave the column out with " + (
        option("target", others) if len(others) <= _FEW else "--target"
    )


def option(name: str, columns: Iterable[str]) -> str:
    """An option of the command line with names of columns, quoted for a shell."""
    return f"--{name} {shlex.quote(','.join(columns))}"
