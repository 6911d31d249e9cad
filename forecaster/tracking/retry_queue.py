"""A queue of writes to the tracking store, which are retried while the store is unavailable.

A write is a method's name, its arguments and its time. One that fails is retried, in order, with
every further write and once more at the end. What is still pending then is saved in a folder, from
which it can be logged later.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, ParamSpec

from forecaster.errors import UserError, masked, one_line
from forecaster.io.deadline import deadline
from forecaster.io.interrupts import uninterrupted

P = ParamSpec("P")
_DRIVER = re.compile(r"\([\w.]+Error\) (.+)")  # a driver's message, as SQLAlchemy quotes it
ANSWER_SECONDS = 30.0  # that a server may take for an entry
UPLOAD_SECONDS = 600.0  # for files
RETRY_AFTER = 10.0  # seconds from a failure to the next attempt
UNSENT_FILE = "writes.jsonl"  # the unsent writes, one a line; their files are stored beside it


@dataclass
class Write:
    """A call that can be repeated; ``at`` is its time, in milliseconds since 1970."""

    name: str
    arguments: list[Any]
    options: dict[str, Any]
    at: int = field(default_factory=lambda: int(time.time() * 1000))

    def map_arguments(self, kind: type, function: Callable[[Any], Any]) -> "Write":
        """The same call with ``function`` applied to every argument of this type."""

        def mapped(value: Any) -> Any:
            return function(value) if isinstance(value, kind) else value

        options = {name: mapped(value) for name, value in self.options.items()}
        return Write(self.name, [mapped(value) for value in self.arguments], options, self.at)


def queued(method: Callable[P, None]) -> Callable[P, None]:
    """Decorator: calls of this method of a ``RetryQueue`` go through the queue.

    Its arguments are plain values and paths, so that they can be saved.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        queue, *arguments = args
        assert isinstance(queue, RetryQueue)
        queue.write(Write(method.__name__, arguments, dict(kwargs)))

    call.queued = method  # type: ignore[attr-defined]
    return call


def is_remote(store: str) -> bool:
    """Whether a store is a server."""
    return store.startswith(("http://", "https://"))


def reason_of(error: Exception) -> str:
    """What a store says in one line; of a database, the words of its driver without the query."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    found = next((match for line in lines if (match := _DRIVER.match(line))), None)
    return one_line(lines[0] if found is None else found[1], 200)


def transaction(store: str, seconds: float = ANSWER_SECONDS) -> AbstractContextManager[None]:
    """What Ctrl-C and SIGTERM do not interrupt, except where ``store`` is a server.

    A server looks after its own transactions. It may take long to respond, or send a byte now and
    then: after ``seconds`` it is a TimeoutError.
    """
    return deadline(seconds) if is_remote(store) else uninterrupted()


class RetryQueue:
    """Writes to ``store``, in order, retried after one of ``transient_errors``.

    ``unsent_folder``: where the writes that are pending at the end are saved. ``methods``: those
    that are queued, by name, a class's own.
    """

    methods: ClassVar[dict[str, Callable[..., None]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {name: value.queued for name, value in vars(cls).items() if hasattr(value, "queued")}
        cls.methods = cls.methods | own

    def __init__(
        self, store: str, unsent_folder: Path, transient_errors: tuple[type[Exception], ...]
    ) -> None:
        self.store, self.unsent_folder = store, unsent_folder
        self.transient_errors = transient_errors
        self.at = 0  # the time of the current write
        self.pending: list[Write] = []
        self._failed_at: float | None = None

    def write(self, write: Write) -> None:
        """Append a write and send what is pending, or leave it pending for a retry."""
        self.pending.append(write)
        if self._failed_at is None or time.monotonic() - self._failed_at > RETRY_AFTER:
            self.flush()
        if self.pending:
            self.pending[-1] = write.map_arguments(Path, self._copy)

    def reachable(self) -> bool:
        """A quick check whether an unavailable store is worth a retry, which may take long."""
        return True

    @property
    def failing(self) -> bool:
        """Whether the last write has failed, or was interrupted."""
        return self._failed_at is not None

    def available(self) -> bool:
        """Whether the store takes writes; pending ones are sent first."""
        if self.failing:
            self.flush()
        return not self.failing

    def flush(self) -> None:
        """Send the pending writes, up to one that fails.

        The first failure and the recovery are reported on standard error.
        """
        if self._failed_at is not None and not self.reachable():
            self._failed_at = time.monotonic()
            return
        answers = not self.failing
        try:
            while self.pending:
                self._send_first(answers)
                answers = True
        except self.transient_errors as error:
            if self._failed_at is None:
                notify(
                    f"note: the tracking store {self.store} fails ({reason_of(error)}); "
                    "continuing, entries are stored and retried"
                )
            self._failed_at = time.monotonic()
        except KeyboardInterrupt:
            self._failed_at = time.monotonic()  # the store may be what took so long
            raise
        else:
            if self._failed_at is not None:
                notify(
                    f"note: the tracking store {self.store} is available again; the pending "
                    "entries are logged"
                )
            self._failed_at = None

    def _send_first(self, answers: bool) -> None:
        """Send the first pending write; ``answers``: the store has done the one before it."""
        write = self.pending[0]
        self.at = write.at
        files = any(isinstance(value, Path) for value in write.arguments)
        with transaction(self.store, UPLOAD_SECONDS if files and answers else ANSWER_SECONDS):
            self.methods[write.name](self, *write.arguments, **write.options)
            self.pending.pop(0)

    def _copy(self, path: Path) -> Path:
        """A copy in the unsent folder, as the original may be deleted before the next retry."""
        folder = self.unsent_folder
        if path.is_relative_to(folder):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / str(sum(1 for _ in folder.iterdir()))
        target.mkdir()
        return Path((shutil.copytree if path.is_dir() else shutil.copy2)(path, target / path.name))

    def save_unsent(self, metadata: dict[str, str]) -> None:
        """Save the pending writes in the unsent folder, ``metadata`` with each.

        Without pending writes the folder is removed.
        """
        folder = self.unsent_folder
        if not self.pending:
            shutil.rmtree(folder, ignore_errors=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        plain = [
            write.map_arguments(Path, lambda path: {"path": str(path.relative_to(folder))})
            for write in self.pending
        ]
        lines = [
            json.dumps({**metadata, **vars(write)}, ensure_ascii=False, default=str) + "\n"
            for write in plain
        ]
        (folder / UNSENT_FILE).write_text("".join(lines), encoding="utf-8")
        notify(
            f"note: {len(lines)} entries are not in the tracking store {self.store}; they are "
            f"saved in {folder}, once it is available again log them with: runs log {folder}"
        )


def notify(text: str) -> None:
    """Print on standard error, unbuffered and without any password."""
    print(masked(text), file=sys.stderr, flush=True)


def read_unsent(folder: Path, queue: type[RetryQueue]) -> tuple[dict[str, str], list[Write]]:
    """The metadata and the writes saved in a folder; no file outside the folder is read."""

    def path(value: dict[str, Any]) -> Any:
        if set(value) != {"path"}:
            return value
        file = (folder / value["path"]).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.exists():
            raise ValueError(f"{value['path']} is not in it")
        return file

    try:
        text = (folder / UNSENT_FILE).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        writes = [
            Write(w["name"], w["arguments"], w["options"], int(w["at"])).map_arguments(dict, path)
            for w in lines
        ]
        if any(write.name not in queue.methods for write in writes):
            raise ValueError("it holds an unknown entry")
        return {"run_id": str(lines[0]["run_id"])}, writes
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no unsent entries ({UNSENT_FILE} is missing)") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{folder / UNSENT_FILE}: damaged ({error}); remove the folder") from error
