"""Sources that are no tables, and the short texts of results."""

import sys

import numpy as np
import pandas as pd
import pytest

import forecaster
from forecaster.api.comparing import Leaderboard
from forecaster.api.forecast import Samples
from forecaster.data.frames import read_source

ANY = "is no data: give a path, a pandas or polars frame, or a GluonTS data set"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pd.DataFrame(), "the frame: there are no columns and no rows; give a table"),
        (pd.DataFrame({"a": []}), "the frame: there are columns but no rows; add data"),
        (pd.Series([1.0]), "a Series has no column names; give series.to_frame()"),
        ([1, 2], f"list {ANY}"),
        (np.zeros(3), f"numpy.ndarray {ANY}"),
    ],
)
def test_what_is_no_table_is_refused_and_reported(source: object, message: str) -> None:
    with pytest.raises(forecaster.UserError) as caught:
        read_source(source)
    assert str(caught.value) == message
    report = forecaster.check(source)
    assert (report.ok, report.problems, report.facts) == (False, (message,), {})


def test_an_index_is_read_unless_it_is_numbers_without_a_name() -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 5)]
    frame = pd.DataFrame({"sales": [1.0, 2.0, 3.0, 4.0]}, index=days)
    assert list(read_source(frame).columns) == ["timestamp", "sales"]
    assert list(read_source(frame.rename_axis("day")).columns) == ["day", "sales"]
    assert list(read_source(frame.set_axis(list("abcd"))).columns) == ["index", "sales"]
    assert list(read_source(frame.set_axis([2021, 2022, 2023, 2024])).columns) == ["sales"]
    years = pd.Index([2021, 2022, 2023, 2024], name="year")
    assert list(read_source(frame.set_axis(years)).columns) == ["year", "sales"]


def samples() -> Samples:
    coords = {"item": np.array(["a", "b"]), "step": np.array([1, 2, 3])}
    return Samples(np.arange(6.0).reshape(2, 3), coords)


def test_samples_are_selected_by_label() -> None:
    assert samples().sel(step=2).values.tolist() == [1.0, 4.0]
    assert samples().sel(step=2).dims == ("item",)
    assert samples().sel(step=3, item="b").values == 5.0
    with pytest.raises(forecaster.UserError, match=r"^sel: no step 4; there are \[1, 2, 3\]$"):
        samples().sel(step=4)
    with pytest.raises(forecaster.UserError, match=r"^sel: no dimension 'series'; there are"):
        samples().sel(series="a")


def test_xarray_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(forecaster.UserError, match="xarray is missing; pip install xarray"):
        samples().to_xarray()


def test_results_are_one_line() -> None:
    days = pd.date_range("2024-01-01", periods=60, name="day")
    frame = pd.DataFrame({"sales": np.arange(60) % 7 + 1.0}, index=days)
    model = forecaster.train(frame, model="seasonal-naive", horizon=2, lookback=7, tracking=False)
    forecast = model.forecast()
    assert repr(forecast) == "Forecast('seasonal naive', 2 rows, 2024-03-01 to 2024-03-02)"
    scores = model.evaluate(origins=2)
    assert repr(scores) == "Evaluation(1 series, 4 scored values)"
    assert repr(forecaster.check(pd.DataFrame())) == "CheckReport(1 problem(s), 0 facts)"
    assert repr(samples()) == "Samples(item: 2, step: 3)"
    ranking = pd.DataFrame({"model": ["b", "a"]})
    board = Leaderboard(ranking, (), frame, ("2024", "2025"), (), None)
    assert repr(board) == "Leaderboard(b, a; 2 origins)"


def test_only_public_names_are_listed() -> None:
    assert dir(forecaster) == sorted(forecaster.__all__)
