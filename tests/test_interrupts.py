"""What is not to be torn apart by an interrupt."""

import signal

import pytest

from forecaster.interrupts import uninterrupted


def test_an_interrupt_waits_for_the_end_and_is_answered_then() -> None:
    before, done = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)], []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():  # one within another waits for the outer one's end
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), uninterrupted():
        _ = 1 / 0
