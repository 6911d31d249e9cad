"""Spans of the calendar in steps and in words."""

import pytest

from forecaster.data.intervals import Interval
from forecaster.data.periods import (
    adjective,
    calendar_seasons,
    in_words,
    repeated,
    season_in_words,
    seasons_in_words,
)


@pytest.mark.parametrize(
    ("alias", "seasons"),
    [
        ("s", (60, 3600, 86_400, 604_800, 31_557_600)),
        ("min", (60, 1440, 10_080, 525_960)),
        ("5min", (12, 288, 2016, 105_192)),
        ("15min", (96, 672, 35_064)),
        ("h", (24, 168, 8766)),
        ("12h", (2, 14, 730)),
        ("7h", (24, 1252)),
        ("D", (7, 365)),
        ("2D", (183,)),
        ("B", (5, 261)),
        ("2B", (130,)),
        ("W-MON", (52,)),
        ("2W-MON", (26,)),
        ("MS", (12,)),
        ("5MS", ()),
        ("2QS-JAN", (2,)),
        ("QE-DEC", (4,)),
        ("YE-DEC", ()),
    ],
)
def test_the_calendar_gives_each_interval_its_seasons(alias: str, seasons: tuple[int, ...]) -> None:
    assert calendar_seasons(Interval(alias)) == seasons


@pytest.mark.parametrize(
    ("alias", "steps", "words"),
    [
        ("h", 1, "an hour"),
        ("h", 48, "2 days"),
        ("h", 336, "2 weeks"),
        ("h", 25, "25 hours"),
        ("15min", 96, "a day"),
        ("15min", 3, "3 steps"),
        ("15min", 1, "a step"),
        ("min", 480, "8 hours"),
        ("D", 28, "4 weeks"),
        ("D", 10, "10 days"),
        ("B", 20, "4 weeks"),
        ("B", 3, "3 business days"),
        ("MS", 36, "3 years"),
        ("2MS", 5, "5 steps"),
        ("QE-DEC", 3, "3 quarters"),
        ("YE-DEC", 3, "3 years"),
    ],
)
def test_steps_in_words(alias: str, steps: int, words: str) -> None:
    assert in_words(Interval(alias), steps) == words


def test_seasons_in_words() -> None:
    hours = Interval("h")
    assert season_in_words(hours, 24) == "a day (24 steps)"
    assert season_in_words(Interval("min"), 60) == "an hour (60 steps)"
    assert seasons_in_words(hours, (1,)) == "none"
    assert seasons_in_words(hours, (24,)) == "a day (24 steps)"
    assert seasons_in_words(hours, (168, 24)) == "a week (168 steps) and a day (24 steps)"
    assert (
        seasons_in_words(hours, (168, 11, 24))
        == "a week (168 steps), 11 steps and a day (24 steps)"
    )
    assert [repeated(hours, s) for s in (1, 24, 11)] == ["last value", "last day", "last 11 steps"]


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("h", "hourly"),
        ("2h", "2-hour"),
        ("D", "daily"),
        ("3D", "3-day"),
        ("15min", "15-minute"),
        ("s", "1-second"),
        ("500ms", "500ms"),
        ("B", "business-day"),
        ("W-MON", "weekly"),
        ("BME", "monthly"),
        ("2MS", "2MS"),
        ("QS-JAN", "quarterly"),
        ("YE-DEC", "yearly"),
    ],
)
def test_what_data_are_called(alias: str, words: str) -> None:
    assert adjective(Interval(alias)) == words
