"""Models saved by earlier code: a bridge with its residuals, a state-space model and CSDI."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import SAMPLE, Cli

BEFORE = Path(__file__).with_name("saved_before")
ASKED = {
    "s2dbm": ["--samples", 9, "--seed", 2],
    "csdi": ["--samples", 9, "--seed", 2],
    "s4d": ["--conformal", "--quantiles", "0.2,0.5,0.8"],
}


@pytest.mark.parametrize("name", ASKED)
def test_models_saved_before_give_the_same_forecasts(cli: Cli, name: str, tmp_path: Path) -> None:
    """Rounding may differ from machine to machine."""
    output = tmp_path / "again.csv"
    cli("forecast", "--model", BEFORE / name, "--csv", SAMPLE, "--output", output, *ASKED[name])
    again, before = pd.read_csv(output), pd.read_csv(BEFORE / f"{name}.csv")
    pd.testing.assert_frame_equal(again, before, rtol=1e-4, atol=1e-4)
