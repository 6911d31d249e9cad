"""The report about a user's data."""

from collections.abc import Mapping
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
