"""Work that is not to be torn apart by Ctrl-C or SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM wait for its end; then they are answered as they would have
    been.

    A transaction that is torn apart can keep a store locked for as long as this process lives.
    """
    if threading.current_thread() is not threading.main_thread():  # they never reach another thread
        yield
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    answers = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, answer in answers.items():
            signal.signal(number, answer)
        if waiting:
            signal.raise_signal(waiting[0])
