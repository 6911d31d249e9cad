"""Forecasts from short and holed histories, by models that learnt from whole ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecaster

ROWS, LOOKBACK, HORIZON, SERIES = 300, 28, 7, 50
NOISE = 0.05
LEVELS = [0.05, 0.5, 0.95]


def made() -> pd.DataFrame:
    """Days by series; each has a level, a weekly cycle and independent noise of its own."""
    rng, days = np.random.default_rng(5), np.arange(ROWS)
    columns = {}
    for number in range(SERIES):
        cycle = rng.normal(0, 0.2, 7)
        noise = rng.normal(0, NOISE, ROWS)
        columns[f"s{number:02d}"] = rng.uniform(50, 500) * (2 + cycle[days % 7] + noise)
    return pd.DataFrame(columns, index=pd.date_range("2024-01-01", periods=ROWS, name="day"))


def long(table: pd.DataFrame) -> pd.DataFrame:
    return table.stack(future_stack=True).rename("y").rename_axis(["day", "item"]).reset_index()


@pytest.fixture(
    scope="module", params=["nlinear", pytest.param("quantile-linear", marks=pytest.mark.slow)]
)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    return forecaster.train(
        long(made().iloc[: ROWS - 3 * HORIZON]),
        model=request.param,
        horizon=HORIZON,
        lookback=LOOKBACK,
        settings={
            "trainer.max_epochs": 6,
            "trainer.epoch_batches": 100,
            "trainer.learning_rate": 0.01,
        },
        tracking=False,
        output=tmp_path_factory.mktemp("short") / "model",
    )


def scored(model: forecaster.Model, change: object) -> tuple[float, float, float]:
    """Mean absolute error, its ratio to seasonal naive's on whole histories, and coverage."""
    table, errors, naive, held = made(), [], [], []
    for origin in (ROWS - 3 * HORIZON, ROWS - 2 * HORIZON, ROWS - HORIZON):
        history = table.iloc[origin - LOOKBACK : origin]
        truth = table.iloc[origin : origin + HORIZON]
        found = model.forecast(long(change(history)), quantiles=LEVELS).frame
        low, point, high = (
            found.pivot(index="timestamp", columns="item_id", values=name)[table.columns].to_numpy()
            for name in ("0.05", "mean", "0.95")
        )
        size, y = table.mean().to_numpy(), truth.to_numpy()
        errors.append(np.abs(point - y) / size)
        naive.append(np.abs(history.iloc[-7:].to_numpy() - y) / size)
        held.append((low <= y) & (y <= high))
    return np.mean(errors), np.mean(errors) / np.mean(naive), np.mean(held)


@pytest.mark.parametrize("rows", [7, 14, 21, 28])
def test_a_short_history_is_forecast_as_well_as_by_seasonal_naive(model, rows: int) -> None:
    _, ratio, held = scored(model, lambda history: history.iloc[-rows:])
    assert ratio < 1.01
    assert 0.85 < held < 0.95


@pytest.mark.parametrize("missing", [0.1, 0.3])
def test_so_is_one_with_holes(model, missing: float) -> None:
    chances = np.random.default_rng(1).random((LOOKBACK, SERIES))
    chances[[0, -1]] = 1
    _, ratio, held = scored(model, lambda history: history.mask(chances < missing))
    assert ratio < 1.01
    assert 0.85 < held < 0.95


def test_what_was_put_in_is_said_with_its_cost(model) -> None:
    table = made()
    holed = table.iloc[-LOOKBACK:].copy()
    holed.iloc[14:24, 0] = np.nan
    short = long(holed)[lambda rows: (rows["item"] != "s01") | (rows["day"] > holed.index[-8])]
    decisions = model.forecast(short).decisions
    about = [each for each in decisions if "estimated" in each]
    assert len(about) == 2
    assert about[0].startswith("series 's00': 10 missing values in the rows that the model reads: ")
    assert about[1].startswith("series 's01': 7 rows where the model reads 28: what is missing ")
    assert about[1].endswith(" times as wide")
    few, many = (float(each.split("up to ")[1].split()[0]) for each in about)
    assert 1 < few < many < 2


def test_many_series_are_told_of_in_one_line(model) -> None:
    decisions = model.forecast(long(made().iloc[-14:])).decisions
    (about,) = [each for each in decisions if "estimated" in each]
    assert about.startswith(
        "50 series ('s00', 's01', 's02', …) have fewer rows than the 28 that the model reads, or "
        "missing values in them: what is missing is estimated, intervals up to 1."
    )


def test_so_are_many_new_series(model) -> None:
    renamed = made().rename(columns=lambda name: f"new-{name}")
    decisions = model.forecast(long(renamed)).decisions
    assert (
        "50 series ('new-s00', 'new-s01', 'new-s02', …) were not in the training: each is scaled "
        "by its own values" in decisions
    )
    one = long(renamed.iloc[:, :1])
    assert model.forecast(one).decisions[-1] == (
        "series 'new-s00' was not in the training: scaled by its own values"
    )


def test_the_factors_are_those_of_the_saved_model(model, tmp_path: Path) -> None:
    again = forecaster.load(model.folder)
    short = long(made().iloc[-10:])
    pd.testing.assert_frame_equal(again.forecast(short).frame, model.forecast(short).frame)
