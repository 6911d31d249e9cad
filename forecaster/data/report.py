"""The report about a user's data."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.data.profile import ColumnProfile


@dataclass(frozen=True)
class Role:
    """What a column is: time, name of the series, value, or left out; and why."""

    role: str
    why: str


@dataclass
class IntakeReport:
    """The facts about a file, by name, and the decisions taken about its data, in their order.

    ``roles``: of the columns, by name; ``columns``: their profiles (None: not asked for).
    """

    facts: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    roles: Mapping[str, Role] = field(default_factory=dict)
    columns: "list[ColumnProfile] | None" = None


# names, numbers and times, in which decisions of one kind differ
_VARIABLE = re.compile(r"'[^']*'|\d[\d.,:-]*")
_FEW = 3  # decisions of one kind that are told one by one


def briefly(decisions: Iterable[str]) -> list[str]:
    """The decisions, each once; of more of one kind than a few the first and how many there are."""
    kinds: dict[str, list[str]] = {}
    for text in dict.fromkeys(decisions):
        kinds.setdefault(_VARIABLE.sub("", text), []).append(text)
    told = []
    for texts in kinds.values():
        more = len(texts) - 1
        told += texts if len(texts) <= _FEW else [f"{texts[0]} (and {more:,} more like this)"]
    return told
