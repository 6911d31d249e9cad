"""What a run says of itself."""

import pytest
from conftest import SAMPLE

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.data.problem import load_problem
from forecaster.models.base import Shape
from forecaster.tracking import labels

DATA = [f"data.csv={SAMPLE}", "data.horizon=7", "data.lookback=28"]


def test_parameters_of_a_plain_model_are_these() -> None:
    config = load_config(find_config("rlinear"), [*DATA, "trainer.devices=2"])
    assert labels.parameters(config, "abc") == {
        "model": "RLinear",
        "data.csv": "seattle_weather.csv",
        "data.horizon": 7,
        "data.lookback": 28,
        "data.sha256": "abc",
        "model.name": "linear",
        "model.norm": "standard",
        "model.loss": "l1",
        "trainer.seed": 0,
        "trainer.max_epochs": 50,
        "trainer.batch_size": 32,
        "trainer.learning_rate": 0.0003,
        "trainer.weight_decay": 0.0,
        "trainer.patience": 5,
        "trainer.devices": 2,
    }


def test_every_parameter_is_the_key_that_changes_it() -> None:
    """Given back as settings, a run's parameters make its configuration again, but for lists."""
    config = load_config(find_config("s2dbm"), [*DATA, "model.network.width=64"])
    found = labels.parameters(config, "abc")
    assert found["model.network.width"] == 64
    settings = [
        f"{k}={v}" for k, v in found.items() if k not in {"model", "data.csv", "data.sha256"}
    ]
    candidates = [each.model_dump(mode="json") for each in config.model.prior.base.candidates]
    base = [f"model.prior.base.candidates={candidates}"]
    again = load_config(find_config("s2dbm"), [*DATA, *base, *settings])
    assert again == config
    assert not [value for value in found.values() if isinstance(value, list | dict | tuple)]


@pytest.mark.parametrize(
    ("name", "family", "model", "mode"),
    [
        ("nlinear", "linear", "NLinear", "point"),
        ("s2dbm", "diffusion", "S²DBM", "probabilistic"),
        ("quantile-linear", "quantile-linear", "quantile-linear", "probabilistic"),
    ],
)
def test_tags(name: str, family: str, model: str, mode: str) -> None:
    config = load_config(find_config(name), DATA)
    built = build(config.model, Shape(channels=4, lookback=28, horizon=7, season=7))
    assert labels.tags(config, load_problem(config.data), built) == {
        "family": family,
        "model": model,
        "dataset": "seattle_weather",
        "horizon": "7",
        "mode": mode,
    }
