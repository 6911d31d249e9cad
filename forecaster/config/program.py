"""The command that starts this program, for messages with commands to run."""

import sys
from pathlib import Path

from forecaster.config.paths import CHECKOUT


def program() -> str:
    """``python cli.py``, ``python -m forecaster`` or ``forecaster``, as this process was started.

    Within another program, such as a notebook: the command for a shell.
    """
    started = Path(sys.argv[0])
    if started.stem == "forecaster":
        return "forecaster"
    if started.parts[-2:] == ("forecaster", "__main__.py"):
        return "python -m forecaster"
    return "forecaster" if CHECKOUT is None else "python cli.py"


def install_extra(extra: str) -> str:
    """The command that installs an optional part of the package."""
    return f"pip install '{'forecaster' if CHECKOUT is None else '.'}[{extra}]'"
