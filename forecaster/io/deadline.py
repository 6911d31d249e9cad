"""Blocks of work that end after a time, whatever they wait for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _LateError(BaseException):
    """The time is over. No library catches it, as one that tries again would a TimeoutError."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError at the end of a block that takes longer, and end it.

    Only in the main thread, which signals reach; elsewhere a block takes as long as it does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _LateError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _LateError:
        raise TimeoutError(f"no answer in {seconds:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
