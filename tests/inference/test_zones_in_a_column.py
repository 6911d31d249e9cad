"""A model of a file with a column of zones reads the rows of one zone as it was trained."""

from pathlib import Path

import pandas as pd
import pytest

import forecaster
from forecaster.errors import UserError

HOURS = pd.date_range("2023-10-01", periods=24 * 40, freq="h", tz="UTC")


def rows(zone: str) -> pd.DataFrame:
    local = HOURS.tz_convert(zone)
    values = HOURS.hour + 0.5
    return pd.DataFrame(
        {"time": local.strftime("%Y-%m-%d %H:%M"), "tz": local.strftime("%Z"), "x": values}
    )


def train(frame: pd.DataFrame, folder: Path) -> forecaster.Model:
    frame.to_csv(folder / "rows.csv", index=False)
    return forecaster.train(
        folder / "rows.csv", model="seasonal-naive", horizon=6, lookback=48, tracking=False
    )


@pytest.mark.parametrize("count", [100, 24 * 20])
def test_the_last_rows_are_forecast_as_the_whole_file(tmp_path: Path, count: int) -> None:
    frame = rows("Europe/Berlin")
    model = train(frame, tmp_path)
    whole = model.forecast(tmp_path / "rows.csv").frame
    frame.tail(count).to_csv(tmp_path / "last.csv", index=False)
    last = model.forecast(tmp_path / "last.csv").frame
    times = [pd.to_datetime(each["timestamp"], utc=True).tolist() for each in (whole, last)]
    assert times[0] == times[1] == pd.date_range(HOURS[-1], periods=7, freq="h")[1:].tolist()
    assert last["mean"].tolist() == whole["mean"].tolist()


def test_rows_of_a_name_that_several_zones_have_need_the_place(tmp_path: Path) -> None:
    frame = rows("America/Chicago")
    model = train(frame, tmp_path)
    frame.tail(48).to_csv(tmp_path / "last.csv", index=False)
    with pytest.raises(UserError, match="--timezone America/Chicago"):
        model.forecast(tmp_path / "last.csv")
    found = model.forecast(tmp_path / "last.csv", timezone="America/Chicago").frame
    assert pd.to_datetime(found["timestamp"], utc=True)[0] == HOURS[-1] + pd.Timedelta(hours=1)


def test_a_model_of_one_zone_goes_on_without_it(tmp_path: Path) -> None:
    frame = rows("Asia/Tokyo")
    model = train(frame, tmp_path)
    found = model.forecast(tmp_path / "rows.csv").frame
    assert found["timestamp"][0] == pd.Timestamp("2023-11-10 09:00")
