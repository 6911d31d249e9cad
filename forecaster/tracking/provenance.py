"""The versions of the code and its dependencies, for reproducibility."""

import importlib.metadata
import platform
import subprocess

from forecaster import __version__
from forecaster.config.paths import CHECKOUT

_PACKAGES = ("torch", "lightning", "gluonts", "numpy", "pandas", "mlflow")


def versions() -> dict[str, str]:
    """The versions of this package, Python and the main dependencies."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"forecaster": __version__, "python": platform.python_version(), **packages}


def code_version() -> str:
    """The commit, with ``-dirty`` after local changes; the version of an installed copy.

    ``unknown`` without git.
    """
    if CHECKOUT is None:
        return __version__
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return process.stdout.strip()
