"""What is said of a file that a saved model's choices do not fit is what can be done there."""

from pathlib import Path

import numpy as np
import pandas as pd
from conftest import Cli


def test_of_a_saved_zone_and_a_text_left_out_what_is_named_works(cli: Cli, tmp_path: Path) -> None:
    """A clock that never changes, taken for one that does, from its winter into the summer."""
    times = pd.date_range("2024-02-20", "2024-04-05", freq="h")
    rows = [
        f"{t:%Y-%m-%d %H:%M},{i % 24},{'wet' if i % 5 else 'dry'}\n" for i, t in enumerate(times)
    ]
    winter, spring = tmp_path / "winter.csv", tmp_path / "spring.csv"
    winter.write_text("time,load,sky\n" + "".join(rows[: 24 * 35]))
    spring.write_text("time,load,sky\n" + "".join(rows))
    hint = "column 'sky' left out: text; --known reads what is known ahead"
    zone = ("--timezone", "Europe/Berlin", "--horizon", 24, "--refit", "none")
    assert hint in cli("check", "--csv", winter).stdout
    cli("train", "seasonal-naive", "--csv", winter, *zone, "--output", tmp_path / "model")
    forecast = ("forecast", "--model", tmp_path / "model", "--csv", spring, "--mode", "point")
    output = ("--output", tmp_path / "forecast.csv")
    refused = cli(*forecast, *output, status=1)
    assert "it is 2024-03-31 03:00:00 then; remove the row, or --timezone UTC" in refused.stderr
    said = cli(*forecast, *output, "--timezone", "UTC")
    assert "left out: text" in said.stderr
    assert "--known" not in said.stderr
    found = pd.read_csv(tmp_path / "forecast.csv")
    assert found["timestamp"].iloc[0] == "2024-04-05 01:00:00+00:00"
    expected = [(i + len(times)) % 24 for i in range(24)]
    np.testing.assert_allclose(found["mean"], expected, atol=1e-5)
