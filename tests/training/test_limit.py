"""Limits of time: read, shared out, and said in words."""

import pytest

from forecaster.errors import UserError
from forecaster.training.limit import Limit, in_words, limit_of, seconds_of


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("10 min", 600),
        ("2h", 7200),
        ("45", 45),
        (" 1.5H ", 5400),
        (3, 3),
    ],
)
def test_times_are_read(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-3", "ten", "10d", "1e3", "m", "nan", "inf", True]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^time_limit .*: not a time; write 90s, 10m, 2h or a num"):
        seconds_of(text, "time_limit")


def test_a_limit_ends() -> None:
    clock = Clock()
    limit = limit_of("10s", clock=clock)
    assert limit is not None
    clock.now += 7
    assert (limit.left(), limit.over(), limit.over(2.9), limit.over(3)) == (3, False, False, True)
    assert limit.used(2).left() == 1
    clock.now += 4
    assert (limit.left(), limit.over()) == (-1, True)
    assert limit_of(None) is None


def test_a_share_is_of_what_is_left_and_none_is_below_nothing() -> None:
    clock = Clock()
    whole = Limit(100, 200, clock)
    clock.now += 20
    first = whole.share(1 / 4)
    assert (first.left(), first.seconds) == (20, 20)
    clock.now += 5  # the first part ended early: the rest is shared anew
    assert whole.share(1 / 3).left() == 25
    clock.now += 500
    assert whole.share(1 / 2).left() == 0
    for indivisible in (Limit(100, 200, clock, suspends=True), Limit(100, 200, clock, whole=True)):
        assert indivisible.share(1 / 2) is indivisible


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"),
        (7.2, "8 s"),
        (11, "15 s"),
        (95, "95 s"),
        (96, "2 min"),
        (5700, "95 min"),
        (5701, "2 h"),
        (7201, "2.5 h"),
    ],
)
def test_words_are_coarse_and_never_too_little(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
