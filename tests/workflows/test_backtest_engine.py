"""``backtest --engine ray``: trainings side by side, with the numbers of this process."""

import contextlib
import copy
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import ROOT, Cli

from forecaster.config.program import install_extra
from forecaster.config.schema import Config
from forecaster.errors import UserError
from forecaster.workflows import backtest, ray_backtest
from forecaster.workflows.backtest_scores import Field, ScoreBlock

SHORT = ["--set", "trainer.max_epochs=2", "--set", "trainer.batch_size=64"]


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, source = tmp_path_factory.mktemp("engine") / "two.csv", np.random.default_rng(0)
    days = pd.date_range("2022-01-01", periods=150)
    values = {name: source.normal(size=150).cumsum().round(3) for name in ("a", "b")}
    pd.DataFrame({"date": days, **values}).to_csv(path, index=False)
    return path


def words(csv: Path, output: Path) -> list[object]:
    sizes = ["--horizon", 3, "--lookback", 9, "--origins", 4, "--refit-every", 2, "--samples", 5]
    return ["backtest", "--csv", csv, "--model", "nlinear", *sizes, *SHORT, "--output", output]


@contextlib.contextmanager
def elsewhere(contestants: Mapping[str, Config], field: Field) -> Iterator[ScoreBlock]:
    """Ray's way without Ray: copies are sent to workers, and the last one is done first."""
    tasks = ray_backtest.tasks_of(contestants, field)
    results = {
        key: ray_backtest.work(*copy.deepcopy((field, task)))
        for key, task in reversed(tasks.items())
    }
    yield ray_backtest.replayed(copy.deepcopy(results).__getitem__)


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backtest.ENGINES, "ray", elsewhere)
    monkeypatch.setattr(backtest, "import_ray", lambda: None)


def logged(cli: Cli, run_id: str) -> list[dict[str, object]]:
    """The runs of a backtest's models: names, tags and metrics, but for what is of the time."""
    runs = json.loads(cli("runs", "list", "--json").stdout)["runs"]
    own = [run for run in runs if run["tags"].get("mlflow.parentRunId") == run_id]
    tags = ("model", "family", "mode", "dataset", "horizon")
    return sorted(
        (
            {
                "name": run["name"],
                **{name: run["tags"].get(name) for name in tags},
                **{name: v for name, v in run["metrics"].items() if "seconds" not in name},
            }
            for run in own
        ),
        key=lambda run: str(run["name"]),
    )


@pytest.mark.usefixtures("without_ray")
def test_trainings_elsewhere_give_the_same_numbers_to_the_last_bit(
    cli: Cli, csv: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    done = cli(*words(csv, here), "--json")
    again = cli(*words(csv, there), "--json", "--engine", "ray")
    assert there.read_bytes() == here.read_bytes()
    assert again.stderr == done.stderr
    assert "nlinear: training 2 of 2, origins 3 to 4" in done.stderr
    ours, theirs = (json.loads(each.stdout) for each in (done, again))
    for one, other in zip(ours["ranking"], theirs["ranking"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    first, second = logged(cli, ours["run_id"]), logged(cli, theirs["run_id"])
    assert first == second
    assert [run["name"] for run in first] == ["nlinear two", "seasonal-naive two"]
    assert {"backtest/crps", "refit2/val/loss"} <= set(first[0])


@pytest.mark.usefixtures("without_ray")
def test_a_training_that_is_refused_is_told_as_it_is_here(
    cli: Cli, csv: Path, tmp_path: Path
) -> None:
    given = [*words(csv, tmp_path / "out.csv"), "--set", "trainer.learning_rate=1e30"]
    here = cli(*given, status=1).stderr
    assert "training diverged" in here
    assert cli(*given, "--engine", "ray", status=1).stderr == here
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.usefixtures("without_ray")
def test_what_is_not_done_side_by_side_is_refused_and_the_remedies_work(
    cli: Cli, csv: Path, tmp_path: Path
) -> None:
    given = words(csv, tmp_path / "out.csv")
    given[given.index("nlinear")] = "seasonal-naive"
    ray, limit, two = ["--engine", "ray"], ["--time-limit", "10m"], "trainer.devices={}"
    assert cli(*given, *ray, *limit, status=1).stderr == (
        "error: --engine ray: --time-limit is shared out from one training to the next, and here "
        "they run side by side; leave one of the two out\n"
    )
    cli(*given, *limit)
    assert cli(*given, *ray, "--set", two.format(2), status=1).stderr == (
        "error: --engine ray: each training has one device, and model 'seasonal-naive' asks for 2; "
        "give --set trainer.devices=1, or leave --engine out\n"
    )
    cli(*given, *ray, "--set", two.format(1))
    cli(*given, "--set", two.format(2))
    with pytest.raises(UserError) as refused:
        ray_backtest.check_cores(iter([1.0, 2.0]), 4)
    assert str(refused.value) == (
        "--engine ray: a training takes 4 threads here, and no machine of the cluster has more "
        "than 2 cores; set OMP_NUM_THREADS=2"
    )
    ray_backtest.check_cores([1.0, 2.0], 2)


def test_without_ray_it_is_said_what_installs_it_for_a_backtest(
    cli: Cli, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    refused = cli(*words(csv, tmp_path / "out.csv"), "--engine", "ray", status=1)
    assert refused.stderr == f"error: --engine ray needs Ray: {install_extra('ray')}\n"


@pytest.mark.slow
def test_ray_gives_the_same_backtest_though_a_worker_is_killed(
    cli: Cli, csv: Path, tmp_path: Path
) -> None:
    cli(*words(csv, tmp_path / "here.csv"))
    environment = {**cli.env, "RAY_worker_niceness": "0"}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "cli.py", *map(str, words(csv, tmp_path / "there.csv"))]
    with subprocess.Popen(
        [*command, "--engine", "ray"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        started: list[psutil.Process] = []
        while not started:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
            with contextlib.suppress(psutil.Error):
                started = [
                    child
                    for child in psutil.Process(process.pid).children(recursive=True)
                    if child.cmdline()[:1] == ["ray::work"]
                ]
        started[0].kill()
        said = process.communicate()
        assert process.returncode == 0, said
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
