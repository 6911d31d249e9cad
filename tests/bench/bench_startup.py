"""What it costs to start: CPU seconds (user and system) of a process, of short commands and of the
import. Part of `make bench`, or run by itself.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "datasets" / "seattle_weather.csv"
CHECK = ["check", "--csv", str(SAMPLE), "--horizon", "28", "--lookback", "112"]
STARTS = {
    "python (nothing)": ["-c", ""],
    "import forecaster": ["-c", "import forecaster"],
    "forecaster --help": ["-m", "forecaster", "--help"],
    "forecaster models list": ["-m", "forecaster", "models", "list"],
    "forecaster datasets list": ["-m", "forecaster", "datasets", "list"],
    "forecaster check (the sample)": ["-m", "forecaster", *CHECK],
}


def cpu_seconds(arguments: list[str]) -> float:
    """Of a Python process with one thread, after one that warmed the files."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    spent = [0.0]
    for _ in range(2):
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(used.ru_utime + used.ru_stime)
    return spent[-1] - spent[-2]


def startup(table: Callable[[str, list[str], list[list[str]]], None]) -> None:
    """A row a start."""
    rows = [[name, f"{cpu_seconds(arguments):.2f}"] for name, arguments in STARTS.items()]
    table("CPU seconds to start", ["of", "seconds"], rows)


if __name__ == "__main__":
    from bench import table as markdown

    startup(markdown)
