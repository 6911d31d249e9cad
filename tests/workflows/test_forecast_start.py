"""When a forecast begins: behind rows prepared for the future, or at a chosen time, the same from
the command line, in Python, posted to the server, and row after row.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

import forecaster
from forecaster.inference.saved_model import load_model
from forecaster.serving.request import forecast_request

DAYS = pd.date_range("2024-01-01", periods=150)
VALUES = 10 + DAYS.dayofweek + np.random.default_rng(0).normal(size=150).round(3)
TRAINED = pd.DataFrame({"date": DAYS.strftime("%Y-%m-%d"), "sales": VALUES}).iloc[:120]
FUTURE = pd.DataFrame({"date": DAYS[120:134].strftime("%Y-%m-%d"), "sales": np.nan})
TEMPLATE = pd.concat([TRAINED, FUTURE])


@pytest.fixture(scope="module")
def model(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    TRAINED.to_csv(folder / "sales.csv", index=False)
    steps = ("--horizon", 7, "--lookback", 28, "--target", "sales", "--output", folder / "model")
    cli("train", "nlinear", "--csv", folder / "sales.csv", *steps, "--set", "trainer.max_steps=2")
    return folder / "model"


def forecast_csv(cli: Cli, model: Path, table: pd.DataFrame, path: Path, *args: object):
    """The forecast of a table, and the notes about it."""
    table.to_csv(path, index=False)
    output = path.with_name("forecast.csv")
    done = cli("forecast", "--model", model, "--csv", path, "--output", output, *args)
    return pd.read_csv(output, float_precision="round_trip"), done.stderr


def test_rows_prepared_for_the_future_do_not_move_the_forecast(cli, model, tmp_path) -> None:
    """Without anything, or with prices that are known."""
    known, _ = forecast_csv(cli, model, TRAINED, tmp_path / "a.csv")
    assert known["timestamp"].iloc[0] == "2024-04-30"
    for table in (TEMPLATE, TEMPLATE.assign(price=np.arange(134.0))):
        found, notes = forecast_csv(cli, model, table, tmp_path / "b.csv")
        pd.testing.assert_frame_equal(found, known)
        assert "note: 14 row(s) without a value at the end, from 2024-04-30 on" in notes


def test_a_forecast_from_an_earlier_time_does_not_know_what_follows(cli, model, tmp_path) -> None:
    cut, _ = forecast_csv(cli, model, TRAINED.iloc[:100], tmp_path / "a.csv")
    found, notes = forecast_csv(cli, model, TEMPLATE, tmp_path / "b.csv", "--start", "2024-04-10")
    pd.testing.assert_frame_equal(found, cut)
    assert (
        "note: forecasts begin at 2024-04-10 (--start), 34 row(s) from there on left out" in notes
    )
    command = json.loads((tmp_path / "forecast.csv.meta.json").read_text())["command"]
    assert command[command.index("--start") + 1] == "2024-04-10"
    cli("reproduce", tmp_path / "forecast.csv.meta.json")


def test_start_and_align_are_two_answers(cli, model, tmp_path) -> None:
    TEMPLATE.to_csv(tmp_path / "a.csv", index=False)
    args = ("forecast", "--model", model, "--csv", tmp_path / "a.csv", "--start", "2024-04-10")
    refused = cli(*args, "--align", "end", "--output", tmp_path / "o.csv", status=1)
    assert refused.stderr == (
        "error: --start and --align both say where forecasts begin; leave one of them out\n"
    )


def test_frames_and_posted_tables_begin_at_the_same_times(cli, model, tmp_path) -> None:
    loaded, saved = forecaster.load(model), load_model(model)
    for start in (None, "2024-04-10", pd.Timestamp("2024-04-10")):
        args = () if start is None else ("--start", "2024-04-10")
        expected, _ = forecast_csv(cli, model, TEMPLATE, tmp_path / "a.csv", *args)
        frame = loaded.forecast(TEMPLATE, start=start).frame
        np.testing.assert_array_equal(frame["mean"], expected["mean"])
        assert frame["timestamp"].astype(str).tolist() == expected["timestamp"].tolist()
        text = None if start is None else str(start)
        answer, _ = forecast_request(saved, TEMPLATE, {"start": text})
        pd.testing.assert_frame_equal(answer, expected)
    with pytest.raises(forecaster.UserError, match="start: 5 is no time; give a datetime, or a"):
        loaded.forecast(TEMPLATE, start=5)  # type: ignore[arg-type]


def test_further_rows_follow_the_last_value_or_the_start(cli, tmp_path) -> None:
    """A streamed row for the first prepared one is the next, and the forecast is the file's."""
    TEMPLATE.to_csv(tmp_path / "t.csv", index=False)
    TRAINED.to_csv(tmp_path / "sales.csv", index=False)
    steps = ("--horizon", 7, "--lookback", 28, "--target", "sales", "--output", tmp_path / "model")
    short = ("--set", "trainer.max_steps=2", "--set", "trainer.refit=none")
    cli("train", "s4d", "--csv", tmp_path / "sales.csv", *steps, *short)
    stream = ("forecast", "--model", tmp_path / "model", "--csv", tmp_path / "t.csv", "--stream")
    mode = ("--mode", "point")
    for more, day in (((), 120), (("--start", "2024-04-10"), 100)):
        line = f"{DAYS[day]:%Y-%m-%d},{VALUES[day]}\n"
        rows = cli(*stream, *mode, *more, input=line).stdout.splitlines()
        assert rows[1].startswith(f"{DAYS[day]:%Y-%m-%d},sales,{DAYS[day + 1]:%Y-%m-%d}")
        skipped = f"{DAYS[day + 1]:%Y-%m-%d},1\n"
        refused = cli(*stream, *mode, *more, input=skipped, status=1).stderr
        assert f"{DAYS[day + 1]:%Y-%m-%d} where {DAYS[day]:%Y-%m-%d} is next" in refused
