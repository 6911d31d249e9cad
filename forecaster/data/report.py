"""The report about a user's data."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class IntakeReport:
    """The facts about a file, by name, and the decisions taken about its data, in their order."""

    facts: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
