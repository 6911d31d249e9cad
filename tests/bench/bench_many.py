"""`make bench`: time and memory of many series, and their exponents against the number of series.

Each figure is of a command of its own: its CPU seconds (user and system) and the peak of its
resident memory. Series are daily, of 200 rows, in a folder of Parquet files. With a document as its
argument the table is put there, between its marks (``<!-- bench-many -->``); further arguments are
the numbers of series: ``bench_many.py docs/benchmarks.md 1000 10000 100000``.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
SERIES, ROWS, A_FILE = (1000, 3000, 10_000), 200, 2000
# an epoch is as long whatever the number of series, so that the rest of a training is measured
BRIEF = [
    *("--set", "trainer.max_epochs=1", "--set", "trainer.epoch_batches=100"),
    *("--set", "trainer.point_windows=1000", "--set", "trainer.score_windows=200"),
]
COMMANDS = ("check", "train", "forecast")


def many() -> str:
    """A row a number of series, and the exponents by which time and memory grow."""
    from forecaster.reporting.markdown import markdown_table

    counts = tuple(map(int, sys.argv[2:])) or SERIES
    with tempfile.TemporaryDirectory() as scratch:
        found = np.array([_measured(Path(scratch), count) for count in counts])
    rows = [
        [f"{count:,}", *(f"{seconds:.0f} s, {peak:.0f} MB" for seconds, peak in figures)]
        for count, figures in zip(counts, found, strict=True)
    ]
    slopes = np.array(
        [
            [_exponent(counts, found[:, command, what]) for what in (0, 1)]
            for command in range(len(COMMANDS))
        ]
    )
    rows.append(["exponent", *(f"{seconds:.2f}, {peak:.2f}" for seconds, peak in slopes)])
    return markdown_table(["series", *COMMANDS], rows)


def _exponent(counts: tuple[int, ...], figures: np.ndarray) -> float:
    """The slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(counts), np.log(figures), 1)[0])


def _measured(scratch: Path, count: int) -> list[tuple[float, float]]:
    """CPU seconds and MB of each command."""
    data, model = scratch / f"data{count}", scratch / f"model{count}"
    _write(data, count)
    file = ["--csv", str(data)]
    output = ["--output", str(scratch / "forecast.parquet")]
    return [
        _run(scratch, ["check", *file]),
        _run(scratch, ["train", "nlinear", *file, *BRIEF, "--output", str(model)]),
        _run(scratch, ["forecast", "--model", str(model), *file, *output]),
    ]


def _write(folder: Path, count: int) -> None:
    """Series with a week, of different sizes."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    days, stamps = np.arange(ROWS), pd.date_range("2024-01-01", periods=ROWS).to_numpy()
    for begin in range(0, count, A_FILE):
        size = min(A_FILE, count - begin)
        level, phase = generator.lognormal(3, 1, (size, 1)), generator.integers(0, 7, (size, 1))
        wave = 1 + 0.3 * np.sin(2 * np.pi * (days + phase) / 7)
        values = level * (wave + 0.1 * generator.normal(size=(size, ROWS)))
        names = [f"p{number:06d}" for number in range(begin, begin + size)]
        table = {
            "item_id": pa.array(np.repeat(names, ROWS)),
            "timestamp": pa.array(np.tile(stamps, size)),
            "value": values.ravel().round(3),
        }
        pq.write_table(pa.table(table), folder / f"part-{begin:06d}.parquet")


def _run(scratch: Path, arguments: list[str]) -> tuple[float, float]:
    """CPU seconds, and the peak of the resident memory in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FORECASTER_HOME": str(scratch / "home")}
    command = [sys.executable, str(ROOT / "cli.py"), *arguments]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure, print, and put the table into the document that is named."""
    sys.path.insert(0, str(ROOT))
    from forecaster.reporting.markdown import put_between
    from forecaster.tracking.provenance import code_version

    machine = f"{os.cpu_count()} {platform.machine()} cores"
    said = f"`make bench`: {time.strftime('%Y-%m-%d')}, code {code_version()}, {machine}"
    text = f"{said}\n\n{many()}"
    print(text)
    if len(sys.argv) > 1:
        put_between(Path(sys.argv[1]), "bench-many", text)


if __name__ == "__main__":
    main()
