"""A forecast of one's own: the model starts from it, corrects it, and says what that is worth."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Cli

import forecaster
from forecaster.data.encoding import Sizes
from forecaster.data.windows import Batch, BatchCovariates
from forecaster.models.base import Shape
from forecaster.models.own import OwnForecast, OwnForecastConfig
from forecaster.models.selected import Selected, SelectedConfig

ROWS, HORIZON = 400, 7
SHORT = (
    "--horizon",
    HORIZON,
    "--lookback",
    21,
    "--set",
    "trainer.max_epochs=40",
    "--set",
    "trainer.learning_rate=0.001",
)


def made(bias: float, noise: float, columns: str = "y") -> pd.DataFrame:
    """Values that come without a pattern, and a plan that knows them but for a bias and noise."""
    random, count = np.random.default_rng(0), ROWS + HORIZON
    frame = pd.DataFrame({"date": pd.date_range("2023-01-01", periods=count).strftime("%Y-%m-%d")})
    for name in columns:
        frame[name] = 50 + 5 * random.normal(size=count)
        frame[f"plan_{name}"] = frame[name] + bias + noise * random.normal(size=count)
    return frame


def blanked(frame: pd.DataFrame) -> pd.DataFrame:
    values = [name for name in frame if len(name) == 1]
    return frame.assign(**{n: frame[n].where(frame.index < ROWS) for n in values})


@pytest.fixture(scope="module")
def folder(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan that is 3 too high, with an error of 1, and a model that corrects it."""
    path = tmp_path_factory.mktemp("own")
    blanked(made(3, 1)).to_csv(path / "plan.csv", index=False)
    given = ("--csv", path / "plan.csv", "--prior-column", "plan_y", *SHORT)
    done = cli("train", "nlinear", *given, "--output", path / "model", "--json")
    (path / "trained.json").write_text(done.stdout)
    (path / "said.txt").write_text(done.stderr)
    return path


def test_a_biased_plan_is_corrected_and_the_gain_is_printed(folder: Path) -> None:
    metrics = json.loads((folder / "trained.json").read_text())["metrics"]
    assert metrics["test/own_forecast/mae"] == pytest.approx(3, abs=0.15)
    assert metrics["test/own_forecast/mse"] == pytest.approx(10, abs=1)
    assert metrics["test/mae"] < 1.25 * np.sqrt(2 / np.pi)  # of noise of deviation 1
    share = 100 * (1 - metrics["test/mae"] / metrics["test/own_forecast/mae"])
    own, found = metrics["test/own_forecast/mae"], metrics["test/mae"]
    line = (
        f"your own forecast has a test MAE of {own:.4g}, the model {found:.4g}, {share:.0f} % less"
    )
    assert line in (folder / "said.txt").read_text().splitlines()


def test_the_forecast_is_the_plan_corrected(cli: Cli, folder: Path) -> None:
    args = ("--model", folder / "model", "--output", folder / "out.csv", "--csv")
    cli("forecast", *args, folder / "plan.csv")
    found, whole = pd.read_csv(folder / "out.csv"), made(3, 1)[ROWS:]
    np.testing.assert_allclose(found["mean"], whole["plan_y"] - 3, atol=0.6)
    history = blanked(made(3, 1))[:ROWS]
    history.to_csv(folder / "history.csv", index=False)
    refused = cli("forecast", *args, folder / "history.csv", status=1)
    assert "the model needs 'plan_y' of the 7 rows to forecast" in refused.stderr
    apart = forecaster.load(folder / "model").forecast(history, future=whole[["date", "plan_y"]])
    np.testing.assert_allclose(apart.frame["mean"], found["mean"], rtol=1e-9)


def test_rows_without_a_plan_are_missing_values(cli: Cli, folder: Path) -> None:
    """A plan that began late: what was before it is not learnt from."""
    late = blanked(made(3, 1))
    late.loc[:150, "plan_y"] = np.nan
    late.loc[:150, "y"] = 1e4  # would be seen
    late.to_csv(folder / "late.csv", index=False)
    soon = ("--set", "trainer.max_epochs=1", "--json")
    given = ("--csv", folder / "late.csv", "--prior-column", "plan_y", *SHORT, *soon)
    metrics = json.loads(cli("train", "nlinear", *given, "--output", folder / "late").stdout)
    assert metrics["metrics"]["test/own_forecast/mae"] == pytest.approx(3, abs=0.15)


@pytest.mark.slow
def test_each_value_column_has_its_own_plan_in_any_order(cli: Cli, folder: Path) -> None:
    frame = blanked(made(3, 1, "ab"))
    frame["b"], frame["plan_b"] = 100 * frame["b"], 100 * frame["plan_b"]
    frame.to_csv(folder / "two.csv", index=False)
    given = ("--csv", folder / "two.csv", "--target", "b,a", *SHORT)
    args = ("--prior-column", "plan_b,plan_a", "--output", folder / "two", "--json")
    cli("train", "nlinear", *given, *args)
    shuffled = frame[["date", "a", "plan_a", "plan_b", "b"]]
    model, truth = forecaster.load(folder / "two"), made(3, 1, "ab")[ROWS:]
    found = model.forecast(shuffled).frame
    for name, factor in (("a", 1), ("b", 100)):
        expected = factor * (truth[f"plan_{name}"] - 3)
        mean = found.loc[found["item_id"] == name, "mean"]
        np.testing.assert_allclose(mean, expected, atol=factor)
    refused = cli("train", "nlinear", *given, "--prior-column", "plan_b", status=1)
    assert (
        "--prior-column names 1 column(s) for 2 value column(s), 'b', 'a'; name one for each"
        in refused.stderr
    )


def batch(own: torch.Tensor, lookback: int, horizon: int) -> Batch:
    size, channels = own.shape[:2]
    past, future = torch.zeros(size, channels, lookback), torch.zeros(size, channels, horizon)
    index, none = torch.arange(size), own[:, :0]
    covariates = BatchCovariates(none, none[..., :lookback], own[:, 0, :0], own)
    ones = torch.ones_like(past), torch.ones_like(future)
    return Batch(past, ones[0], future, ones[1], index, index, index, None, covariates)


def test_as_a_model_it_is_the_column_and_a_selection_may_choose_it() -> None:
    shape = Shape(2, 6, 3, 1, label=1, covariates=Sizes(own=2))
    own = torch.randn(4, 2, 9)
    model = OwnForecast(OwnForecastConfig(), shape)
    assert torch.equal(model.predict_with_label(batch(own, 6, 3)), own[..., 5:])
    assert torch.equal(model.predict(batch(own, 6, 3)), own[..., 6:])
    selected = Selected(SelectedConfig(), shape)
    assert selected.names[-1] == "own"
    assert len(Selected(SelectedConfig(), Shape(2, 6, 3, 1, label=1)).names) == 2
    with pytest.raises(forecaster.UserError, match="name it with --prior-column"):
        OwnForecast(OwnForecastConfig(), Shape(2, 6, 3, 1))
