"""Work that is ended when its time is over."""

import contextlib
import signal
import threading
import time

import pytest

from forecaster.io.deadline import deadline


def stubborn() -> None:
    """Waits for ever, and again after any error, as libraries do that try again."""
    while True:
        with contextlib.suppress(Exception):
            threading.Event().wait()


def test_work_that_catches_everything_is_ended_all_the_same() -> None:
    with pytest.raises(TimeoutError, match=r"^no answer in 0.05 seconds$"), deadline(0.05):
        stubborn()


def test_what_was_set_before_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with deadline(60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_error_of_the_work_itself_is_passed_on() -> None:
    with pytest.raises(TimeoutError, match="of its own"), deadline(60):
        raise TimeoutError("of its own")


def test_other_threads_take_as_long_as_they_do() -> None:
    done: list[bool] = []

    def work() -> None:
        with deadline(0.001):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
