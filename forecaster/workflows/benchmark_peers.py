"""Peers in a benchmark: other projects' forecasters on the very windows that ours are scored on.

They live in environments of their own, made when they are first needed. A peer gets a plain file
and a job, and gives a file of quantiles, which are scored here.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from forecaster.config.paths import PEERS
from forecaster.data.problem import Problem, load_problem
from forecaster.errors import UserError
from forecaster.evaluation.metrics import LEVELS_9
from forecaster.evaluation.score import Scoring, score_quantiles, selected_windows
from forecaster.tracking import store
from forecaster.training.limit import Limit
from forecaster.training.stages import OutOfTimeError
from forecaster.workflows.benchmark_process import with_threads
from forecaster.workflows.benchmark_suite import Cell, Suite, requirements

RUNNER = Path(__file__).with_name("peer_runner.py")
# the nine levels of the quantile loss, and the ends of the 90 % interval
LEVELS = tuple(sorted({*LEVELS_9, 0.05, 0.95}))
TORCH = PEERS / "torch.lock"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
# why an environment could not be made in this process
_FAILED: dict[Path, str] = {}


def score_peer(suite: Suite, cell: Cell, limit: Limit | None) -> dict[str, float]:
    """The metrics and costs of a peer on the test windows of its cell.

    Raises UserError if it does not install, fails, or needs longer than it may, OutOfTimeError if
    the ``limit`` is over before that.
    """
    problem = load_problem(cell.config.data)
    windows = problem.windows("test")
    numbers = selected_windows(windows, Scoring(limit=cell.config.trainer.score_windows))
    assert cell.peer is not None
    python = environment(cell.peer.environment)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_job(folder, suite, cell, problem, numbers.tolist())
        _run(python, folder, suite, limit)
        result: dict[str, float] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        quantiles = _read_quantiles(folder / "forecasts.csv", problem, numbers.tolist())
    scores = score_quantiles(problem, windows, numbers, quantiles, LEVELS)
    return {**{f"test/{name}": value for name, value in scores.items()}, **result}


def write_job(
    folder: Path, suite: Suite, cell: Cell, problem: Problem, numbers: Sequence[int]
) -> None:
    """Write ``history.csv`` and ``job.json`` for the runner; see ``peer_runner``.

    An item is a channel of a series. The rows after the last window's history are not written.
    """
    windows, config = problem.windows("test"), problem.config
    places = [(int(windows.owners[n]), int(windows.rows[n])) for n in numbers]
    table, frames, learn = problem.table, [], {}
    for owner in sorted({owner for owner, _ in places}):
        series = table.series[owner]
        end = max(row for other, row in places if other == owner)
        times = table.interval.stamps(series.first, end)
        for channel in range(problem.channels):
            item = f"{owner}-{channel}"
            values = series.values[:end, channel]
            frames.append(pd.DataFrame({"item": item, "time": times, "value": values}))
            learn[item] = problem.borders[owner].validation
    pd.concat(frames).to_csv(folder / "history.csv", index=False)
    assert cell.peer is not None
    job = {
        "peer": cell.peer.name,
        "horizon": config.horizon,
        "lookback": config.lookback,
        "history": suite.peer_history,
        "seasons": list(problem.seasons),
        "levels": list(LEVELS),
        "seed": cell.config.trainer.seed,
        "seconds": suite.peer_seconds,
        "learn": learn,
        "windows": [
            (number, f"{owner}-{channel}", row)
            for number, (owner, row) in zip(numbers, places, strict=True)
            for channel in range(problem.channels)
        ],
        "settings": cell.peer.set,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")


def _read_quantiles(path: Path, problem: Problem, numbers: Sequence[int]) -> NDArray[np.float64]:
    """A peer's quantiles (W, Q, K, H), in the file's units."""
    frame = pd.read_csv(path)
    shape = (len(numbers), problem.channels, problem.config.horizon, len(LEVELS))
    values = frame[[str(q) for q in LEVELS]].to_numpy(np.float64)
    expected = [number for number in numbers for _ in range(shape[1] * shape[2])]
    if frame["window"].tolist() != expected or not np.isfinite(values).all():
        raise UserError("it gave no number for some of the steps; leave it out of the suite")
    return values.reshape(shape).transpose(0, 3, 1, 2)


def _run(python: Path, folder: Path, suite: Suite, limit: Limit | None) -> None:
    """Run a job; what the peer started, too, is ended with it."""
    assert suite.threads is not None
    seconds = float(suite.peer_seconds)
    short = limit is not None and limit.left() < seconds
    if limit is not None and short:
        seconds = max(limit.left(), 0.0)
    with (folder / "log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [str(python), "-I", "-W", "ignore", str(RUNNER), str(folder)],
            cwd=folder,
            env=with_threads(suite.threads),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            if short:
                raise OutOfTimeError("the time is up: the peer begins anew") from error
            raise UserError(
                f"not done after {suite.peer_seconds} s; give the suite more 'peer_seconds'"
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing of it is left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.seek(0)
        lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    if status:
        said = lines[-1][:300] if lines else "nothing was said"
        raise UserError(f"it ended with status {status}: {said}")


def environment(name: str) -> Path:
    """The Python of an environment of peers, which is made if need be.

    Raises UserError, with what pip said, if that fails; once it did, this process does not try
    again.
    """
    listed = requirements(name)
    digest = hashlib.sha256(listed.read_bytes() + TORCH.read_bytes()).hexdigest()[:8]
    folder = store.HOME / "peers" / f"{name}-{digest}"
    python, done = folder / "bin" / "python", folder / "installed"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not done.is_file():
            if folder in _FAILED:
                raise UserError(_FAILED[folder])
            print(f"installing {listed.name} into {folder} (minutes, once)", file=sys.stderr)
            try:
                _install(folder, listed)
            except UserError as error:
                shutil.rmtree(folder, ignore_errors=True)
                _FAILED[folder] = str(error)
                raise
            done.touch()
    return python


def _install(folder: Path, listed: Path) -> None:
    """Make an environment: torch, whose build for CPUs has an index of its own, and the rest."""
    _succeed([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--no-deps"]
    pip.append("--disable-pip-version-check")
    index = ["--retries", "1", "--timeout", "20", "--extra-index-url", TORCH_INDEX]
    _succeed([*pip, *index, "-r", str(TORCH)])
    _succeed([*pip, "--require-hashes", "-r", str(listed)])


def _succeed(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.splitlines()
        said = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["nothing"]
        raise UserError(f"its environment cannot be installed; pip said: {said[0][:300]}")
