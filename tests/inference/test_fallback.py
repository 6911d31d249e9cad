"""Forecasts without a model, on series whose forecast and errors are known."""

import numpy as np
import pytest

from forecaster.inference.fallback import repeated

WEEK = np.array([3.0, 1, 4, 1, 5, 9, 2])


def test_a_season_is_repeated_from_its_newest_values() -> None:
    values = np.tile(WEEK, 4)
    found = repeated(values, 7, 10, (0.1, 0.9), [])
    assert found is not None
    assert found.period == 7
    np.testing.assert_array_equal(found.centre, np.tile(WEEK, 2)[:10])
    np.testing.assert_array_equal(found.quantiles, np.stack([found.centre, found.centre]))
    values[-5:] = np.nan  # its newest values are of the week before, where the last lacks them
    found = repeated(values, 7, 7, (), [])
    assert found is not None
    np.testing.assert_array_equal(found.centre, WEEK)


def test_a_series_shorter_than_a_season_repeats_its_last_value() -> None:
    found = repeated(np.array([5.0, 7.0, np.nan]), 7, 3, (), [])
    assert found is not None
    assert (found.period, found.centre.tolist()) == (1, [7.0, 7.0, 7.0])
    assert found.quantiles.shape == (0, 3)


def test_the_quantiles_are_those_of_the_errors_at_each_distance() -> None:
    """A line of slope 2: a value repeated h steps later is 2 h too low, taken with either sign."""
    found = repeated(2.0 * np.arange(40), 50, 4, (0.0, 0.5, 1.0), [])
    assert found is not None
    errors = 2.0 * np.arange(1, 5)
    np.testing.assert_allclose(found.quantiles, 78 + np.stack([-errors, 0 * errors, errors]))
    seasonal = repeated(2.0 * np.arange(40), 3, 4, (1.0,), [])
    assert seasonal is not None
    np.testing.assert_allclose(seasonal.quantiles[0] - seasonal.centre, [6, 6, 6, 12])


def test_a_gap_before_the_forecast_widens_it() -> None:
    values = np.concatenate([2.0 * np.arange(40), np.full(5, np.nan)])
    found = repeated(values, 50, 1, (1.0,), [])
    assert found is not None
    assert (found.centre[0], found.quantiles[0, 0]) == (78.0, 78.0 + 2 * 6)


def test_too_few_errors_are_joined_by_those_of_others_and_grow_with_the_root_of_time() -> None:
    short, other = np.array([1.0, 2.0, 3.0]), 5.0 * np.arange(12)
    assert repeated(short, 7, 2, (0.5,), []) is None
    assert repeated(short, 7, 2, (), []) is not None
    found = repeated(short, 7, 3, (1.0,), [other])
    assert found is not None
    # eleven changes of 5 within a step, ten within two, nine within three: too few
    np.testing.assert_allclose(found.quantiles[0], 3 + np.array([5.0, 10.0, 5 * np.sqrt(3)]))


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_nothing_is_not_repeated(values: list[float]) -> None:
    assert repeated(np.array(values), 7, 3, (), []) is None
