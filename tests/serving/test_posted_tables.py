"""Frames and posted tables of many shapes are forecast as the plain table of the same values."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecaster
from forecaster.inference.saved_model import load_model
from forecaster.serving.request import forecast_request

HOURS = pd.date_range("2024-01-01", periods=120, freq="h")
VALUES = np.random.default_rng(0).integers(1_000, 9_000, 120) / 4
ITEMS = [("1", "1"), ("1", "2"), ("2", "1")]


def plain() -> pd.DataFrame:
    return pd.DataFrame({"time": HOURS, "x": VALUES})


def keyed() -> pd.DataFrame:
    """Two keys, numbers as they come from other programs, and three series."""
    parts = [
        plain().assign(store=int(store), dept=float(dept), x=VALUES + 100 * i)
        for i, (store, dept) in enumerate(ITEMS)
    ]
    return pd.concat(parts)[["store", "dept", "time", "x"]]


SHAPES: dict[str, Callable[[], pd.DataFrame]] = {
    "row numbers": lambda: plain().rename_axis("index").reset_index(),
    "row numbers without a name": lambda: plain().reset_index(names="Unnamed: 0"),
    "shuffled": lambda: plain().sample(frac=1.0, random_state=0),
    "unnamed index": lambda: plain().set_index("time").rename_axis(None),
    "index of texts": lambda: plain().assign(time=HOURS.astype(str)).set_index("time"),
    "parts of the time": lambda: pd.DataFrame(
        {"year": HOURS.year, "month": HOURS.month, "day": HOURS.day, "hour": HOURS.hour}
    ).assign(x=VALUES),
    "date and time": lambda: pd.DataFrame(
        {"Date": HOURS.strftime("%d.%m.%Y"), "Time": HOURS.strftime("%H:%M"), "x": VALUES}
    ),
    "numbers as text": lambda: plain().assign(x=[f"{value:,.2f}" for value in VALUES]),
    "comma as decimal mark": lambda: plain().assign(
        x=[f"{value:.2f}".replace(".", ",") for value in VALUES]
    ),
    "a note and a code beside": lambda: plain().assign(
        note=["ok", "late"] * 60, customer_id=[7, 8, 9, 9] * 30, blank=None
    ),
}


def posted(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as a server reads it from JSON."""
    text = frame.to_json(orient="split", date_format="iso")
    return pd.DataFrame(**json.loads(text))


def train(frame: pd.DataFrame, folder: Path, **roles: Any) -> Any:
    model = forecaster.train(
        frame, model="seasonal-naive", horizon=6, lookback=48, tracking=False, **roles
    )
    model.save(folder)
    return model, load_model(folder)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    model, _ = train(plain(), tmp_path_factory.mktemp("plain") / "model")
    return model.forecast(samples=10).frame


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_shape_is_trained_on_and_forecast_as_the_plain_table(
    tmp_path: Path, expected: pd.DataFrame, shape: str
) -> None:
    model, saved = train(SHAPES[shape](), tmp_path / "model")
    pd.testing.assert_frame_equal(model.forecast(samples=10).frame, expected)
    found, _ = forecast_request(saved, posted(SHAPES[shape]()), {"samples": 10})
    assert found["item_id"].tolist() == expected["item_id"].tolist()
    assert pd.to_datetime(found["timestamp"]).tolist() == expected["timestamp"].tolist()
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-6)


def test_two_keys_name_the_series_of_a_frame_and_of_a_posted_table(
    tmp_path: Path, expected: pd.DataFrame
) -> None:
    with pytest.raises(forecaster.UserError, match="--item-id store,dept"):
        train(keyed(), tmp_path / "none")
    _, saved = train(keyed(), tmp_path / "model", item_id=("store", "dept"))
    found, _ = forecast_request(saved, posted(keyed()), {"samples": 10})
    names = ["/".join(item) for item in ITEMS]
    assert list(dict.fromkeys(found["item_id"])) == names
    means = found["mean"].to_numpy().reshape(3, 6)
    for i in range(3):
        np.testing.assert_allclose(means[i], expected["mean"] + 100 * i, rtol=1e-6)


def test_an_index_called_like_a_column_is_refused(tmp_path: Path) -> None:
    _, saved = train(plain(), tmp_path / "model")
    twice = plain().set_index("time", drop=False)
    with pytest.raises(forecaster.UserError, match="the table: 'time' is an index and a column"):
        forecast_request(saved, twice, {})
