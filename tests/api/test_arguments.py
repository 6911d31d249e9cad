"""Wrong arguments are refused before the work begins, each by its name, its value and a remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecaster
from forecaster.api.arguments import levels, whole
from forecaster.evaluation.collect import scored_level


def table() -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=90, name="day")
    return pd.DataFrame({"sales": np.arange(90) % 7 + 1.0}, index=days)


@pytest.fixture(scope="module")
def model() -> forecaster.Model:
    return forecaster.train(table(), model="seasonal-naive", horizon=2, lookback=7, tracking=False)


def refusal(call: Callable[..., object], *args: object, **kwargs: object) -> str:
    with pytest.raises(forecaster.UserError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


WHOLE = "{}: {} is too few; give {} at least"
TEXT = "{}: {} is no whole number; give {} or more"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("check", {"horizon": 0}, WHOLE.format("horizon", 0, 1)),
        ("check", {"lookback": -1}, WHOLE.format("lookback", -1, 1)),
        ("train", {"horizon": True}, TEXT.format("horizon", True, 1)),
        ("train", {"lookback": 2.0}, TEXT.format("lookback", 2.0, 1)),
        ("train", {"seed": -1}, "seed: -1 is none; give a whole number of 0 to 2**32 - 1"),
        ("train", {"accelerator": "zz"}, "accelerator: 'zz' is none; give auto, cpu or gpu"),
        (
            "train",
            {"settings": ["a"]},
            "settings: ['a'] is no mapping; give {\"trainer.max_steps\": 2}",
        ),
        ("train", {"settings": {1: 2}}, "settings: 1 is no key; give a text: trainer.max_steps"),
        ("train", {"model": 3}, "model: 3 is none; give a preset, a YAML file or a class"),
    ],
)
def test_arguments_of_functions(name: str, arguments: dict[str, object], message: str) -> None:
    assert refusal(getattr(forecaster, name), table(), **arguments) == message


LEVEL = "quantiles: {} is no level; give numbers between 0 and 1, such as 0.9"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "forecast",
            {"quantiles": 0.5},
            "quantiles: 0.5 is no list; give levels such as [0.1, 0.9]",
        ),
        ("forecast", {"quantiles": ["a"]}, LEVEL.format("'a'")),
        ("gluonts", {"quantiles": [2]}, LEVEL.format("2")),
        ("evaluate", {"quantiles": [0]}, LEVEL.format("0")),
        ("forecast", {"samples": "a"}, TEXT.format("samples", "'a'", 1)),
        ("gluonts", {"samples": 0}, WHOLE.format("samples", 0, 1)),
        ("forecast", {"resample_rate": 0}, WHOLE.format("resample_rate", 0, 1)),
        (
            "forecast",
            {"seed": 2**32},
            "seed: 4294967296 is none; give a whole number of 0 to 2**32 - 1",
        ),
        ("evaluate", {"origins": "3"}, TEXT.format("origins", "'3'", 1)),
        ("evaluate", {"limit": 0}, WHOLE.format("limit", 0, 1)),
        ("gluonts", {"steps": 0}, WHOLE.format("steps", 0, 1)),
    ],
)
def test_arguments_of_methods(
    name: str, arguments: dict[str, object], message: str, model: forecaster.Model
) -> None:
    assert refusal(getattr(model, name), **arguments) == message


def test_valid_arguments_are_python_numbers() -> None:
    assert type(whole("n", np.int64(1), 1)) is int
    assert levels(np.array([0.9, 0.1, 0.9])) == (0.1, 0.9)


def test_settings_are_left_as_they_are() -> None:
    settings = {"trainer": {}, "trainer.max_steps": 1}
    forecaster.train(
        table(), model="nlinear", horizon=2, lookback=7, settings=settings, tracking=False
    )
    assert settings == {"trainer": {}, "trainer.max_steps": 1}


def test_the_quantiles_of_an_evaluation_are_the_scored_ones() -> None:
    assert scored_level(0.1 + 0.05) == 0.15
    assert refusal(scored_level, 0.123).endswith("the nearest are 0.1 and 0.15")
    assert refusal(scored_level, 1.0).startswith("quantile 1 is not between 0 and 1")


def test_files_that_cannot_be_written(model: forecaster.Model, tmp_path: Path) -> None:
    forecast = model.forecast()
    assert refusal(forecast.plot, tmp_path / "x.txt") == (
        f"plot: {tmp_path}/x.txt: cannot draw that kind of file; end the name in .png, .svg, .pdf "
        "or .html"
    )
    assert refusal(forecast.plot, series="b").startswith("plot: series: no series 'b'; there are ")
    assert refusal(forecast.to_csv, tmp_path) == (
        f"to_csv: {tmp_path}: a folder; give the name of a file in it"
    )


def test_a_loaded_model_tracks_as_its_training_did(model: forecaster.Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model").folder
    assert refusal(forecaster.load, folder, accelerator="zz").startswith("accelerator: 'zz'")
    assert forecaster.load(folder).evaluate(table(), origins=2).run_id is None
    loaded = forecaster.load(folder, tracking=True)
    assert loaded.evaluate(table(), origins=2).run_id is not None


def test_a_backtest_is_checked_before_its_trainings() -> None:
    assert refusal(forecaster.backtest, table(), ["nlinear"], by="rmse") == (
        "by: 'rmse' is none; give mae or crps"
    )
    kinds = "give a preset, a YAML file or a class"
    assert refusal(forecaster.backtest, table(), 3) == f"models: 3 is none; {kinds}"
    assert refusal(forecaster.backtest, table(), [3]) == f"models: 3 is none; {kinds}"


def test_a_single_model_is_a_field_of_one(model: forecaster.Model) -> None:
    asked = {"horizon": 2, "lookback": 7, "origins": 2, "tracking": False}
    few = {"trainer.max_steps": 1}
    board = forecaster.backtest(table(), "nlinear", **asked, settings=few)
    assert sorted(board.frame["model"]) == ["nlinear", "seasonal-naive"]
    again = forecaster.backtest(table().rename(columns={"sales": "sold"}), model, **asked)
    assert sorted(again.frame["model"]) == ["seasonal naive", "seasonal-naive"]
    assert again.frame["mae"].nunique() == 1
    assert refusal(forecaster.backtest, table(), [model, model], **asked) == (
        "models: two are called 'seasonal naive'; leave one out, or rename your class"
    )


@pytest.mark.parametrize("name", ["model", "preset"])
def test_an_empty_name_is_not_the_default(name: str) -> None:
    refusal(forecaster.train, table(), **{name: ""}, horizon=2, lookback=7, tracking=False)


@pytest.mark.parametrize("folder", [3, ""])
def test_a_folder_is_a_path(model: forecaster.Model, folder: object) -> None:
    asked = {"model": "seasonal-naive", "horizon": 2, "lookback": 7, "tracking": False}
    problem = f"{folder!r} is no folder; give its path"
    assert refusal(forecaster.train, table(), output=folder, **asked) == f"output: {problem}"
    assert refusal(model.save, folder) == f"path: {problem}"


def test_a_loaded_model_of_a_frame_asks_for_the_table(
    model: forecaster.Model, tmp_path: Path
) -> None:
    """And the remedy works."""
    loaded = forecaster.load(model.save(tmp_path / "saved").folder)
    message = "the model does not know where its data lie; give the table"
    assert refusal(loaded.forecast) == message
    assert refusal(loaded.evaluate, origins=2) == message
    assert len(loaded.evaluate(table(), origins=2).frame) > 0
    assert len(loaded.forecast(table()).frame) == 2
