"""Where a workflow's runs go, and to whom it tells how far it is."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from forecaster.training.fit import TERMINAL
from forecaster.training.progress import Monitor
from forecaster.workflows.tracker import STORE, Tracker


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


@dataclass(frozen=True)
class Surroundings:
    """Where a workflow's runs go, and to whom it tells its progress and what people should know."""

    tracker: Tracker = STORE
    progress: Monitor = TERMINAL
    say: Callable[[str], object] = _to_stderr


COMMAND_LINE = Surroundings()
