"""What is written to the tracking store, kept while the store is away.

A write is a method's name, its arguments and its time. Where it fails it is tried again with every
further write, in order, and once more at the end. What could not be written by then is left in a
folder, from which it can be written later.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, ParamSpec

from forecaster.errors import UserError, one_line
from forecaster.io.interrupts import uninterrupted

P = ParamSpec("P")
PATIENCE = 10.0  # seconds from a failure to the next attempt
LIST = (
    "writes.jsonl"  # the kept writes, one a line; the files that they need lie in folders beside it
)


@dataclass
class Write:
    """A call that can be made again; ``at`` is its time, in milliseconds since 1970."""

    name: str
    arguments: list[Any]
    options: dict[str, Any]
    at: int = field(default_factory=lambda: int(time.time() * 1000))

    def change(self, kind: type, change: Callable[[Any], Any]) -> "Write":
        """The same with every argument of this kind changed."""
        changed = [change(a) if isinstance(a, kind) else a for a in self.arguments]
        return Write(
            self.name,
            changed,
            {k: change(v) if isinstance(v, kind) else v for k, v in self.options.items()},
            self.at,
        )


def queued(method: Callable[P, None]) -> Callable[P, None]:
    """A method of a ``RetryQueue`` that writes, with plain values and paths as arguments: called
    now, or when it can be.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        keeper, *arguments = args
        assert isinstance(keeper, RetryQueue)
        keeper.write(Write(method.__name__, arguments, dict(kwargs)))

    RetryQueue.methods[method.__name__] = method
    return call


def is_remote(store: str) -> bool:
    """Whether a store is a server."""
    return store.startswith(("http://", "https://"))


class RetryQueue:
    """Writes to ``store``, in order. ``away``: the errors of a store that is away; ``left``: the
    folder of what is left.
    """

    methods: ClassVar[dict[str, Callable[..., None]]] = {}

    def __init__(self, store: str, left: Path, away: tuple[type[Exception], ...]) -> None:
        self.store, self.left, self.away = store, left, away
        self.at = 0  # the time of the write that is being made
        self.pending: list[Write] = []
        self._failed: float | None = None

    def write(self, write: Write) -> None:
        """Make this write after those that are kept, or keep it."""
        self.pending.append(write)
        if self._failed is None or time.monotonic() - self._failed > PATIENCE:
            self.attempt()
        if self.pending:
            self.pending[-1] = write.change(Path, self._copy)

    def reachable(self) -> bool:
        """A quick look whether a store that was away is worth an attempt, which may take long."""
        return True

    def attempt(self) -> None:
        """Make the kept writes, up to one that fails; the first failure and its end are told on
        standard error.
        """
        try:
            if self._failed is not None and not self.reachable():
                self._failed = time.monotonic()
                return
            while self.pending:
                write = self.pending[0]
                self.at = write.at
                # a server may take long to answer, and looks after its own transactions
                with nullcontext() if is_remote(self.store) else uninterrupted():
                    self.methods[write.name](self, *write.arguments, **write.options)
                    self.pending.pop(0)
        except self.away as error:
            if self._failed is None:
                reason = one_line(str(error) or type(error).__name__, 200)
                say(
                    f"note: the tracking store {self.store} fails ({reason}); going on, what is to "
                    "be logged is kept"
                )
            self._failed = time.monotonic()
        else:
            if self._failed is not None:
                say(
                    f"note: the tracking store {self.store} is there again; what was kept is logged"
                )
            self._failed = None

    def _copy(self, path: Path) -> Path:
        """A copy, as the file or folder may be gone by the next attempt."""
        if path.is_relative_to(self.left):
            return path
        self.left.mkdir(parents=True, exist_ok=True)
        place = self.left / str(sum(1 for _ in self.left.iterdir()))
        place.mkdir()
        return Path((shutil.copytree if path.is_dir() else shutil.copy2)(path, place / path.name))

    def leave(self, about: dict[str, str]) -> None:
        """Leave what is still kept in the folder, each line with what it is ``about``; remove an
        empty one's.
        """
        if not self.pending:
            shutil.rmtree(self.left, ignore_errors=True)
            return
        self.left.mkdir(parents=True, exist_ok=True)
        plain = [
            write.change(Path, lambda path: {"path": str(path.relative_to(self.left))})
            for write in self.pending
        ]
        lines = [
            json.dumps({**about, **vars(write)}, ensure_ascii=False, default=str) + "\n"
            for write in plain
        ]
        (self.left / LIST).write_text("".join(lines), encoding="utf-8")
        say(
            f"note: {len(lines)} entries are not in the tracking store {self.store}; they lie in "
            f"{self.left}, once it is "
            f"there again log them with: runs log {self.left}"
        )


def say(text: str) -> None:
    """On standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def read_unsent(folder: Path) -> tuple[dict[str, str], list[Write]]:
    """What was left in a folder, and what it is about; nothing is read from outside the folder."""

    def path(value: dict[str, Any]) -> Any:
        if set(value) != {"path"}:
            return value
        found = (folder / value["path"]).resolve()
        if not found.is_relative_to(folder.resolve()) or not found.exists():
            raise ValueError(f"{value['path']} is not in it")
        return found

    try:
        lines = [
            json.loads(line) for line in (folder / LIST).read_text(encoding="utf-8").splitlines()
        ]
        writes = [
            Write(w["name"], w["arguments"], w["options"], int(w["at"])).change(dict, path)
            for w in lines
        ]
        if any(write.name not in RetryQueue.methods for write in writes):
            raise ValueError("it holds an unknown entry")
        return {"run_id": str(lines[0]["run_id"])}, writes
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: no entries to be logged lie there ({LIST} is missing)"
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{folder / LIST}: damaged ({error}); remove the folder") from error
