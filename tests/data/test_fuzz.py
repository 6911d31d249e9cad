"""Whatever a file holds, a command ends in a result or in one line; never in a traceback, never
with half of an output.
"""

import csv
import io
import json
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mangled import OPTIONS, files, plain

from cli import main
from forecaster.inference.saved_model import FILES
from forecaster.tracking import store

SIZE = ["--horizon", "2", "--lookback", "4"]
TINY = [*SIZE, "--model", "nlinear", "--accelerator", "cpu", "--set", "trainer.max_steps=1"]
options = st.sampled_from(OPTIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a store of its own, and a model of two daily series in it."""
    base = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it: undone with the rest
        for name, path in (
            ("HOME", "home"),
            ("MODELS", "home/models"),
            ("CHECKPOINTS", "home/checkpoints"),
        ):
            patch.setattr(store, name, base / path)
        (base / "plain.csv").write_text("\n".join(",".join(row) for row in plain()) + "\n")
        for model in ("nlinear", "quantile-linear"):
            done = run(
                "train",
                "--csv",
                base / "plain.csv",
                *TINY[:4],
                "--model",
                model,
                *TINY[6:],
                "--output",
                base / model,
            )
            assert done.exit_code == 0, done.output
        yield base


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def ended(done: Result, content: bytes) -> bool:
    """Whether it ended in a result; otherwise in one line."""
    shown = (content[:2000], done.stdout[-2000:], done.stderr[-2000:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in {0, 1, 2}, shown
    assert "Traceback" not in done.output, shown
    return done.exit_code == 0


def one_line(done: Result) -> bool:
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return len(errors) == 1 and done.stderr.endswith(errors[0] + "\n") and len(errors[0]) < 2000


def put(folder: Path, content: bytes) -> tuple[Path, Path]:
    """The file, and an empty folder for what comes of it."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    (folder / "data.csv").write_bytes(content)
    return folder / "data.csv", out


def check_one(folder: Path, content: bytes, given: list[str]) -> None:
    path, _ = put(folder, content)
    done = run("check", "--csv", path, *SIZE, *given, "--json")
    good = ended(done, content)
    if done.exit_code < 2:
        found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
        assert (found["refused"] is None) == good, found
        assert good or "\n" not in found["refused"]
        assert done.stderr == ""
    ended(run("check", "--csv", path, *SIZE, *given), content)


def forecast_one(folder: Path, content: bytes, given: list[str], model: str) -> None:
    path, out = put(folder, content)
    done = run(
        "forecast",
        "--model",
        folder / model,
        "--csv",
        path,
        *given,
        "--output",
        out / "f.csv",
        "--plot",
        out / "f.png",
    )
    names = {p.name for p in out.iterdir()}
    if not ended(done, content):
        assert names == set()
        assert done.exit_code == 2 or (one_line(done) and done.stderr.count("\n") == 1), done.stderr
        return
    assert names == {"f.csv", "f.csv.meta.json", "f.png"}
    rows = list(csv.reader(io.StringIO((out / "f.csv").read_text(encoding="utf-8"))))
    assert len(rows) > 2
    assert all(math.isfinite(float(cell)) for row in rows[1:] for cell in row[2:]), rows
    json.loads((out / "f.csv.meta.json").read_text(encoding="utf-8"))


def train_one(folder: Path, content: bytes, given: list[str]) -> None:
    path, out = put(folder, content)
    fits = run("check", "--csv", path, *SIZE, *given).exit_code == 0
    done = run("train", "--csv", path, *TINY, *given, "--output", out / "model", "--json")
    names = {p.name for p in out.iterdir()}
    if not ended(done, content):
        assert names == set()
        assert done.exit_code == 2 or one_line(done), done.stderr
        assert not fits, done.stderr
        return
    assert names == {"model"}
    assert {p.name for p in (out / "model").iterdir()} == {*FILES, "held_out"}
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["test/windows"] > 0
    done = run(
        "forecast", "--model", out / "model", "--csv", path, *given, "--output", out / "f.csv"
    )
    ended(done, content)
    assert (out / "f.csv").exists() == (done.exit_code == 0), done.stderr


def one(folder: Path, command: str, content: bytes, given: list[str]) -> None:
    began = time.monotonic()
    if command == "check":
        check_one(folder, content, given)
    elif command == "train":
        train_one(folder, content, given)
    else:
        forecast_one(folder, content, given, command)
    assert time.monotonic() - began < 20


CASES = {"check": 25, "nlinear": 12, "quantile-linear": 12, "train": 10}


def fuzz(folder: Path, command: str, cases: int, settle: bool) -> None:
    @settings(
        max_examples=cases,
        deadline=None,
        derandomize=settle,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=True,
    )
    @given(files(command.endswith("linear")), options)
    def every(content: bytes, given: list[str]) -> None:
        one(folder, command, content, given)

    every()


@pytest.mark.parametrize("command", list(CASES))
def test_any_file_ends_in_a_result_or_in_one_line(folder: Path, command: str) -> None:
    fuzz(folder, command, CASES[command], settle=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", list(CASES))
def test_two_thousand_files_end_in_a_result_or_in_one_line(folder: Path, command: str) -> None:
    """Each time other files."""
    fuzz(folder, command, 20 * CASES[command], settle=False)
