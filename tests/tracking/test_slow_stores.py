"""Stores that keep a program waiting: locked ones, and servers of a byte a second."""

import asyncio
import signal
import socket
import sqlite3
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
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


class Refusing(RetryQueue):
    """A queue whose store refuses while ``refusals`` are left."""

    refusals = 0

    @queued
    def file(self, path: Path) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("refused")


def test_files_take_long_only_while_the_store_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def transaction(store: str, seconds: float) -> AbstractContextManager[None]:
        given.append(seconds)
        return nullcontext()

    monkeypatch.setattr(retry_queue, "transaction", transaction)
    queue = Refusing("http://host", tmp_path / "unsent", (OSError,))
    queue.refusals = 3
    (tmp_path / "a").touch()
    queue.file(tmp_path / "a")
    queue.file(tmp_path / "a")
    long, short = retry_queue.UPLOAD_SECONDS, retry_queue.ANSWER_SECONDS
    assert (given, long > short) == ([long], True)
    assert not queue.available()
    assert given == [long, short]
    assert not queue.available()
    queue.refusals = 0
    assert queue.available()
    assert given == [long, short, short, short, long]
    assert not queue.pending
    queue.file(tmp_path / "a")
    assert given[5:] == [long]


def test_a_health_of_a_byte_a_second_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def answer() -> None:
            way = listening.accept()[0]
            way.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO")
            threading.Event().wait(1)
            way.close()

        threading.Thread(target=answer, daemon=True).start()
        assert store.unreachable(address) == "no answer in 0.3 seconds"


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
        self._loop, self._up = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Dripping":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", self.port):
            self._up.set()
            await self._ended.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways = [writer]
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            ways.append(back)
            await asyncio.gather(
                self._copy(reader, back), self._copy(there, writer), self._drip(writer)
            )
        for way in ways:
            way.close()
            with suppress(OSError):
                await way.wait_closed()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while (part := await source.read(1 << 16)) and not self.drips.is_set():
                sink.write(part)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        while not self.drips.is_set():
            await asyncio.sleep(0.05)
        with suppress(OSError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3, 40])  # within the first wait, and in a later one
def test_sigterm_ends_a_training_whose_server_drips(tmp_path: Path, seconds: float) -> None:
    cli, port = Cli(tmp_path / "home"), free_port()
    args = [*LINEAR, "--set", "trainer.max_epochs=100000", "--set", "trainer.patience=100000"]
    with server(tmp_path / "server", port), Dripping(port) as way:
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
def test_a_training_ends_although_its_server_drips(tmp_path: Path) -> None:
    cli, port = Cli(tmp_path / "home"), free_port()
    with server(tmp_path / "server", port), Dripping(port) as way:
        cli.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{way.port}"
        args = [*LINEAR, "--output", tmp_path / "model", "--set", "trainer.max_epochs=6"]
        with cli.start(*args) as process:
            wait_for_epoch(process, cli.home)
            way.drips.set()
            told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    assert (tmp_path / "model" / "weights.safetensors").is_file()
    assert (tmp_path / "model.unlogged").is_dir()
