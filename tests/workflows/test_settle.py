"""What a file decides of a training, and that it stays decided."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Cli

from forecaster.config.load import find_config, load_config, read_yaml
from forecaster.config.schema import Columns, Config, DataConfig
from forecaster.data.problem import load_problem
from forecaster.data.tables import Table, read_table
from forecaster.inference.saved_model import load_model
from forecaster.models.linear import LinearConfig
from forecaster.training.fit import new_model
from forecaster.training.progress import Silent
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.settle import settle, settle_width
from forecaster.workflows.train import TrainOptions, resume, train

PRESETS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


def hours(rows: int) -> np.ndarray:
    """A day and a week, whose main season is the week."""
    at = np.arange(rows)
    return 10 + np.sin(2 * np.pi * at / 24) + (at // 24 % 7 >= 5) + 0.1 * np.cos(at * 1.7)


def written(folder: Path, values: np.ndarray, freq: str) -> Path:
    path = folder / f"file_{freq}.csv"
    times = pd.date_range("1990-01-01", periods=len(values), freq=freq)
    pd.DataFrame({"time": times, "y": values}).to_csv(path, index=False)
    return path


@pytest.fixture
def months(tmp_path: Path) -> Table:
    at = np.arange(144)
    path = written(tmp_path, at + 20 * np.sin(2 * np.pi * at / 12) + np.cos(at * 1.7), "MS")
    return read_table(path, Columns())


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fits_twelve_years_of_months(months: Table, preset: str) -> None:
    """Built, and asked for a forecast of windows with the history that there is."""
    config, decisions = settle(
        load_config(find_config(preset), (), {"data.csv": months.path}), months
    )
    # a local model, of which an ensemble has some, learns from nothing else
    lookback = 60 if config.model.name in {"local", "ensemble"} else 36
    assert (config.data.horizon, config.data.lookback, config.data.seasons) == (12, lookback, (12,))
    problem = load_problem(config.data, months)
    windows = problem.windows("validation")
    model = new_model(config, problem)
    with torch.no_grad():
        assert model.predict(windows[torch.arange(2)]).shape == (2, 1, 12)
    labels = [text for text in decisions if text.startswith("label")]
    given = getattr(load_config(find_config(preset)).model, "label", 0)
    assert getattr(config.model, "label", 0) == min(given, 36)
    expected = [f"label 36 in place of {given}: it is a part of the lookback"] if given > 36 else []
    assert labels == expected
    assert months.report.decisions[-len(decisions) :] == decisions


def test_a_label_that_fits_stays(months: Table) -> None:
    content = {"data.csv": months.path, "data.lookback": 48}
    config = load_config(find_config("s2dbm_paper"), (), content)
    assert settle(config, months)[0].model == config.model


def test_seasonal_naive_reads_its_season(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, hours(1500), "h"), Columns())
    given = {"data.csv": table.path, "data.lookback": 30, "data.horizon": 12}
    naive = load_config(find_config("seasonal-naive"), (), given)
    config, decisions = settle(naive, table)
    assert (config.data.lookback, config.data.seasons) == (168, (168, 24))
    assert decisions[-1] == "lookback 168 in place of 30: seasonal naive reads a season"
    linear = naive.model_copy(update={"model": LinearConfig()})
    assert settle(linear, table)[0].data.lookback == 30
    for season in (1, 24):
        data = naive.data.model_copy(update={"seasons": (season, 168)})
        assert settle(Config(data=data, model=naive.model), table)[0].data.lookback == 30
    long = naive.data.model_copy(update={"seasons": (1465,)})  # 1465 + 3 · 12 rows are not there
    assert settle(Config(data=long, model=naive.model), table)[0].data.lookback == 30


def test_train_stores_what_it_chose_and_evaluate_goes_by_it(
    cli: Cli, new_home: Path, tmp_path: Path
) -> None:
    values = hours(1500)
    path = written(tmp_path, values, "h")
    few = ["--set", "trainer.max_steps=1", "--set", "trainer.point_windows=8"]
    done = cli("train", "--csv", path, "--model", "nlinear", *few, "--output", tmp_path / "m")
    assert "horizon 48, lookback 336: 2 days ahead of 2 weeks of hourly data (1500 rows)" in (
        done.stderr.splitlines()
    )
    stored = read_yaml(tmp_path / "m" / "config.yaml")["data"]
    assert (stored["horizon"], stored["lookback"], stored["seasons"]) == (48, 336, [168, 24])
    [run] = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    assert run["name"] == "nlinear file_h 48"
    assert (run["params"]["season"], run["params"]["seasons"]) == ("168", "168, 24")
    shape = load_model(tmp_path / "m")
    assert shape.config.data.seasons == (168, 24)
    metadata = json.loads((tmp_path / "m" / "metadata.json").read_text())
    assert metadata["decisions"][-1].startswith("seasons a week (168 steps) and a day (24 steps)")
    scored = cli("evaluate", "--model", tmp_path / "m", "--csv", path, "--origins", 2, "--json")
    found = json.loads(scored.stdout)
    assert found["season"] == 168
    # the last two origins, 48 steps apart, each 168 steps before
    last = [slice(1500 - 48 * n, 1500 - 48 * (n - 1)) for n in (1, 2)]
    ends = [values[at] - values[at.start - 168 : at.stop - 168] for at in last]
    naive = float(np.mean(np.abs(ends)))
    assert found["seasonal_naive"]["test/mae"] == pytest.approx(naive, rel=1e-5)


class Stopped(Silent):
    """Interrupts the training before its first step."""

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_resumed_training_keeps_what_was_chosen(new_home: Path, tmp_path: Path) -> None:
    """Of the decisions of the file, too; as the training that is not interrupted."""
    path = written(tmp_path, hours(1500), "h")
    few = {"data.csv": str(path), "trainer.max_epochs": 2, "trainer.epoch_batches": 1}
    few |= {"trainer.point_windows": 8, "trainer.refit": "none"}
    config = load_config(find_config("nlinear"), (), few)

    said: list[str] = []
    options = TrainOptions(config, "resume", None, tmp_path / "m")
    with pytest.raises(KeyboardInterrupt):
        train(options, RunContext(progress=Stopped(), notify=said.append))
    assert len(said) == 2
    again: list[str] = []
    resume("latest", context=RunContext(progress=Silent(), notify=again.append))
    stored = load_model(tmp_path / "m")
    assert stored.config.data.seasons == (168, 24)
    assert stored.config.data.lookback == 336
    assert stored.metadata["decisions"][-2:] == said
    assert again == []


def test_a_wide_table_takes_fewer_windows_unless_asked(tmp_path: Path) -> None:
    """Said once, with the settings that undo it."""
    rows = np.random.default_rng(0).normal(size=(400, 128)).round(2)
    frame = pd.DataFrame(rows).add_prefix("c")
    frame.insert(0, "time", pd.date_range("2024-01-01", periods=400, freq="h"))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    table = read_table(tmp_path / "wide.csv", Columns())
    problem = load_problem(DataConfig(horizon=6, lookback=24), table)
    linear = load_config(find_config("nlinear"))
    config, (said,) = settle_width(linear, problem)
    assert config.trainer.batch_size == 16
    assert said.startswith("batches of 16 windows, not 32: each has 128 columns; --set trainer.bat")
    assert problem.table.report.decisions[-1] == said
    assert settle_width(linear, problem) == (config, [])  # once
    assert settle_width(linear, problem, ["trainer.batch_size"]) == (linear, [])
    assert settle_width(config, problem) == (config, [])


def test_a_backtest_says_once_what_a_wide_table_takes_unless_asked(
    cli: Cli, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 65)).round(2)
    frame = pd.DataFrame(rows).add_prefix("c")
    frame.insert(0, "time", pd.date_range("2024-01-01", periods=200, freq="h"))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    sizes = ("--horizon", 6, "--lookback", 24, "--origins", 2, "--refit-every", 1, "--samples", 4)
    given = ("backtest", "--csv", tmp_path / "wide.csv", "--model", "nlinear", *sizes)
    short = ("--set", "trainer.max_epochs=1")
    said = "batches of 24 windows, not 32: each has 65 columns; --set trainer.batch_size=32 keeps"
    assert cli(*given, *short).stderr.count(said) == 1
    assert said not in cli(*given, *short, "--set", "trainer.batch_size=32").stderr
