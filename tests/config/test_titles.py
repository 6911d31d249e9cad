"""A preset's title is that of its model: another model does not inherit it."""

import pytest

from forecaster.config.load import load_config
from forecaster.config.paths import CONFIGS
from forecaster.tracking import labels


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ((), "NLinear"),
        (("model.loss=mse",), "NLinear"),
        (("model={name: linear, loss: mse}",), "NLinear"),
        (("model={name: seasonal-naive}",), "seasonal-naive"),
        (("model={name: seasonal-naive}", "title = Mine"), "Mine"),
        (("title=Mine",), "Mine"),
    ],
)
def test_another_model_has_another_title(settings: tuple[str, ...], title: str) -> None:
    assert labels.title(load_config(CONFIGS / "nlinear.yaml", settings)) == title
