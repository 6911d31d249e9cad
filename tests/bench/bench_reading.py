"""`make bench`: what reading large CSV files costs, beside ``pandas.read_csv``.

Each figure is of a process of its own, without its start: CPU seconds, the best of three, and the
peak of resident memory, which Linux tells.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {
    "2 million × 5": (2_000_000, 5),
    "26,304 × 321": (26_304, 321),
    "300 × 2,000": (300, 2000),
}


def reading(table: Callable[[str, list[str], list[list[str]]], None]) -> None:
    """``read_table``, which ``check`` begins with, over ``pandas.read_csv``."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in SHAPES.items():
            path = Path(folder) / "table.csv"
            _write(path, *shape)
            theirs, ours = _best("pandas", path), _best("ours", path)
            cpu = [f"{theirs[0]:.2f}", f"{ours[0]:.2f}", f"{ours[0] / theirs[0]:.1f}"]
            peak = [f"{theirs[1]:.0f}", f"{ours[1]:.0f}", f"{ours[1] / theirs[1]:.1f}"]
            rows.append([name, *cpu, *peak])
    head = ["rows × columns", "pandas, s", "here, s", "ratio", "pandas, MB", "here, MB", "ratio"]
    table("Reading a CSV file: CPU and peak memory", head, rows)


def _write(path: Path, rows: int, columns: int) -> None:
    generator = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=rows, freq="min")
    values = np.round(generator.normal(20, 5, (rows, columns - 1)), 4)
    names = [f"c{k}" for k in range(columns - 1)]
    pd.DataFrame(values, columns=names).set_index(times).to_csv(path, index_label="time")


def _best(kind: str, path: Path) -> tuple[float, float]:
    """CPU seconds and MB."""
    command = [sys.executable, __file__, kind, str(path)]
    found = []
    for _ in range(3):
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found.append([float(value) for value in done.stdout.split()])
    return min(cpu for cpu, _ in found), min(peak for _, peak in found)


def main() -> None:
    """Read a file once, and print CPU seconds and the process's peak in MB."""
    sys.path.insert(0, str(ROOT))
    from forecaster.config.schema import Columns
    from forecaster.data.tables import read_table

    kind, path = sys.argv[1:]
    began = time.process_time()
    if kind == "pandas":
        pd.read_csv(path)
    else:
        read_table(path, Columns())
    cpu = time.process_time() - began
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    print(cpu, int(peak.split()[1]) / 1024)


if __name__ == "__main__":
    main()
