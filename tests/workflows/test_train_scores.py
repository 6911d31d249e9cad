"""What a training says of its model at the end, on files whose errors are known."""

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli
from numpy.typing import NDArray

import forecaster
from forecaster.evaluation.compare import compare
from forecaster.tracking.query import get_run

WEEK, HORIZON, LOOKBACK = 7, 3, 14
# every window, however slow the machine is
ALL = {"trainer.point_windows": 90, "trainer.score_windows": 90}
CLOCK = np.arange(90)
PERIODIC = 10.0 * (CLOCK % WEEK)


def wandering() -> NDArray[np.float64]:
    """Steps that last for some days: the last value is a good forecast."""
    return np.random.default_rng(0).normal(size=90).repeat(6)[:90].cumsum()


def ripples() -> NDArray[np.float64]:
    """A week and little else."""
    return PERIODIC + np.random.default_rng(0).normal(size=90)


def file_of(folder: Path, **series: NDArray[np.float64]) -> Path:
    """Long if there are several series."""
    path = folder / "file.csv"
    frames = [
        pd.DataFrame({"day": pd.date_range("2024-01-01", periods=len(y)), "item": name, "y": y})
        for name, y in series.items()
    ]
    frame = pd.concat(frames)
    (frame.drop(columns="item") if len(series) == 1 else frame).to_csv(path, index=False)
    return path


def errors(
    y: NDArray[np.float64], season: int, past: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The mean absolute errors of the value ``season`` ago on the test windows, the last fifth.

    ``past``: the values that are repeated, if others.
    """
    first, past = round(0.8 * len(y)), y if past is None else past
    found = []
    for start in range(first, len(y) - HORIZON + 1):
        back = [start + step - season * -(-(step + 1) // season) for step in range(HORIZON)]
        found.append(np.nanmean(np.abs(y[start : start + HORIZON] - past[back])))
    return np.array(found)


def trained(path: Path, repeats: int = 1, **options: object) -> forecaster.Model:
    """A model that repeats the last value, or so many; the baseline repeats the last week."""
    given = {"horizon": HORIZON, "lookback": LOOKBACK, "tracking": False, "seasons": WEEK}
    given |= {"settings": {"model.season": repeats, **ALL}, **options}
    return forecaster.train(path, model="seasonal-naive", **given)


def test_a_better_model_says_by_how_much(tmp_path: Path, cli: Cli) -> None:
    y = wandering()
    mine, naive = errors(y, 1), errors(y, WEEK)
    found = compare("a", mine, "b", naive, HORIZON)
    command = [
        "train",
        "seasonal-naive",
        "--set",
        "model.season=1",
        "--csv",
        file_of(tmp_path, y=y),
    ]
    command += ["--horizon", HORIZON, "--lookback", LOOKBACK, "--seasons", WEEK]
    command += [part for key, value in ALL.items() for part in ("--set", f"{key}={value}")]
    command += ["--output", tmp_path / "model"]
    lines = cli(*command).stdout.splitlines()
    assert lines[0].split() == ["metric", "validation", "test", "seasonal", "naive,", "test"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-4]}
    assert len(rows) <= 8
    assert rows["mae"][1:] == [f"{mine.mean():.4g}", f"{naive.mean():.4g}"]
    assert lines[-4].partition(";")[0].rstrip(".") == (
        f"On {len(mine)} past windows the forecasts were {found.percent:.0f} % closer than "
        f"repeating the last week (95 % interval {found.low:.0f} to {min(found.high, 100):.0f} %)"
    )
    assert lines[-2].startswith("run    ")
    assert lines[-1] == f"model  {tmp_path / 'model'}"
    every = cli(*command, "--metrics", "all").stdout.splitlines()
    assert {"mse", "smape", "windows"} <= {line.split()[0] for line in every}
    content = json.loads(cli(*command, "--json").stdout)
    assert content["verdict"] == lines[-4] == every[-4]
    assert content["skill"] == pytest.approx(
        {
            "percent": found.percent,
            "low": found.low,
            "high": min(found.high, 100),
            "windows": len(mine),
        }
    )
    assert content["seasonal_naive"]["test/mae"] == pytest.approx(naive.mean())
    saved = forecaster.load(tmp_path / "model")
    assert (saved.verdict, saved.skill) == (content["verdict"], content["skill"])


def test_a_worse_model_says_so_in_capitals_and_is_saved(tmp_path: Path, cli: Cli) -> None:
    y = ripples()
    found = compare("a", errors(y, 1), "b", errors(y, WEEK), HORIZON)
    path = file_of(tmp_path, y=y).rename(tmp_path / "it's `a` *file*.csv")
    command = ["train", "seasonal-naive", "--set", "model.season=1", "--csv", path]
    command += ["--horizon", HORIZON, "--lookback", LOOKBACK, "--seasons", WEEK]
    command += [part for key, value in ALL.items() for part in ("--set", f"{key}={value}")]
    command += ["--output", tmp_path / "model"]
    lines = cli(*command, status=0).stdout.splitlines()
    verdict = lines[-4]
    assert verdict.partition(";")[0].rstrip(".") == (
        f"On {len(errors(y, 1))} past windows THE FORECASTS WERE {-found.percent:.0f} % FURTHER OFF "
        f"THAN REPEATING THE LAST WEEK (95 % interval {-found.high:.0f} to {-found.low:.0f} %)"
    )
    assert (tmp_path / "model" / "metadata.json").is_file()
    run = get_run(lines[-2].split()[1])
    assert run["tags"]["verdict"] == verdict
    assert run["metrics"]["skill/percent"] == pytest.approx(found.percent)
    note = run["tags"]["mlflow.note.content"]
    assert note.startswith(f"{verdict}\n\n")
    assert "- horizon: 3 steps (3 days); lookback: 14 steps (2 weeks)" in note
    assert "- seasons: a week (7 steps)" in note
    for line in note.split("```")[1].strip().splitlines():
        words = shlex.split(line.removeprefix("python cli.py ").replace(" OTHER_RUN", ""))
        cli(*words, cwd=tmp_path)
    assert len(pd.read_csv(tmp_path / "forecast.csv")) == HORIZON
    assert verdict in (tmp_path / "report.html").read_text()
    listed = cli("runs", "list", "--limit", 1).stdout.splitlines()
    assert listed[0].endswith(" verdict")
    assert listed[1].endswith(f" {-found.percent:.0f} % WORSE")


def test_the_baseline_cannot_be_told_from_itself(tmp_path: Path) -> None:
    path = file_of(tmp_path, y=ripples())
    model = trained(path, repeats=WEEK)
    assert model.verdict.partition(";")[0].rstrip(".") == (
        f"On {len(errors(ripples(), 1))} past windows the forecasts cannot be told apart from "
        "repeating the last week (0 % closer, 95 % interval 0 to 0 %)"
    )


def test_a_season_longer_than_the_file_is_not_what_the_baseline_repeats(tmp_path: Path) -> None:
    y = wandering()
    model = trained(file_of(tmp_path, y=y), seasons=len(y))
    assert " told apart from repeating the last value (0 % closer" in model.verdict
    season = len(y) - HORIZON  # before which the last window has a row
    model = trained(file_of(tmp_path, y=y), seasons=season)
    assert f" repeating the last {season} steps where it is known " in model.verdict


def test_one_window_is_too_few(tmp_path: Path) -> None:
    model = trained(file_of(tmp_path, y=ripples()[:12]), lookback=3)
    assert model.metrics["test/windows"] == 1
    assert model.verdict.partition(";")[0].rstrip(".") == (
        "There is one past window only: too few to tell whether the forecasts are closer than "
        "repeating the last week"
    )
    assert model.skill == {"percent": None, "low": None, "high": None, "windows": 1}


def test_several_series_are_paired_by_their_origins(tmp_path: Path) -> None:
    series = {"a": wandering(), "b": 1000 * wandering()[::-1], "c": ripples()}
    # in standard deviations of the training rows, so that a large series does not decide alone
    unit = {name: y[: round(0.7 * len(y))].std() for name, y in series.items()}
    mine, naive = (
        np.mean([errors(y, season) / unit[name] for name, y in series.items()], axis=0)
        for season in (1, WEEK)
    )
    model = trained(file_of(tmp_path, **series))
    assert model.verdict.startswith(f"From {len(mine)} past origins of 3 series ")
    found = compare("a", mine, "b", naive, HORIZON)
    assert model.skill == pytest.approx(
        {
            "percent": found.percent,
            "low": found.low,
            "high": min(found.high, 100),
            "windows": 3 * len(mine),
        },
        rel=1e-4,
    )


def test_an_exact_baseline_is_lost_to(tmp_path: Path) -> None:
    model = trained(file_of(tmp_path, y=PERIODIC))
    assert model.verdict.partition(";")[0].rstrip(".") == (
        f"On {len(errors(PERIODIC, 1))} past windows THE FORECASTS WERE FURTHER OFF THAN REPEATING "
        "THE LAST WEEK, WHICH WAS EXACT"
    )
    assert model.skill["percent"] is None


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_missing_values_are_in_no_error(tmp_path: Path) -> None:
    y = wandering()
    y[-9:-4] = np.nan  # three whole windows among them
    mine = errors(y, 1, pd.Series(y).ffill().to_numpy())
    naive = errors(y, WEEK, np.where(np.isnan(y), np.roll(y, WEEK), y))
    known = np.isfinite(naive)
    found = compare("a", mine[known], "b", naive[known], HORIZON)
    model = trained(file_of(tmp_path, y=y))
    assert known.sum() == len(naive) - 3
    assert model.skill == pytest.approx(
        {
            "percent": found.percent,
            "low": found.low,
            "high": min(found.high, 100),
            "windows": known.sum(),
        },
        rel=1e-4,
    )
