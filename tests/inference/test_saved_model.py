"""Models saved by earlier code: a bridge with its residuals, a state-space model and CSDI."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import SAMPLE, Cli

BEFORE = Path(__file__).with_name("saved_before")
DRAWN = ["--samples", 9, "--seed", 2]
# the levels i/10 of nine samples, where .05 and .95 were those between the least and the largest
LEVELS = {"0.05": "0.14", "0.5": "0.5", "0.95": "0.86"}
ASKED = {
    "s2dbm": [*DRAWN, "--quantiles", ",".join(LEVELS.values())],
    "csdi": [*DRAWN, "--quantiles", ",".join(LEVELS.values())],
    "s4d": ["--conformal", "--quantiles", "0.2,0.5,0.8"],
}


@pytest.mark.parametrize("name", ASKED)
def test_models_saved_before_give_the_same_forecasts(cli: Cli, name: str, tmp_path: Path) -> None:
    """Rounding may differ from machine to machine.

    The quantiles are the same. The column ``mean`` was the mean of the samples; it is the model's
    point forecast now, except for CSDI, which has none: its ``median`` is that of the samples.
    """
    output = tmp_path / "again.csv"
    ask = ("forecast", "--model", BEFORE / name, "--csv", SAMPLE, "--output", output)
    cli(*ask, *ASKED[name])
    again, before = pd.read_csv(output), pd.read_csv(BEFORE / f"{name}.csv")
    if name != "s4d":
        before = before.rename(columns=LEVELS)
    added = ["mean", "median"] if name == "csdi" else ["mean"]
    assert list(again) == ["item_id", "timestamp", *added, *before.columns[3:]]
    changed = [] if name != "s2dbm" else ["mean"]
    pd.testing.assert_frame_equal(
        again[before.columns].drop(columns=changed),
        before.drop(columns=changed),
        rtol=1e-4,
        atol=1e-4,
    )
    cli(*ask, *([] if name == "s4d" else DRAWN), "--mode", "point")
    point = pd.read_csv(output)
    assert list(point) == ["item_id", "timestamp", *added]
    pd.testing.assert_frame_equal(point, again[point.columns])
    if name == "csdi":
        pd.testing.assert_series_equal(again["median"], again["0.5"], check_names=False)
