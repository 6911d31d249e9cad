"""Sources that are no tables, and the short texts of results."""

import sys

import numpy as np
import pandas as pd
import pytest

import forecaster
from forecaster.api.comparing import Leaderboard
from forecaster.api.forecast import Samples
from forecaster.config.schema import Columns
from forecaster.data.frames import read_source, roles_of_fields
from forecaster.data.tables import read_table

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


def entry(item: str, count: int = 40, ahead: int = 5) -> dict[str, object]:
    """2·promo, in a region; the promotion of the ``ahead`` days after the values is known."""
    promo = np.arange(count + ahead) % 3 == 0
    return {
        "item_id": item,
        "start": pd.Period("2024-01-01", "D"),
        "target": 2.0 * promo[:count],
        "feat_dynamic_real": [promo.astype(float), np.arange(count + ahead) / 10],
        "feat_dynamic_cat": [np.arange(count + ahead) % 2],
        "past_feat_dynamic_real": [np.arange(count)],
        "feat_static_cat": [3],
        "feat_static_real": [0.5 if item == "a" else 1.5],
    }


def test_the_fields_of_a_gluonts_data_set_are_covariates() -> None:
    source = read_source([entry("a"), entry("b")])
    roles = roles_of_fields(source)
    assert roles == {
        "known": ("feat_dynamic_real_0", "feat_dynamic_real_1", "feat_dynamic_cat"),
        "past": ("past_feat_dynamic_real",),
        "static": ("feat_static_real", "feat_static_cat"),
        "categorical": ("feat_dynamic_cat", "feat_static_cat"),
    }
    table = read_table(source, Columns(**roles))
    assert table.names == ("target",)
    first = next(iter(table))
    for name, values in entry("a").items():
        if name in {"feat_static_cat", "feat_static_real", "target"} or "dynamic" in name:
            expected = [0] if name == "feat_static_cat" else values  # the place among the texts
            np.testing.assert_array_equal(np.ravel(first[name]), np.ravel(expected), name)
    assert roles_of_fields(read_source(pd.DataFrame({"feat_dynamic_real": [1.0]}))) == {}
    short = {**entry("a"), "past_feat_dynamic_real": [np.arange(39)]}
    with pytest.raises(forecaster.UserError) as caught:
        read_source([short])
    assert str(caught.value) == (
        "the data set: 'past_feat_dynamic_real' has 39 steps for 40 of the target; give all"
    )


def test_a_model_learns_from_the_fields_and_forecasts_from_them() -> None:
    entries = [entry("a"), entry("b")]
    model = forecaster.train(
        entries, preset="nlinear", horizon=5, lookback=10, tracking=False, refit="none",
        settings={"trainer.max_epochs": 1},
    )  # fmt: skip
    assert len(model.forecast(entries).frame) == 10
    for each in entries:
        each["feat_dynamic_real"] = [values[:40] for values in each["feat_dynamic_real"]]
    with pytest.raises(
        forecaster.UserError, match=r"'feat_dynamic_real_0' is blank at 2024-02-10 and"
    ):
        model.forecast(entries)


def zoned(freq: str, tz: str, start: str = "2024-03-01", rows: int = 29 * 24) -> pd.DataFrame:
    """Values that tell the hour of UTC, up to the day before Berlin puts its clocks forward."""
    times = pd.date_range(start, periods=rows, freq=freq, tz=tz)
    return pd.DataFrame({"y": np.arange(rows) % 24.0}, index=times)


@pytest.mark.parametrize(
    ("frame", "zone", "first", "last"),
    [
        (zoned("h", "Europe/Berlin"), "Europe/Berlin", "03-30 00:00:00+01:00", "04-01 00:00:00+02:00"),
        (zoned("h", "Europe/Berlin", "2023-09-20", 60 * 24), "Europe/Berlin", "11-18 23:00:00+01:00", "11-20 22:00:00+01:00"),
        (zoned("D", "Europe/Berlin", rows=29), "Europe/Berlin", "03-30 00:00:00+01:00", "03-31 00:00:00+01:00"),
        (zoned("h", "UTC"), None, "03-30 00:00:00+00:00", "03-31 23:00:00+00:00"),
        (zoned("h", "Asia/Kolkata"), "Asia/Kolkata", "03-30 00:00:00+05:30", "03-31 23:00:00+05:30"),
        (zoned("h", "Africa/Cairo", "2024-03-27"), "Africa/Cairo", "04-25 00:00:00+02:00", "04-27 00:00:00+03:00"),
        (zoned("h", "Africa/Cairo", "2024-04-20"), "Africa/Cairo", "05-19 01:00:00+03:00", "05-21 00:00:00+03:00"),
        (zoned("h", "Etc/GMT-1"), None, "03-30 00:00:00+01:00", "03-31 23:00:00+01:00"),
    ],
)  # fmt: skip
def test_the_zone_of_a_data_type_is_that_of_the_forecast(
    frame: pd.DataFrame, zone: str | None, first: str, last: str
) -> None:
    """Clocks that change are written as they will be; a zone that is given goes first."""
    table = read_table(read_source(frame), Columns())
    said = f"times are of {zone}, the zone of column 'timestamp'"
    assert (said in table.report.decisions) == (zone is not None)
    assert table.clock.place == zone
    assert table.series[0].values[:, 0].tolist() == frame["y"].tolist()
    after = table.interval.stamp(table.series[0].first, len(frame))
    steps = 48 if table.clock.utc else 2
    written = table.clock.write(pd.DatetimeIndex([after, table.interval.stamp(after, steps - 1)]))
    assert [text[5:] for text in written] == [first, last]
    given = read_table(read_source(frame), Columns(timezone="America/Lima"))
    assert given.clock.place == "America/Lima"


def test_a_model_keeps_the_zone_of_a_data_type() -> None:
    steps = {"horizon": 3, "lookback": 24, "tracking": False}
    frame = zoned("h", "Europe/Berlin")
    model = forecaster.train(frame, model="seasonal-naive", calendar="hour", **steps)
    local = frame.set_axis(frame.index.tz_localize(None))
    for given in (frame, local, frame.tz_convert("UTC")):
        times = model.forecast(given).frame["timestamp"]
        assert [str(time) for time in times] == [f"2024-03-30 0{h}:00:00+01:00" for h in range(3)]
