"""`make bench`: what reading large CSV files costs, beside ``pandas.read_csv``.

Each figure is of a process of its own, without its start: CPU seconds, the best of three, and by
how much the resident memory rose at most, which Linux tells. With a document as its argument the
table is put there, between its marks (``<!-- bench-reading -->``).
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {
    "2 million × 5": (2_000_000, 5),
    "26,304 × 321": (26_304, 321),
    "300 × 2,000": (300, 2000),
}
# how the table is written, and what tells pandas so
DIALECTS: dict[str, dict[str, str]] = {
    "1234.5": {},
    "1.234,5": {"sep": ";", "decimal": ",", "thousands": "."},
}


def reading() -> str:
    """``read_table``, which ``check`` and ``train`` begin with, over ``pandas.read_csv``."""
    from forecaster.reporting.markdown import markdown_table

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in SHAPES.items():
            for dialect in DIALECTS:
                path = Path(folder) / "table.csv"
                _write(path, dialect, *shape)
                theirs, ours = _best("pandas", dialect, path), _best("ours", dialect, path)
                cpu = [f"{theirs[0]:.2f}", f"{ours[0]:.2f}", f"{ours[0] / theirs[0]:.1f}"]
                peak = [f"{theirs[1]:.0f}", f"{ours[1]:.0f}", f"{ours[1] / theirs[1]:.1f}"]
                rows.append([name, dialect, *cpu, *peak])
    what = ["rows × columns", "numbers"]
    head = [*what, "pandas, s", "here, s", "ratio", "pandas, MB", "here, MB", "ratio"]
    return markdown_table(head, rows)


def _write(path: Path, dialect: str, rows: int, columns: int) -> None:
    generator = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=rows, freq="min")
    values = np.round(generator.normal(2000, 500, (rows, columns - 1)), 4)
    names = [f"c{k}" for k in range(columns - 1)]
    pd.DataFrame(values, columns=names, index=times).to_csv(path, index_label="time")
    if DIALECTS[dialect]:
        content = path.read_bytes().replace(b",", b";").replace(b".", b",")
        path.write_bytes(re.sub(rb";(\d)(\d{3}),", rb";\1.\2,", content))


def _best(kind: str, dialect: str, path: Path) -> tuple[float, float]:
    """CPU seconds and MB."""
    command = [sys.executable, __file__, kind, dialect, str(path)]
    found = []
    for _ in range(3):
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found.append([float(value) for value in done.stdout.split()])
    return min(cpu for cpu, _ in found), min(peak for _, peak in found)


def _measure(kind: str, dialect: str, path: str) -> None:
    """Read a file once, and print CPU seconds and the rise of memory in MB."""
    from forecaster.config.schema import Columns
    from forecaster.data.tables import read_table

    before, began = _memory("VmRSS"), time.process_time()
    if kind == "pandas":
        pd.read_csv(path, **DIALECTS[dialect])
    else:
        read_table(path, Columns())
    print(time.process_time() - began, _memory("VmHWM") - before)


def _memory(kind: str) -> float:
    """This process's resident memory (VmRSS), or its peak (VmHWM), in MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith(kind))
    return int(line.split()[1]) / 1024


def main() -> None:
    """One measurement, or all of them into a document."""
    sys.path.insert(0, str(ROOT))
    if len(sys.argv) == 4:
        _measure(*sys.argv[1:])
        return
    from forecaster.reporting.markdown import put_between
    from forecaster.tracking.provenance import code_version

    machine = f"{os.cpu_count()} {platform.machine()} cores, pandas {pd.__version__}"
    said = f"`make bench`: {time.strftime('%Y-%m-%d')}, code {code_version()}, {machine}"
    text = f"{said}\n\n{reading()}"
    print(text)
    if len(sys.argv) > 1:
        put_between(Path(sys.argv[1]), "bench-reading", text)


if __name__ == "__main__":
    main()
