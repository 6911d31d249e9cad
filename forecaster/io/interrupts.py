"""Blocks of work that Ctrl-C and SIGTERM do not interrupt."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block, where they are handled as before it.

    A database transaction that is interrupted half-way can leave a store locked until the process
    ends.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach the main one only
        yield
        return
    deferred: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        deferred.append(number)

    handlers = {number: signal.signal(number, defer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if deferred:
            signal.raise_signal(deferred[0])
