"""``--calendar auto``: the calendar is kept if the error on validation is lower with it."""

import json
import re
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import Cli

from forecaster.config.load import find_config, load_config
from forecaster.config.schema import Config
from forecaster.data.problem import Problem, load_problem
from forecaster.models.adjusted import uses_covariates
from forecaster.tracking.store import store_uri
from forecaster.training.calendar_choice import choose_calendar
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.progress import Silent
from forecaster.training.refit import refit

H = 7
TRAINER = ["trainer.accelerator=cpu", "trainer.max_epochs=8", "trainer.learning_rate=0.003"]


def file_of(folder: Path, jump: float, rows: int = 400) -> Path:
    """Noise that is ``jump`` higher on the last day of a month."""
    days = pd.date_range("2023-01-01", periods=rows)
    noise = np.random.default_rng(0).normal(size=rows)
    path = folder / f"days{jump:g}.csv"
    pd.DataFrame({"day": days, "y": noise + jump * days.is_month_end}).to_csv(path, index=False)
    return path


def problem_of(
    folder: Path, jump: float, *settings: str, preset: str = "nlinear", calendar: str = "auto"
) -> tuple[Config, Problem]:
    data = [f"data.csv={file_of(folder, jump)}", f"data.horizon={H}", "data.lookback=14"]
    data += [f"data.calendar={calendar}"]
    config = load_config(find_config(preset), [*data, *TRAINER, *settings])
    return config, load_problem(config.data)


def test_a_calendar_that_the_values_follow_is_kept(tmp_path: Path) -> None:
    config, problem = problem_of(tmp_path, 12.0)
    found = choose_calendar(config, problem, tmp_path, progress=Silent())
    assert found.config.data.calendar == "weekday,day_of_year,month_end"
    assert found.problem.config == found.config.data
    assert found.problem.encoding == problem.encoding
    assert found.words is not None
    assert re.fullmatch(
        r"calendar kept, by its error on validation \([\d.]+ without, [\d.]+ with weekday, "
        r"day_of_year, month_end\)",
        found.words,
    )


def test_a_calendar_that_says_nothing_is_left_out_as_if_it_had_not_been_asked_for(
    tmp_path: Path,
) -> None:
    config, problem = problem_of(tmp_path, 0.0)
    found = choose_calendar(config, problem, tmp_path / "auto", progress=Silent())
    assert (found.config.data.calendar, found.problem.encoding) == ("none", None)
    model = new_model(found.config, found.problem)
    fit(
        model,
        window_data(found.config, found.problem),
        config.trainer,
        found.folder,
        progress=Silent(),
    )
    plain, without = problem_of(tmp_path, 0.0, calendar="none")
    expected = new_model(plain, without)
    fit(expected, window_data(plain, without), plain.trainer, tmp_path / "none", progress=Silent())
    assert not uses_covariates(model)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_the_training_goes_on_from_the_choice(tmp_path: Path) -> None:
    """Nothing is trained twice, here or when an interrupted training chooses again."""
    config, problem = problem_of(tmp_path, 12.0)
    told: list[tuple[str, int]] = []

    def report(losses: dict[str, float], epoch: int) -> None:
        told.extend((name, epoch) for name in losses)

    found = choose_calendar(config, problem, tmp_path, report, Silent())
    trials = {name for name, _ in told if "/" in name.removeprefix("val/").removeprefix("train/")}
    assert trials == {
        f"{kind}_calendar/{loss}"
        for kind in ("with", "without")
        for loss in ("train/loss", "val/loss")
    }
    own = [epoch for name, epoch in told if name == "val/loss"]
    assert own == [epoch for name, epoch in told if name == "with_calendar/val/loss"]
    told.clear()
    again = choose_calendar(config, problem, tmp_path, report, Silent())
    data = window_data(again.config, again.problem)
    model = new_model(again.config, again.problem)
    fit(model, data, config.trainer, again.folder, report, Silent())
    assert (again.words, told) == (found.words, [])
    refitted = refit(model, again.config, again.problem, again.folder, progress=Silent())
    assert refitted.held_out_steps > (0,)
    assert uses_covariates(refitted.model)


@pytest.mark.parametrize("calendar", ["none", "weekday,month_end"])
def test_what_is_named_is_not_chosen(tmp_path: Path, calendar: str) -> None:
    config, problem = problem_of(tmp_path, 0.0, calendar=calendar)
    found = choose_calendar(config, problem, tmp_path / "none", progress=Silent())
    assert (found.config, found.problem, found.words) == (config, problem, None)
    assert not (tmp_path / "none").exists()


def test_of_a_bridge_the_prior_decides(tmp_path: Path) -> None:
    small = ("model.label=7", "model.network.layers=1", "trainer.stage_epochs=2")
    config, problem = problem_of(tmp_path, 12.0, *small, preset="s2dbm_paper")
    found = choose_calendar(config, problem, tmp_path / "auto", progress=Silent())
    assert found.words is not None
    assert len(new_model(found.config, found.problem).stages()) == 1
    for kind in ("with", "without"):
        trained = {path.parent.name for path in (tmp_path / "auto" / kind).glob("*/done.ckpt")}
        assert trained == {"stage0"}


def test_a_model_without_a_point_forecast_of_its_own_keeps_it(tmp_path: Path) -> None:
    config, problem = problem_of(tmp_path, 0.0, preset="csdi")
    assert choose_calendar(config, problem, tmp_path / "none").words is None


def test_a_training_says_and_records_the_choice(cli: Cli, tmp_path: Path) -> None:
    args = ("--csv", file_of(tmp_path, 0.0), "--horizon", H, "--lookback", 14)
    short, out = ("--set", "trainer.max_epochs=1", "--calendar", "auto"), tmp_path / "model"
    done = cli("train", "nlinear", *args, *short, "--refit", "none", "--output", out)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("calendar ")]
    assert said.startswith("calendar left out, by its error on validation (")
    metadata = json.loads((out / "metadata.json").read_text())
    assert said in metadata["decisions"]
    assert yaml.safe_load((out / "config.yaml").read_text())["data"]["calendar"] == "none"
    assert not (out / "covariates.json").exists()
    client = mlflow.MlflowClient(tracking_uri=store_uri())
    run = client.get_run(metadata["run_id"])
    assert run.data.params["calendar.chosen"] == "none"
    cli("forecast", "--model", out, "--csv", file_of(tmp_path, 0.0), "--output", tmp_path / "f.csv")
    found = pd.read_csv(tmp_path / "f.csv")
    assert found["mean"].notna().all()
