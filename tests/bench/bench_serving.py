"""Latency of ``cli.py serve``: one client after another, and a hundred at once. Part of `make
bench`, or run by itself.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "datasets" / "seattle_weather.csv"
BRIEF = [
    "--horizon",
    "28",
    "--lookback",
    "112",
    "--set",
    "trainer.max_steps=20",
    "--set",
    "trainer.stage_epochs=2",
    "--set",
    "trainer.score_windows=0",
]


@contextmanager
def _server(name: str, home: Path) -> Iterator[int]:
    """A model, trained briefly, and the port that it is served on."""
    environment = {**os.environ, "FORECASTER_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "cli.py")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [*command, "train", name, "--csv", str(SAMPLE), *BRIEF],
        env=environment,
        check=True,
        **quiet,
    )
    serve = [*command, "serve", "--model", "latest", "--port", "0", "--accelerator", "cpu"]
    with subprocess.Popen(serve, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r":(\d+)/invocations", process.stderr.readline())
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            assert found is not None
            yield int(found[1])
        finally:
            process.send_signal(2)


def _seconds(port: int, body: bytes) -> float:
    """The time from the connection to the last byte of the answer."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status == 200
    return time.perf_counter() - began


def serving(table: Callable[[str, list[str], list[list[str]]], None]) -> None:
    """p50 and p99 of a posted table of 120 rows and 4 columns, answered 28 steps ahead."""
    recent = json.loads(pd.read_csv(SAMPLE).tail(120).to_json(orient="split", index=False))
    rows = []
    for name in ("nlinear", "s2dbm"):
        with tempfile.TemporaryDirectory() as home, _server(name, Path(home)) as port:
            for mode in ("point",) if name == "nlinear" else ("point", "probabilistic"):
                body = json.dumps({"dataframe_split": recent, "params": {"mode": mode}}).encode()
                alone = [_seconds(port, body) for _ in range(210)][10:]
                with ThreadPoolExecutor(100) as pool:
                    began = time.perf_counter()
                    together = list(pool.map(lambda each: _seconds(port, each), [body] * 300))
                    rate = len(together) / (time.perf_counter() - began)
                figures = [
                    f"{1000 * np.percentile(times, p):.0f}"
                    for times in (alone, together)
                    for p in (50, 99)
                ]
                rows.append([name, mode, *figures, f"{rate:.0f}"])
    head = [
        "model",
        "mode",
        "p50, ms",
        "p99, ms",
        "p50 of 100 at once, ms",
        "p99 of 100 at once, ms",
        "requests/s at most",
    ]
    table("Served forecasts", head, rows)


if __name__ == "__main__":
    from bench import table as markdown

    serving(markdown)
