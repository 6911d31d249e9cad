"""What a result depends on beside data and configuration: the code and the versions of what it
uses.
"""

import importlib.metadata
import platform
import subprocess

from forecaster import __version__
from forecaster.config.paths import CHECKOUT

_PACKAGES = ("torch", "lightning", "gluonts", "numpy", "pandas", "mlflow")


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"forecaster": __version__, "python": platform.python_version(), **found}


def code_version() -> str:
    """The commit of the code, marked where it is not what was committed; of an installed copy its
    version, ``unknown`` without git.
    """
    if CHECKOUT is None:
        return __version__
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
