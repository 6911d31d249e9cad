"""What was found in a user's data."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What was found in a file and what was decided about it, in order; ``facts`` for people and
    programs.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
