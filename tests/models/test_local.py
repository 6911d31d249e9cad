"""Local models against the package that fits them, on the values of the file."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Cli
from statsforecast.models import MSTL, AutoETS, AutoTheta

from forecaster.config.parts import build
from forecaster.config.program import install_extra
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models import local
from forecaster.models.base import Shape, empty_future
from forecaster.models.local import Local, LocalConfig

L, H = 60, 12
# two series of one channel, each with its own mean and deviation
MEAN, STD = np.array([[200.0], [5000.0]]), np.array([[80.0], [900.0]])
SHAPE = Shape(1, L, H, 12, seasons=(12,), series=2, zeros=-MEAN / STD)


def passengers(seed: int = 0) -> np.ndarray:
    """Two series whose season grows with their level."""
    steps, noise = np.arange(L), np.random.default_rng(seed).normal(size=(2, L))
    level = np.array([[150.0], [4000.0]]) * 1.01**steps
    return level * (1 + 0.3 * np.sin(2 * np.pi * steps / 12)) * np.exp(0.02 * noise)


def batch_of(values: np.ndarray, series: list[int], unknown: int = 0) -> Batch:
    """z-scores of values (B, L), the first ``unknown`` of them missing."""
    scores = torch.tensor((values - MEAN) / STD)[:, None].double()
    mask = torch.ones_like(scores)
    mask[..., :unknown] = 0
    return empty_future(
        scores * mask, mask, H, torch.zeros(len(values), dtype=torch.long), torch.tensor(series)
    )


def model(method: str, shape: Shape = SHAPE) -> Local:
    found = build(LocalConfig.model_validate({"method": method}), shape)
    assert isinstance(found, Local)
    return found


def of_package(method: str, values: np.ndarray, season: int = 12) -> np.ndarray:
    kinds = {"auto-ets": AutoETS, "auto-theta": AutoTheta, "mstl": MSTL}
    fitted = kinds[method](season_length=season)
    return np.stack([fitted.forecast(y=y, h=H)["mean"] for y in values])


@pytest.mark.parametrize("method", ["auto-ets", "auto-theta", "mstl"])
def test_forecasts_are_those_of_the_values_in_the_file(method: str) -> None:
    values = passengers()
    found = model(method).predict(batch_of(values, [0, 1]))[:, 0].numpy() + MEAN / STD
    np.testing.assert_allclose(found, of_package(method, values / STD), rtol=1e-5)


def test_seasons_that_grow_with_the_level_need_the_zero_of_the_series() -> None:
    """Of another series z-scores are forecast, whose seasons cannot be multiplicative."""
    values = passengers()
    others = model("auto-ets").predict(batch_of(values, [-1, -1]))[:, 0].numpy()
    np.testing.assert_allclose(others, of_package("auto-ets", (values - MEAN) / STD), rtol=1e-5)
    known = model("auto-ets").predict(batch_of(values, [0, 1]))[:, 0].numpy()
    assert np.abs(known - others).max() > 0.05


def test_a_history_begins_at_its_first_value() -> None:
    values = passengers()
    found = model("auto-theta").predict(batch_of(values, [0, 1], unknown=20))[:, 0].numpy()
    expected = of_package("auto-theta", (values / STD)[:, 20:])
    np.testing.assert_allclose(found + MEAN / STD, expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["auto-ets", "auto-theta", "mstl"])
def test_the_last_value_is_repeated_where_nothing_can_be_fitted(method: str) -> None:
    values = passengers()
    values[0, :] = 7.0  # constant
    batch = batch_of(values, [0, 1])
    mask = batch.past_mask.clone()
    mask[1, :, :-1] = 0  # a single value
    few = empty_future(batch.past * mask, mask, H, batch.time, batch.series)
    last = few.past[..., -1:].expand(-1, -1, H)
    torch.testing.assert_close(model(method).predict(few), last)
    nothing = torch.zeros_like(mask)
    none = empty_future(nothing, nothing, H, batch.time, torch.tensor([-1, -1]))
    assert not model(method).predict(none).any()


def test_seasons_are_those_that_a_history_holds_twice() -> None:
    shape = Shape(1, L, H, 12, seasons=(4, 12, 40), zeros=None)
    values = passengers()
    expected = of_package("mstl", (values - MEAN) / STD, [4, 12])  # type: ignore[arg-type]
    found = model("mstl", shape).predict(batch_of(values, [0, 1]))[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    short = batch_of(values, [0, 1], unknown=L - 23)  # 23 values: one season of 12, five of 4
    expected = of_package("auto-theta", ((values - MEAN) / STD)[:, -23:], 1)
    found = model("auto-theta", shape).predict(short)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_without_a_season_smoothing_has_nothing_to_take_out() -> None:
    shape = Shape(1, L, H, 1, zeros=None)
    batch = batch_of(passengers(), [0, 1])
    assert torch.equal(model("mstl", shape).predict(batch), model("auto-ets", shape).predict(batch))


def test_smoothing_has_no_season_of_more_than_24_steps() -> None:
    shape = Shape(1, L, H, 28, seasons=(28,), zeros=None)
    values = (passengers() - MEAN) / STD
    found = model("auto-ets", shape).predict(batch_of(passengers(), [0, 1]))[:, 0]
    np.testing.assert_allclose(found, of_package("auto-ets", values, 1), rtol=1e-5)


def test_a_history_is_fitted_once(monkeypatch) -> None:
    batch, forecaster = batch_of(passengers(), [0, 1]), model("auto-theta")
    first = forecaster.predict(batch)
    monkeypatch.setattr(Local, "_fitted", None)
    assert torch.equal(forecaster.predict(batch), first)
    monkeypatch.undo()
    monkeypatch.setattr(local, "_KEPT", 0)
    forecaster = model("auto-theta")
    assert torch.equal(forecaster.predict(batch), first)
    monkeypatch.setattr(Local, "_fitted", lambda self, history: np.zeros(H))
    assert not torch.equal(forecaster.predict(batch), first)


def test_without_the_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(UserError) as error:
        model("mstl")
    assert str(error.value) == f"model: mstl needs statsforecast: {install_extra('statsforecast')}"


def test_on_the_command_line(cli: Cli, tmp_path) -> None:
    """More of the file is read than by others; forecasts go on, with intervals."""
    months = pd.date_range("2015-01", periods=108, freq="MS").strftime("%Y-%m-%d")
    steps = np.arange(108)
    season = 1 + 0.3 * np.sin(2 * np.pi * steps / 12)
    truth = 100 * 1.01**steps * season
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=108))
    source, saved, out = tmp_path / "sales.csv", tmp_path / "model", tmp_path / "forecast.csv"
    pd.DataFrame({"month": months, "sales": truth * noise}).iloc[:96].to_csv(source, index=False)
    arguments = ["--csv", source, "--horizon", "12", "--refit", "none", "--output", saved]
    arguments += ["--set", "trainer.point_windows=10", "--set", "trainer.score_windows=4"]
    done = cli("train", "auto-ets", *arguments)
    assert (
        "lookback 35 in place of 24: a local model learns from it alone"
        in done.stdout + done.stderr
    )
    cli("forecast", "--model", saved, "--csv", source, "--output", out)
    table = pd.read_csv(out)
    assert list(table.timestamp) == list(months[96:])
    assert (np.abs(table["mean"] / truth[96:] - 1) < 0.06).all()
    assert (table["0.05"] < table["mean"]).all()
    assert (table["mean"] < table["0.95"]).all()
