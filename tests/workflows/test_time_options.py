"""A model keeps how its training file's times are read, and forecasts from files read so."""

import json
from pathlib import Path

import pandas as pd
import pytest

TINY = ["--horizon", "2", "--lookback", "6", "--set", "trainer.max_steps=1", "--accelerator", "cpu"]


def csv(times: pd.DatetimeIndex, style: str) -> str:
    rows = [f"{time.strftime(style)},{i % 7}" for i, time in enumerate(times)]
    return "\n".join(["when,x", *rows]) + "\n"


def first_forecast(path: Path) -> str:
    return pd.read_csv(path)["timestamp"][0]


@pytest.mark.parametrize(("style", "order"), [("%d/%m/%Y", "dmy"), ("%m/%d/%Y", "mdy")])
def test_the_order_of_day_and_month_is_kept(
    cli, new_home, write, tmp_path, style: str, order: str
) -> None:
    days = pd.date_range("2024-01-20", periods=40)
    model, out = tmp_path / "model", tmp_path / "f.csv"
    train = write(csv(days, style), "train.csv")
    cli("train", "--model", "nlinear", "--csv", train, *TINY, "--output", model)
    assert json.loads((model / "schema.json").read_text())["dates"] == style
    # ten days that can be days or months, which the training decides
    recent = write(csv(pd.date_range("2024-03-01", periods=10), style), "recent.csv")
    cli("forecast", "--model", model, "--csv", recent, "--output", out)
    assert first_forecast(out) == "2024-03-11"
    # a file that can only be read otherwise is
    cli("forecast", "--model", model, "--csv", write(csv(days, "%d.%m.%Y")), "--output", out)
    assert first_forecast(out) == "2024-02-29"
    # what is said counts more: as the other order the file has another interval
    other = "mdy" if order == "dmy" else "dmy"
    done = cli(
        *("forecast", "--model", model, "--csv", recent, "--output", out),
        *("--date-format", other),
        status=1,
    )
    assert "the interval is MS" in done.stderr or "are missing" in done.stderr


def test_models_of_before_read_any_order(cli, new_home, write, tmp_path) -> None:
    days = pd.date_range("2024-01-20", periods=40)
    model, out = tmp_path / "model", tmp_path / "f.csv"
    cli(
        "train",
        "--model",
        "nlinear",
        "--csv",
        write(csv(days, "%d/%m/%Y")),
        *TINY,
        "--output",
        model,
    )
    schema = json.loads((model / "schema.json").read_text())
    del schema["dates"]
    (model / "schema.json").write_text(json.dumps(schema))
    record = json.loads((model / "metadata.json").read_text())
    del record["files"]
    (model / "metadata.json").write_text(json.dumps(record))
    recent = write(csv(pd.date_range("2024-03-01", periods=10), "%d/%m/%Y"), "recent.csv")
    done = cli("forecast", "--model", model, "--csv", recent, "--output", out, status=1)
    assert "--date-format dmy" in done.stderr
    cli(*("forecast", "--model", model, "--csv", recent, "--output", out, "--date-format", "dmy"))
    assert first_forecast(out) == "2024-03-11"


@pytest.mark.slow
def test_a_format_of_ones_own_is_remembered(cli, new_home, write, tmp_path) -> None:
    hours = pd.date_range("2024-01-20", periods=60, freq="h")
    path, model, out = write(csv(hours, "%H:%M %d.%m.%Y")), tmp_path / "model", tmp_path / "f.csv"
    refused = cli("train", "--model", "nlinear", "--csv", path, *TINY, status=1)
    assert "no column holds times" in refused.stderr
    cli(
        *("train", "--model", "nlinear", "--csv", path, *TINY, "--output", model),
        *("--date-format", "%H:%M %d.%m.%Y"),
    )
    cli("forecast", "--model", model, "--csv", path, "--output", out)
    assert first_forecast(out) == "2024-01-22 12:00:00"
