"""Stores that keep a program waiting: locked ones, and servers of a byte a second."""

import asyncio
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from conftest import Cli, free_port, wait_for_epoch
from tracking.test_faults import LINEAR, server

from forecaster.tracking import retry_queue, store
from forecaster.tracking.retry_queue import RetryQueue, queued, transaction


class Waiting(RetryQueue):
    """A queue whose store never answers."""

    def reachable(self) -> bool:
        return False

    @queued
    def note(self, text: str) -> None:
        threading.Event().wait()


def test_a_write_that_gets_no_answer_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retry_queue, "ANSWER_SECONDS", 0.05)  # of every write
    queue = Waiting("http://host", tmp_path / "unsent", (OSError,))
    queue.note("a")
    queue.note("b")
    assert [write.arguments for write in queue.pending] == [["a"], ["b"]]
    assert capsys.readouterr().err == (
        "note: the tracking store http://host fails (no answer in 0.05 seconds); continuing, "
        "entries are stored and retried\n"
    )


def test_each_class_of_queue_sends_by_its_own_methods(tmp_path: Path) -> None:
    class Heard(RetryQueue):
        @queued
        def note(self, text: str) -> None:
            heard.append(text)

    class Further(Heard):
        @queued
        def other(self) -> None: ...

    heard: list[str] = []
    Further("store", tmp_path, (OSError,)).note("a")
    assert heard == ["a"]
    assert list(Waiting.methods) == list(Heard.methods) == ["note"]
    assert set(Further.methods) == {"note", "other"}
    assert RetryQueue.methods == {}


def test_only_servers_have_a_time_to_answer() -> None:
    with pytest.raises(TimeoutError), transaction("http://host", 0.01):
        time.sleep(1)
    with transaction("sqlite:///store.db", 0.01):
        time.sleep(0.05)


def test_a_locked_store_is_waited_for_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store.time, "sleep", lambda seconds: None)
    answers: list[object] = [OSError("database is locked"), OSError("database is locked"), 7]

    def work() -> object:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert store.patiently(work) == 7
    told = capsys.readouterr().err
    assert told.endswith("; waiting\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("message", "seconds"), [("disk is full", 100), ("database is locked", -1)]
)
def test_other_errors_and_too_long_a_lock_are_passed_on(
    monkeypatch: pytest.MonkeyPatch, message: str, seconds: float
) -> None:
    monkeypatch.setattr(store, "_LOCKED", seconds)

    def work() -> None:
        raise OSError(message)

    with pytest.raises(OSError, match=message):
        store.patiently(work)


@pytest.mark.slow
def test_a_training_waits_for_a_store_that_is_locked_for_a_minute(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")
    cli(*LINEAR, "--set", "trainer.max_epochs=1")
    lock = sqlite3.connect(cli.home / "mlflow.db", isolation_level=None)
    lock.execute("begin exclusive")
    with cli.start(*LINEAR, "--set", "trainer.max_epochs=1") as process:
        time.sleep(60)
        lock.execute("commit")
        lock.close()
        told = process.communicate()[1]
    assert process.returncode == 0, told
    assert told.count("another program has locked the tracking store") <= 2


class Dripping:
    """A way to a server that passes everything on, and from ``drip`` on a blank a second."""

    def __init__(self, target: int) -> None:
        self.target, self.port, self.drips = target, free_port(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        assert self._up.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listen = asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self._loop.run_until_complete(listen)
        self._up.set()
        self._loop.run_forever()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._copy(reader, back), self._copy(there, writer), self._drip(writer)
        )

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while (part := await source.read(1 << 16)) and not self.drips.is_set():
                sink.write(part)
        except OSError:
            pass

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        while not self.drips.is_set():
            await asyncio.sleep(0.05)
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1)
        except OSError:
            pass


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the way's streams are left open
@pytest.mark.parametrize("seconds", [3, 40])  # within the first wait, and in a later one
def test_sigterm_ends_a_training_whose_server_drips(tmp_path: Path, seconds: float) -> None:
    cli, port = Cli(tmp_path / "home"), free_port()
    args = [*LINEAR, "--set", "trainer.max_epochs=100000", "--set", "trainer.patience=100000"]
    with server(tmp_path / "server", port):
        way = Dripping(port)
        cli.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{way.port}"
        with cli.start(*args) as process:
            wait_for_epoch(process, cli.home)
            way.drips.set()
            time.sleep(seconds)
            process.send_signal(signal.SIGTERM)
            told = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "they are saved in" in told
    assert told.splitlines()[-1].startswith("interrupted; ")


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the way's streams are left open
def test_a_training_ends_although_its_server_drips(tmp_path: Path) -> None:
    cli, port = Cli(tmp_path / "home"), free_port()
    with server(tmp_path / "server", port):
        way = Dripping(port)
        cli.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{way.port}"
        args = [*LINEAR, "--output", tmp_path / "model", "--set", "trainer.max_epochs=6"]
        with cli.start(*args) as process:
            wait_for_epoch(process, cli.home)
            way.drips.set()
            told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    assert (tmp_path / "model" / "weights.safetensors").is_file()
    assert (tmp_path / "model.unlogged").is_dir()
