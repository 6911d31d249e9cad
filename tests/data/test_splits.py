"""The windows of a part are counted as they are cut."""

import numpy as np
import pytest

from forecaster.config.schema import DataConfig
from forecaster.data.problem import Problem
from forecaster.data.splits import PARTS, Borders, first_targets, target_rows
from forecaster.data.windows import cut_windows

# rows to train on, to validate on, to test on; lookback 8, horizon 3
CASES = [(20, 5, 6), (11, 3, 3), (10, 3, 4), (12, 3, 3), (4, 3, 3), (3, 3, 3), (6, 2, 9), (5, 9, 2)]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("rows", CASES)
def test_counted_rows_are_those_that_are_cut(rows: tuple[int, int, int], part) -> None:
    train, validation, test = np.cumsum(rows).tolist()
    border = Borders(train, validation, test)
    first, end = target_rows(border, part, 8, 3)
    windows = cut_windows([np.zeros((test, 1))], [border], part, 8, 3, [0])
    assert windows.rows.tolist() == list(first_targets(first, end, 3))


@pytest.mark.parametrize(
    ("train", "first"), [(20, 8), (11, 8), (10, 3), (9, 3), (5, 1), (4, 1), (3, 1)]
)
def test_first_training_target(train: int, first: int) -> None:
    """A full history where at least one window has one, else half of what there is, a row at
    least.
    """
    start, end = target_rows(Borders(train, train + 3, train + 6), "train", 8, 3)
    assert (max(start, 1), end) == (first, train)
    assert first_targets(start, end, 3) == range(first, train - 2)


def test_first_targets_have_a_row_before_them_and_end_with_the_part() -> None:
    assert list(first_targets(0, 6, 3)) == [1, 2, 3]
    assert list(first_targets(4, 7, 3)) == [4]
    assert list(first_targets(4, 6, 3)) == []


def test_a_problem_counts_the_windows_of_all_its_series() -> None:
    config = DataConfig(csv="none.csv", lookback=8, horizon=3)
    borders = (Borders(20, 25, 31), Borders(10, 13, 17))
    problem = Problem(config, None, borders, (), None, ())  # type: ignore[arg-type]
    assert {part: problem.count_windows(part) for part in PARTS} == {
        "train": (20 - 8 - 3 + 1) + (10 - 3 - 3 + 1),
        "validation": 3 + 1,
        "test": 4 + 2,
    }
