"""The context of a workflow: tracking target, progress display and messages."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from forecaster.training.progress import Monitor
from forecaster.training.stages import TERMINAL
from forecaster.workflows.tracking_target import STORE, Tracker


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


@dataclass(frozen=True)
class RunContext:
    """Where a workflow's runs are logged, and who receives its progress and its messages."""

    tracker: Tracker = STORE
    progress: Monitor = TERMINAL
    notify: Callable[[str], object] = _to_stderr


COMMAND_LINE = RunContext()
