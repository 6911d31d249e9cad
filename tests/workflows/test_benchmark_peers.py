"""Peers in a benchmark: the protocol with a stand-in for them, and the environments they need."""

import copy
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SAMPLE, Cli

from forecaster.config.load import find_config, load_config
from forecaster.config.parts import build
from forecaster.data.problem import TooShortError, load_problem
from forecaster.errors import UserError
from forecaster.evaluation.metrics import QUANTILES
from forecaster.evaluation.score import ScoredBatch, Scoring, score_quantiles, score_windows
from forecaster.models.base import Shape
from forecaster.tracking import store
from forecaster.training.limit import Limit
from forecaster.training.stages import OutOfTimeError
from forecaster.workflows import benchmark_peers, benchmark_suite
from forecaster.workflows.benchmark_peers import LEVELS, environment, score_peer
from forecaster.workflows.benchmark_process import alone
from forecaster.workflows.benchmark_suite import CellFilter, find_suite, lay_out
from forecaster.workflows.peer_runner import lines_of

RUNNER = benchmark_peers.RUNNER
SUITE = f"""
about: peers.
models:
  good: {{peer: {{name: steady, environment: networks}}}}
  bad: {{peer: {{name: broken, environment: networks}}}}
data:
  sample: {{csv: {SAMPLE}, lookback: 14, horizons: [7]}}
threads: 1
set: {{trainer.point_windows: 5, trainer.score_windows: 5}}
metrics: [mase, mae, wql_9, coverage/80, coverage/90, forecast_seconds, lines]
"""
# the runner with two more peers: one says the last value and 10 (q - .5) more at every level q, the
# other fails while a file lies beside it
STAND_IN = f"""
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("peer_runner", {str(RUNNER)!r})
runner = importlib.util.module_from_spec(spec)
sys.modules["peer_runner"] = runner
spec.loader.exec_module(runner)
HERE = Path(__file__).parent

def steady(job, learn, kind):
    with (HERE / "calls").open("a") as calls:
        calls.write(job.peer + "\\n")
    learn.to_csv(HERE / "learnt.csv", index=False)
    def forecast(pasts):
        return {{
            name: [[rows["y"].iloc[-1] + 10 * (q - 0.5) for q in job.levels]] * job.horizon
            for name, rows in pasts.groupby("unique_id")
        }}
    return forecast

def broken(job, learn, kind):
    if (HERE / "fails").exists():
        raise ValueError("it cannot be done")
    if (HERE / "slow").exists():
        time.sleep(600)
    return steady(job, learn, kind)

runner.PEERS |= {{"steady": ("json", steady, ""), "broken": ("json", broken, "")}}
runner.run(Path(sys.argv[1]))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    (tmp_path / "s.yaml").write_text(SUITE)
    monkeypatch.setattr(benchmark_peers, "RUNNER", script)
    monkeypatch.setattr(benchmark_peers, "environment", lambda name: Path(sys.executable))
    return tmp_path


def by_hand() -> dict[str, float]:
    """The figures of the steady peer, from the file alone."""
    values = pd.read_csv(SAMPLE).drop(columns="date").select_dtypes("number").to_numpy()
    problem = load_problem(lay_out(find_suite("smoke")[1], CellFilter())[0].config.data)
    border, season = (
        load_problem(problem.config.model_copy(update={"horizon": 7, "lookback": 14})).borders[0],
        problem.season,
    )
    last_window = border.test - 7 - border.validation
    rows = border.validation + np.linspace(0, last_window, 5).round().astype(int)
    truth = np.stack([values[row : row + 7] for row in rows])  # (W, H, K)
    last = np.stack([values[row - 1] for row in rows])[:, None]
    learnt = values[: border.train]
    scale = np.abs(learnt[season:] - learnt[:-season]).mean(0)
    found = {"mae": np.abs(truth - last).mean(), "mase": (np.abs(truth - last) / scale).mean()}
    losses = []
    for q in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        error = truth - (last + 10 * (q - 0.5))
        losses.append(2 * np.where(error > 0, q * error, (q - 1) * error))
    found["wql_9"] = np.mean(losses, axis=0).sum() / np.abs(truth).sum()
    for percent, half in ((80, 4.0), (90, 4.5)):
        found[f"coverage/{percent}"] = (np.abs(truth - last) <= half + 1e-9).mean()
    return found


def test_a_peer_is_scored_as_by_hand_and_one_that_fails_is_a_dash_with_its_reason(
    cli: Cli, stand_in: Path
) -> None:
    (stand_in / "fails").touch()
    told = cli("benchmark", stand_in / "s.yaml", "--output", stand_in, status=1)
    assert "1 of 2 cells done" in told.stdout
    table = pd.read_csv(stand_in / "s.csv").set_index("model")
    for name, value in by_hand().items():
        assert table.loc["good", name] == pytest.approx(value, rel=1e-5), name
    assert table.loc["good", "lines"] == 9
    text = (stand_in / "s.md").read_text()
    assert "| sample | 7 | bad | 0 | – | – | – | – | – | – | – | – |" in text
    reason = "it ended with status 1: ValueError: it cannot be done"
    assert f"\n- bad on sample, horizon 7: {reason}\n" in text
    assert f"failed: bad sample 7 seed 0: {reason}" in told.stderr
    # what it learns from ends where the test split begins
    rows = pd.read_csv(SAMPLE)
    learnt = pd.read_csv(stand_in / "learnt.csv")
    border = load_problem(
        lay_out(find_suite(str(stand_in / "s.yaml"))[1], CellFilter())[0].config.data
    ).borders[0]
    assert learnt["ds"].max() == rows["date"][border.validation - 1]
    assert set(learnt.groupby("unique_id").size()) == {border.validation}
    # only what is missing is run again, and the reason is gone with the failure
    (stand_in / "fails").unlink()
    again = cli("benchmark", stand_in / "s.yaml", "--output", stand_in)
    assert "2 of 2 cells done" in again.stdout
    assert (stand_in / "calls").read_text().split() == ["steady", "broken"]
    assert "cannot be done" not in again.stdout
    table = pd.read_csv(stand_in / "s.csv").set_index("model")
    assert table.loc["bad", "mase"] == table.loc["good", "mase"]


def test_a_peer_is_ended_when_its_time_is_up(stand_in: Path) -> None:
    (stand_in / "slow").touch()
    suite = find_suite(str(stand_in / "s.yaml"))[1]
    cell = lay_out(suite, CellFilter(models=("bad",)))[0]
    brief = suite.model_copy(update={"peer_seconds": 1})
    with pytest.raises(UserError, match="not done after 1 s; give the suite more 'peer_seconds'"):
        score_peer(brief, cell, None)
    over = Limit(1.0, 0.0, clock=lambda: 1.0)
    with pytest.raises(OutOfTimeError, match="the time is up: the peer begins anew"):
        score_peer(suite, cell, over)


def test_quantiles_of_elsewhere_are_scored_as_those_of_a_model() -> None:
    data = {"data.csv": str(SAMPLE), "data.horizon": 7, "data.lookback": 14}
    config = load_config(find_config("quantile-linear"), overrides=data)
    problem = load_problem(config.data)
    torch.manual_seed(3)
    model = build(config.model, Shape(problem.channels, 14, 7, 7))
    windows, seen = problem.windows("test"), []

    def keep(scored: ScoredBatch) -> None:
        assert scored.outlook.quantiles is not None
        seen.append(scored.outlook.quantiles)

    scoring = Scoring("probabilistic", 10, limit=5)
    scores = score_windows(model, problem, windows, scoring, on_batch=keep)
    places = [QUANTILES.index(level) for level in LEVELS]
    quantiles = torch.cat(seen)[:, places].numpy()
    found = score_quantiles(problem, windows, scores.numbers, quantiles, LEVELS)
    assert {"mae", "mase", "wql_9", "coverage/80", "coverage/90"} <= found.keys()
    assert not {"wql", "coverage/95", "crps"} & found.keys()  # which need other levels, or paths
    for name, value in found.items():
        assert value == pytest.approx(scores.pooled()[name], rel=1e-9), name


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        lay_out(find_suite(str(tmp_path / "s.yaml"))[1], CellFilter())
    return str(error.value)


def test_suites_of_peers_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    told = refused(tmp_path, SUITE.replace("threads: 1\n", ""))
    assert "key 'models': a peer runs in a process of its own: give 'threads'" in told
    told = refused(tmp_path, SUITE.replace("good: {", "good: {config: s2dbm, "))
    assert "give 'peer.set', no 'config' and no 'set'" in told
    told = refused(tmp_path, SUITE.replace("environment: networks", "environment: network"))
    assert "no environment 'network' of peers (did you mean 'networks'?); there are " in told
    told = refused(tmp_path, SUITE.replace("environment: networks", "environment: ../networks"))
    assert "no environment '../networks' of peers" in told
    ours = SUITE.replace("threads: 1\n", "").split("models:")[0] + "models: {rlinear: {}}\ndata:"
    told = refused(tmp_path, ours + SUITE.replace("threads: 1\n", "").split("data:")[1])
    assert "key 'metrics': 'forecast_seconds' is of a process of its own: give 'threads'" in told


def test_an_environment_that_cannot_be_made_is_told_and_not_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def succeed(command: list[str]) -> None:
        commands.append(command)
        folder = tmp_path / "peers"
        if "pip" in command:
            raise UserError("its environment cannot be installed; pip said: no such package")
        (next(folder.glob("odd-*.lock")).with_suffix("") / "bin").mkdir(parents=True)

    (tmp_path / "odd.txt").write_text("odd==1\n")
    monkeypatch.setattr(benchmark_suite, "PEERS", tmp_path)
    monkeypatch.setattr(store, "HOME", tmp_path)
    monkeypatch.setattr(benchmark_peers, "_succeed", succeed)
    for _ in range(2):
        with pytest.raises(UserError, match="pip said: no such package"):
            environment("odd")
    assert len(commands) == 2
    assert [path.name for path in (tmp_path / "peers").iterdir() if path.is_dir()] == []
    monkeypatch.setattr(benchmark_peers, "_FAILED", {})
    monkeypatch.setattr(benchmark_peers, "_succeed", commands.append)
    made = next((tmp_path / "peers").glob("odd-*.lock")).with_suffix("")
    made.mkdir()
    assert environment("odd") == environment("odd") == made / "bin" / "python"
    assert len(commands) == 5  # a venv, torch, and the rest with their sums
    assert commands[-1][-3:] == ["--require-hashes", "-r", str(tmp_path / "odd.txt")]


def test_a_process_of_its_own_has_its_threads_and_tells_its_errors(tmp_path: Path) -> None:
    before, file = dict(os.environ), tmp_path / "threads"
    code = f"import os; open({str(file)!r}, 'w').write(os.environ['OMP_NUM_THREADS'])"
    alone(3, exec, code)
    assert file.read_text() == "3"
    short = copy.copy(TooShortError("few", "more"))  # which is made anew, as one that is sent
    assert (str(short), short.fault) == ("few; more", "few")
    with pytest.raises(UserError, match=r"^no$"):
        alone(1, exec, "from forecaster.errors import UserError; raise UserError('no')")
    with pytest.raises(UserError, match="its process ended with status 7; try again"):
        alone(1, exec, "import os; os._exit(7)")
    assert dict(os.environ) == before


def test_lines_are_those_of_the_code() -> None:
    def shown(a: int) -> int:
        """Not counted."""
        # nor this

        return a + 1

    assert lines_of(shown) == 1


@pytest.mark.slow
def test_ours_stand_beside_peers_with_their_costs(cli: Cli, stand_in: Path) -> None:
    (stand_in / "s.yaml").write_text(SUITE.replace("models:", "models:\n  seasonal-naive: {}"))
    done = cli("benchmark", stand_in / "s.yaml", "--output", stand_in, "--json")
    assert json.loads(done.stdout)["failures"] == []
    table = pd.read_csv(stand_in / "s.csv").set_index("model")
    assert table.loc["seasonal-naive", "lines"] == 2
    assert (table[["forecast_seconds", "mase", "wql_9"]] > 0).all(axis=None)
