"""What befalls a training from outside: the tracking server fails, another training wants the
same store, SIGTERM.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from conftest import SAMPLE, Cli, wait_for_epoch
from mlflow.exceptions import MlflowException
from workflows.test_train import assert_same_weights

from forecaster.errors import UserError
from forecaster.inference.saved_model import FILES
from forecaster.tracking.retry_queue import RetryQueue, queued, read_unsent
from forecaster.tracking.store import as_user_error

LINEAR = [
    "train",
    "--model",
    "nlinear",
    "--csv",
    SAMPLE,
    "--horizon",
    7,
    "--lookback",
    28,
    "--accelerator",
    "cpu",
]


class Diary(RetryQueue):
    """A queue whose store is a list, and unavailable while ``unavailable`` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__("store", folder, (OSError,))
        self.unavailable, self.lines, self.checks = False, [], 0
        self.error: Exception | None = None

    def reachable(self) -> bool:
        self.checks += 1
        return not self.unavailable

    @queued
    def note(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        if self.unavailable:
            raise OSError("gone")
        self.lines.append((self.at, text))

    @queued
    def attach(self, path: Path) -> None:
        if self.unavailable:
            raise OSError("gone")
        self.lines.append(path.read_text())


def test_writes_are_queued_in_order_with_their_times_and_files(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    clock = [100.0]
    monkeypatch.setattr(
        "forecaster.tracking.retry_queue.time",
        type(
            "Clock",
            (),
            {"monotonic": staticmethod(lambda: clock[0]), "time": staticmethod(lambda: clock[0])},
        ),
    )
    diary, scratch = Diary(tmp_path / "unsent"), tmp_path / "scratch.txt"
    diary.note("a")
    diary.unavailable = True
    scratch.write_text("content")
    diary.note("b")
    clock[0] += 1
    diary.attach(scratch)
    scratch.unlink()
    clock[0] += 5
    diary.note("c")
    assert (diary.lines, diary.checks) == ([(100_000, "a")], 0)  # not checked again so soon
    clock[0] += 5
    diary.unavailable = False
    diary.note("d")
    assert diary.lines == [
        (100_000, "a"),
        (100_000, "b"),
        "content",
        (106_000, "c"),
        (111_000, "d"),
    ]
    diary.save_unsent({})
    assert not (tmp_path / "unsent").exists()
    assert capsys.readouterr().err.splitlines() == [
        "note: the tracking store store fails (gone); continuing, entries are stored and retried",
        "note: the tracking store store is available again; the pending entries are logged",
    ]


def test_unsent_writes_can_be_moved_and_read_from_their_folder(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "unsent")
    diary.unavailable = True
    (tmp_path / "file.txt").write_text("content")
    diary.note("b")
    diary.attach(tmp_path / "file.txt")
    diary.save_unsent({"run_id": "r"})
    shutil.move(tmp_path / "unsent", tmp_path / "moved")
    metadata, writes = read_unsent(tmp_path / "moved", Diary)
    again = Diary(tmp_path / "moved")
    again.pending = writes
    again.flush()
    assert (metadata["run_id"], again.lines[0][1], again.lines[1]) == ("r", "b", "content")
    lines = tmp_path / "moved" / "writes.jsonl"
    text = lines.read_text()
    for old, new in (
        ('"0/file.txt"', '"../file.txt"'),
        ('"attach"', '"_copy"'),
        ('"at"', '"when"'),
    ):
        lines.write_text(text.replace(old, new))
        with pytest.raises(UserError, match=r"writes\.jsonl: damaged .*; remove the folder"):
            read_unsent(tmp_path / "moved", Diary)


def locked(engine: sqlalchemy.Engine, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT * FROM values_"))


def full(engine: sqlalchemy.Engine, path: Path) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA max_page_count = 2"))
        insert = sqlalchemy.text("INSERT INTO values_ VALUES (:text)")
        connection.execute(insert, {"text": "x" * 100_000})


@pytest.mark.parametrize(
    ("fail", "reason", "remedy"),
    [
        (locked, "database is locked", "wait for the process that holds it, or end that"),
        (full, "database or disk is full", "free some space"),
    ],
)
def test_a_database_that_refuses_is_quoted_without_its_query(
    tmp_path: Path, capsys, fail, reason: str, remedy: str
) -> None:
    path = tmp_path / "store.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.01})
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE values_ (text)"))
    with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
        fail(engine, path)
    engine.dispose()
    for error in (caught.value, MlflowException(f"autoflush:\n{caught.value}")):
        with pytest.raises(UserError) as told, as_user_error():
            raise error
        assert str(told.value).endswith(f" refused: {reason}; {remedy}")
        diary = Diary(tmp_path / "unsent")
        diary.transient_errors = (type(error),)
        diary.error = error
        diary.note("a")
        assert capsys.readouterr().err == (
            f"note: the tracking store store fails ({reason}); continuing, entries are stored and "
            "retried\n"
        )


@pytest.mark.slow
def test_a_locked_store_costs_a_training_three_lines(tmp_path: Path) -> None:
    """The model is saved, and what could not be logged can be logged once the lock is gone."""
    cli, model = Cli(tmp_path / "home"), tmp_path / "model"
    long = ("--set", "trainer.max_epochs=8", "--set", "trainer.patience=50")
    with cli.start(*LINEAR, *long, "--output", model) as process:
        wait_for_epoch(process, cli.home, epoch=1)
        with contextlib.closing(sqlite3.connect(cli.home / "mlflow.db", timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            rest = process.communicate()[1]
    assert process.returncode == 0, rest
    assert {path.name for path in model.iterdir()} >= {"config.yaml"}
    notes = [line for line in rest.splitlines() if not re.search(r"season|% done", line)]
    assert len(notes) == 3, rest
    assert all(line.startswith("note: ") for line in notes)
    cli("runs", "log", tmp_path / "model.unlogged")
    (run,) = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert run["status"] == "FINISHED"


@pytest.mark.slow
def test_two_trainings_make_and_share_one_store(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")
    both = [cli.start(*LINEAR, "--output", tmp_path / name) for name in ("a", "b")]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    runs = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert [run["status"] for run in runs] == ["FINISHED", "FINISHED"]
    assert all("test/mse" in run["metrics"] for run in runs)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``mlflow server`` over a SQLite store in ``folder``; it ends with the block, or when it is
    killed.
    """
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            f"sqlite:///{folder}/store.db",
            "--artifacts-destination",
            str(folder / "artifacts"),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(process: subprocess.Popen[str], start: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(start):
            return
    raise AssertionError(f"no line that begins with {start!r}")


@pytest.mark.slow
def test_a_training_outlives_its_tracking_server(tmp_path: Path) -> None:
    """Killed in the middle: the model is saved, what is missing lies beside it and can be logged
    later.
    """
    cli, port, model = Cli(tmp_path / "home"), free_port(), tmp_path / "model"
    cli.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    args = [*LINEAR, "--output", model, "--set", "trainer.max_epochs=6"]
    with server(tmp_path / "server", port) as first, cli.start(*args) as process:
        wait_for_epoch(process, cli.home)
        kill(first)
        rest = process.communicate()[1]
    assert process.returncode == 0, rest
    assert {path.name for path in model.iterdir()} == set(FILES)
    left = tmp_path / "model.unlogged"
    notes = [line for line in rest.splitlines() if line.startswith("note:")]
    assert len(notes) == 3, rest
    assert "continuing, entries are stored and retried" in notes[0]
    assert notes[1].endswith("the model is saved, and logged as plain files")
    assert notes[2].endswith(f"once it is available again log them with: runs log {left}")
    assert (
        f"the tracking server http://127.0.0.1:{port} cannot be reached"
        in cli("runs", "log", left, status=1).stderr
    )
    with server(tmp_path / "server", port):
        cli("runs", "log", left)
        (run,) = json.loads(cli("runs", "list", "--json").stdout)["runs"]
        cli(
            "forecast",
            "--model",
            f"runs:/{run['run_id']}/model",
            "--csv",
            SAMPLE,
            "--output",
            tmp_path / "point.csv",
        )
    assert not left.exists()
    assert run["status"] == "FINISHED"
    assert {"test/mse", "train/loss", "val/loss"} <= set(run["metrics"])


@pytest.mark.slow
def test_pending_writes_are_logged_when_the_server_is_back(tmp_path: Path) -> None:
    cli, port = Cli(tmp_path / "home"), free_port()
    cli.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    args = [*LINEAR, "--set", "trainer.max_epochs=100000", "--set", "trainer.patience=100000"]
    with server(tmp_path / "server", port) as first, cli.start(*args) as process:
        wait_for_epoch(process, cli.home)
        kill(first)
        wait_for(process, "note: the tracking store")
        with server(tmp_path / "server", port):
            wait_for(
                process,
                f"note: the tracking store http://127.0.0.1:{port} is available again; the pending entries are logged",
            )
            process.send_signal(signal.SIGTERM)
            rest = process.communicate()[1]
    assert "note:" not in rest
    with sqlite3.connect(tmp_path / "server" / "store.db") as store:
        assert store.execute("select status from runs").fetchall() == [("KILLED",)]
        steps = [
            step
            for (step,) in store.execute(
                "select step from metrics where key = 'train/loss' order by step"
            )
        ]
    assert steps == list(range(1, len(steps) + 1))  # none is missing, none stands twice


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_sigterm_interrupts_and_the_training_goes_on_later(tmp_path: Path, devices: int) -> None:
    cli = Cli(tmp_path / "home")
    epochs = ["--set", "trainer.max_epochs=6", "--set", "trainer.patience=9"]
    args = [*LINEAR, "--refit", "none", "--devices", devices, *epochs, "--output"]
    with cli.start(*args, tmp_path / "found", start_new_session=True) as process:
        wait_for_epoch(process, cli.home, stage=0)
        os.killpg(process.pid, signal.SIGTERM)  # as a service manager does: to every process
        rest = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert (
        rest.splitlines()[-1]
        == "interrupted; an unfinished training goes on with: train --resume latest"
    )
    (run,) = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert run["status"] == "KILLED"
    assert list((tmp_path / "home" / "checkpoints" / run["run_id"]).glob("stage0*"))
    cli.process("train", "--resume", "latest") if devices > 1 else cli(
        "train", "--resume", "latest"
    )
    if devices == 1:
        cli(*args, tmp_path / "expected")
        assert_same_weights(tmp_path / "expected", tmp_path / "found")
