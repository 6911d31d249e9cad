"""Shapes in signatures are checked while the tests run; the store of every test is its own."""

import atexit
import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from jaxtyping import install_import_hook

PACKAGES = [
    "delta",
    "diffusion",
    "networks",
    "ssm",
    "models",
    "evaluation.metrics",
    "evaluation.accumulate",
    "evaluation.score",
    "data.windows",
    "evaluation.units",
]
install_import_hook([f"forecaster.{name}" for name in PACKAGES], "beartype.beartype")
# whole commands are tested here, of functions whose shapes other tests check: a tenth of their time
UNCHECKED = {"api", "commands", "docs", "reporting", "serving", "tracking", "workflows"}

# for commands that run in the tests' own process; read when forecaster is imported
os.environ["FORECASTER_HOME"] = tempfile.mkdtemp(prefix="forecaster-tests-")
os.environ.pop("MLFLOW_TRACKING_URI", None)
atexit.register(shutil.rmtree, os.environ["FORECASTER_HOME"], ignore_errors=True)

torch.set_num_threads(1)  # as many processes test as there are cores
gc.set_threshold(100_000, 50, 100)  # what is imported lives to the end: a twelfth of all time

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "datasets" / "seattle_weather.csv"
SHARED = ROOT.parent / "shared" / "data"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the benchmark files are not beside the project"
)


def with_interrupts() -> None:
    """In a new process: what a shell starts in the background is started with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Cli:
    """The command line with a store of its own: called, in this process, which saves the seconds of
    its imports; started, in a process of its own. ``env`` may name further variables.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "FORECASTER_HOME": str(home), "OMP_NUM_THREADS": "1"}
        self.env.pop("MLFLOW_TRACKING_URI", None)
        self._inherited = set(self.env)

    def start(self, *args: object, **kwargs: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "cli.py"), *map(str, args)]
        kwargs = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "preexec_fn": with_interrupts,
            **kwargs,
        }
        return subprocess.Popen(command, env=self.env, text=True, **kwargs)  # type: ignore[call-overload]

    def process(
        self, *args: object, status: int = 0, input: str | None = None, **kwargs: object
    ) -> subprocess.CompletedProcess[str]:
        with self.start(*args, stdin=subprocess.PIPE, **kwargs) as process:
            out, err = process.communicate(input)
        assert process.returncode == status, err
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def __call__(
        self,
        *args: object,
        status: int = 0,
        input: str | None = None,
        cwd: Path | None = None,
        **kwargs: object,
    ) -> subprocess.CompletedProcess[str]:
        if kwargs:
            return self.process(*args, status=status, input=input, cwd=cwd, **kwargs)
        from cli import main

        given = {name: self.env[name] for name in self.env if name not in self._inherited}
        with (
            store_at(self.home),
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(cwd or Path.cwd()),
        ):
            for name, value in given.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(main, [str(arg) for arg in args], input=input)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.stderr
        return subprocess.CompletedProcess(args, done.exit_code, done.stdout, done.stderr)


@contextlib.contextmanager
def store_at(home: Path) -> Iterator[None]:
    """The store of the commands that run in this process meanwhile; the one of all tests takes the
    place of no test's own.
    """
    from forecaster.tracking import store

    if home == inside.home:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it: undone with the rest
        for name, path in {
            "HOME": home,
            "MODELS": home / "models",
            "CHECKPOINTS": home / "checkpoints",
        }.items():
            patch.setattr(store, name, path)
        yield


@pytest.fixture(scope="module", autouse=True)
def _shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Before the fixtures of the module, which train models."""
    jaxtyping.config.update("jaxtyping_disable", request.path.parent.name in UNCHECKED)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test draws the same numbers, whichever ran before it."""
    torch.manual_seed(0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, seconds: float) -> None:
    """Until a server answers, whatever it answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.1)
            continue
        return


def wait_for_epoch(
    process: subprocess.Popen[str], home: Path, stage: int | str = 0, epoch: int = 2
) -> None:
    """Until the checkpoint of the end of an epoch of a stage, or of its folder, is written."""
    stage = f"stage{stage}" if isinstance(stage, int) else stage
    while process.poll() is None:
        for path in home.glob(f"checkpoints/*/{stage}/last.ckpt"):
            if torch.load(path, weights_only=True)["epoch"] >= epoch - 1:
                return
        time.sleep(0.01)
    raise AssertionError(f"the training ended before epoch {epoch} of stage {stage}")


inside = Cli(Path(os.environ["FORECASTER_HOME"]))


@pytest.fixture(scope="session")
def cli() -> Cli:
    return inside


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, through Selenium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium here; Debian: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1700,1000",
        *sandbox,
    ):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as started:
        yield started


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Path]:
    """A store of its own for the commands that a test runs in this process."""
    with store_at(tmp_path / "home"):
        yield tmp_path / "home"


@pytest.fixture
def write(tmp_path: Path):
    """Write a text file into the test's folder and give its path."""

    def put(text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return put


def wide_csv(stamps: pd.DatetimeIndex, columns: int = 1, style: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Column k of row i holds 10·i + k."""
    values = 10 * np.arange(len(stamps))[:, None] + np.arange(columns)
    head = "time," + ",".join(f"c{k}" for k in range(columns))
    rows = [
        f"{stamp.strftime(style)}," + ",".join(map(str, row))
        for stamp, row in zip(stamps, values, strict=True)
    ]
    return "\n".join([head, *rows]) + "\n"


def seasonal_naive(season: int, horizon: int):
    """The baseline of data with this season."""
    from forecaster.models.base import Shape
    from forecaster.models.naive import SeasonalNaive, SeasonalNaiveConfig

    return SeasonalNaive(SeasonalNaiveConfig(), Shape(1, 1, horizon, season))
