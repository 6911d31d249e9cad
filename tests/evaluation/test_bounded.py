"""How many windows fit into a time, with scorings whose seconds are known."""

import pytest

from forecaster.evaluation.bounded import FEWEST, divided, most_windows, seconds_a_window


class Scoring:
    """Takes some seconds, and more a window, up to a batch; counts what was tried."""

    def __init__(self, fixed: float, each: float) -> None:
        self.fixed, self.each = fixed, each
        self.sizes: list[int] = []

    def __call__(self, size: int) -> float:
        self.sizes.append(size)
        return self.fixed + self.each * size


def test_one_window_is_enough_where_all_surely_fit() -> None:
    scoring = Scoring(0.0, 0.01)
    assert seconds_a_window(scoring, 100, 10.0, 256) == pytest.approx(0.01)
    assert scoring.sizes == [1]


def test_what_a_batch_costs_once_is_not_counted_for_each_window() -> None:
    """1,000 windows one by one would take 100 s, in batches they take a second."""
    scoring = Scoring(0.1, 0.001)
    found = seconds_a_window(scoring, 1000, 8.0, 256)
    assert found * 1000 <= 4.0
    assert sum(map(Scoring(0.1, 0.001), scoring.sizes)) <= 8.0 / 8
    assert scoring.sizes == [1, 2, 4, 8, 16, 32, 64]


def test_no_trial_is_larger_than_a_batch_or_than_all_windows() -> None:
    for count, batch in ((10**6, 4), (5, 256)):
        scoring = Scoring(0.0, 0.5)
        seconds_a_window(scoring, count, 1e3 if batch == 4 else 3.0, batch)
        assert max(scoring.sizes) <= min(count, batch)


def test_slow_windows_are_tried_once() -> None:
    scoring = Scoring(0.0, 60.0)
    assert seconds_a_window(scoring, 100, 10.0, 16) == 60.0
    assert scoring.sizes == [1]


@pytest.mark.parametrize(
    ("counts", "seconds", "budget", "most"),
    [
        ((100, 200), 0.1, 30.0, None),  # all take exactly the time
        ((100, 200), 0.1, 29.9, 128),  # 100 and 128: 22.8 s
        ((100, 200), 0.1, 22.7, 64),
        ((100, 200), 0.1, 12.8, 64),
        ((100, 200), 0.1, 12.7, 32),
        ((100, 200), 60.0, 1.0, FEWEST),
        ((3, 2), 60.0, 1.0, None),  # fewer than the fewest
        ((), 1.0, 0.0, None),
    ],
)
def test_the_largest_power_of_two_that_fits(
    counts: tuple[int, ...], seconds: float, budget: float, most: int | None
) -> None:
    assert most_windows(counts, seconds, budget) == most


def test_what_one_work_leaves_over_goes_to_the_other() -> None:
    assert divided(10, 1, 100) == (5, 9)
    assert divided(10, 100, 2) == (8, 5)
    assert divided(10, 50, 50) == (5, 5)
