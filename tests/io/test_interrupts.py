"""What is not to be torn apart by an interrupt."""

import signal
from collections.abc import Iterator

import pytest

from forecaster.io.interrupts import uninterrupted


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """As in a terminal: a shell starts what runs in its background deaf to interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_is_deferred_to_the_end_of_the_block() -> None:
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
