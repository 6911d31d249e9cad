"""A forecaster of one's own, as a class."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import forecaster
from forecaster.api.configs import config_of, model_name
from forecaster.inference.saved_model import load_model

needs_trust = pytest.mark.skipif(
    "trust_code" not in inspect.signature(load_model).parameters,
    reason="saved models with code of their own cannot be read yet",
)


class LastPlus(forecaster.Forecaster):
    """The last value and a learnt step."""

    class Config(forecaster.Section):
        start: float = 0.5

    def __init__(self, config: "LastPlus.Config", shape: object) -> None:
        super().__init__()
        self.horizon = shape.horizon
        self.step = torch.nn.Parameter(torch.tensor(config.start))

    def loss(self, batch) -> Tensor:
        return ((self.predict(batch) - batch.future) ** 2 * batch.future_mask).mean()

    def predict(self, batch, steps: int | None = None) -> Tensor:
        return (batch.past[..., -1:] + self.step).expand(-1, -1, self.horizon)


def frame() -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=90, name="day")
    return pd.DataFrame({"sales": np.arange(90) % 7 + 1.0}, index=days)


ASKED = {"horizon": 2, "lookback": 7, "tracking": False}


@needs_trust
def test_a_class_is_trained_saved_and_evaluated(tmp_path: Path) -> None:
    settings = {"trainer.max_steps": 1, "model.start": 0.25}
    model = forecaster.train(
        frame(), model=LastPlus, **ASKED, settings=settings, output=tmp_path / "own"
    )
    assert model.forecast(frame(), mode="point").frame.shape == (2, 3)
    assert model.forecast(frame()).frame.shape == (2, 6)  # of its errors on held-out windows
    assert "mae" in model.evaluate(frame(), origins=2).metrics
    with pytest.raises(forecaster.UserError, match="--trust-code"):
        forecaster.load(tmp_path / "own")
    loaded = forecaster.load(tmp_path / "own", trust_code=True)
    board = forecaster.backtest(
        frame(), loaded, **ASKED, origins=2, settings={"trainer.max_steps": 1}
    )
    assert len(board.frame) == 2
    pd.testing.assert_frame_equal(loaded.forecast(frame()).frame, model.forecast(frame()).frame)


def test_a_class_is_compared() -> None:
    board = forecaster.backtest(
        frame(), [LastPlus], **ASKED, origins=2, settings={"trainer.max_steps": 1}
    )
    assert sorted(board.frame["model"]) == ["LastPlus", "seasonal-naive"]


def test_settings_of_a_class_are_checked() -> None:
    with pytest.raises(forecaster.UserError, match="start"):
        forecaster.train(frame(), model=LastPlus, **ASKED, settings={"model.strat": 1})


def test_a_class_that_is_no_forecaster_is_refused() -> None:
    with pytest.raises(forecaster.UserError, match=r"dict: not a forecaster; derive it from forec"):
        config_of(dict, {})


def test_models_are_called_by_class_or_file() -> None:
    assert [model_name(m) for m in (LastPlus, "s2dbm", Path("a/my.yaml"))] == [
        "LastPlus",
        "s2dbm",
        "my",
    ]


OWN = """
import forecaster

class Last(forecaster.Forecaster):
    class Config(forecaster.Section):
        start: float = 0.5

    def __init__(self, config, shape):
        super().__init__()
        self.horizon = shape.horizon

    def loss(self, batch):
        return self.predict(batch).sum()

    def predict(self, batch, steps=None):
        return batch.past[..., -1:].expand(-1, -1, self.horizon)

class NoModel:
    Config = Last.Config
"""


def test_a_reference_of_a_class_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    reference = f"{tmp_path}/own.py:Last"
    config = config_of(reference, {"data.horizon": 2})
    assert (config.model.name, config.data.horizon, model_name(reference)) == (reference, 2, "Last")
    with pytest.raises(forecaster.UserError, match=r"NoModel: no forecaster; derive"):
        config_of(f"{tmp_path}/own.py:NoModel", {})


def test_a_class_is_compared_once_by_reference_too(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("Last", "LastPlus"))
    for field in ([LastPlus, LastPlus], [LastPlus, f"{tmp_path}/own.py:LastPlus"]):
        with pytest.raises(forecaster.UserError, match="two are called 'LastPlus'; leave one out"):
            forecaster.backtest(frame(), field, **ASKED, origins=2)


def test_a_setting_inside_a_value_is_refused() -> None:
    with pytest.raises(forecaster.UserError, match="'trainer' is a value; give a section"):
        config_of(LastPlus, {"trainer": 3, "trainer.max_steps": 1})
