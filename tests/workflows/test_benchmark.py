"""Backtests and benchmarks through the command line."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SAMPLE, Cli, wait_for_epoch
from training.test_fit_limit import new_limit

from forecaster.config.parts import build
from forecaster.data.problem import load_problem
from forecaster.data.splits import Borders
from forecaster.errors import UserError
from forecaster.evaluation.score import Scoring, evaluate
from forecaster.inference.locate import open_model
from forecaster.models.base import Shape
from forecaster.reporting.markdown import (
    best_in_bold,
    markdown_table,
    mean_and_spread,
    number,
    put_between,
)
from forecaster.training.limit import Limit
from forecaster.workflows.backtest import BASELINE, _share
from forecaster.workflows.backtest_scores import Plan
from forecaster.workflows.benchmark import BenchmarkOptions, _is_done, _rows, benchmark
from forecaster.workflows.benchmark_results import add_results, elsewhere
from forecaster.workflows.benchmark_suite import CellFilter, find_suite, lay_out
from forecaster.workflows.benchmark_table import Layout, places

SUITE = f"""
about: two models.
models:
  rlinear: {{}}
  residual: {{config: residual-bootstrap}}
data:
  sample: {{csv: {SAMPLE}, lookback: 14, horizons: [7]}}
set: {{trainer.max_epochs: 3, trainer.stage_epochs: 3, trainer.point_windows: 64, trainer.score_windows: 8, trainer.score_samples: 10}}
metrics: [mse, crps]
"""
# what differs from one run to the next
OWN = ["train_seconds", "run_id", "code", "date"]


@pytest.mark.slow
def test_what_calibration_changes_is_in_the_table(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "shifts.yaml"
    suite.write_text(f"""
about: test
models:
  timediff: {{}}
  calibrated: {{config: timediff, set: {{trainer.calibrate: true}}}}
data:
  sample: {{csv: {SAMPLE}, lookback: 14, horizons: [7]}}
set:
  trainer.max_steps: 2
  trainer.stage_epochs: 1
  trainer.point_windows: 4
  trainer.score_windows: 2
  trainer.score_samples: 2
  model.schedule.steps: 4
  model.sampler.steps: 4
  model.sampler.point_steps: 4
metrics: [calibration/before, calibration/after, calibration/steps, mse]
""")
    done = json.loads(cli("benchmark", suite, "--output", tmp_path / "out", "--json").stdout)
    assert (done["done"], done["failures"]) == (2, [])
    table = pd.read_csv(tmp_path / "out" / "shifts.csv").set_index("model")
    runs = {run["run_id"]: run for run in json.loads(cli("runs", "list", "--json").stdout)["runs"]}
    metrics = runs[table.loc["calibrated", "run_id"]]["metrics"]
    for name in ("calibration/before", "calibration/after", "calibration/steps"):
        assert table.loc["calibrated", name] == pytest.approx(metrics[name])
        assert np.isnan(table.loc["timediff", name])
    assert table["mse"].notna().all()


@pytest.mark.slow
def test_an_interrupted_benchmark_ends_with_the_same_table(cli: Cli, tmp_path: Path) -> None:
    suite = tmp_path / "both.yaml"
    suite.write_text(SUITE)
    whole, parted = (Cli(tmp_path / name) for name in ("whole", "parted"))
    done = json.loads(whole("benchmark", suite, "--json").stdout)
    assert (done["done"], done["cells"], done["failures"]) == (2, 2, [])
    with parted.start("benchmark", suite) as process:
        for line in process.stderr:  # type: ignore[union-attr]
            if line.startswith("[2/2]"):
                break
        wait_for_epoch(process, parted.home)  # in the middle of the second cell
        process.kill()
    (checkpoint,) = parted.home.glob("checkpoints/*/stage0/last.ckpt")
    text = parted("benchmark", suite)
    assert "[1/1] residual sample 7 seed 0" in text.stderr
    assert not checkpoint.exists()  # it went on
    tables = [
        pd.read_csv(home / "benchmarks" / "both.csv")
        for home in (tmp_path / "whole", tmp_path / "parted")
    ]
    assert list(tables[0]["model"]) == ["rlinear", "residual"]
    pd.testing.assert_frame_equal(tables[0].drop(columns=OWN), tables[1].drop(columns=OWN))
    again = parted("benchmark", suite)
    assert "2 of 2 cells done" in again.stdout
    assert "epoch" not in again.stderr
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- both -->\nold\n<!-- end -->\nafter\n")
    parted("benchmark", suite, "--into", page)
    assert page.read_text().startswith(
        "before\n<!-- both -->\n\ntwo models.\n\n| data | horizon | model |"
    )
    assert page.read_text().endswith("<!-- end -->\nafter\n")
    # the same runs as a table for each data set: on the test split and on validation, and below
    # them what others published
    published = (
        "published: {theirs: {source: a paper, values: {sample: {7: {mse: 0.5, mae: 0.25}}}}}\n"
    )
    suite.write_text(SUITE.replace("[mse, crps]", "[mse, mae]") + "columns: models\n" + published)
    parted("benchmark", suite)
    frame = pd.read_csv(tmp_path / "parted" / "benchmarks" / "both.csv")
    metrics = ["mse", "mae", "val/mse", "val/mae"]
    assert (frame["mse"] != frame["val/mse"]).all()
    rows = [
        " | ".join([row["model"], *(number(row[m], 3) for m in metrics)])
        + f" | {row['train_seconds']:.0f} | 1 |"
        for _, row in frame.iterrows()
    ]
    lines = (
        (tmp_path / "parted" / "benchmarks" / "both.md").read_text().replace("**", "").splitlines()
    )
    begin = lines.index("### sample, horizon 7")
    assert lines[begin + 2] == (
        "| model | test/mse | test/mae | val/mse | val/mae | s a training | seeds |"
    )
    assert lines[begin + 4 : begin + 7] == [
        *(f"| {row}" for row in rows),
        "| theirs | .500 | .250 | – | – | – | – |",
    ]
    assert lines[-1] == "theirs: a paper."


@pytest.mark.slow
def test_the_smoke_suite_runs_and_a_failing_cell_does_not_stop_it(cli: Cli, tmp_path: Path) -> None:
    done = cli("benchmark", "smoke", "--time-limit", "10m", "--json")
    made = json.loads(done.stdout)
    assert (made["done"], made["failures"]) == (6, [])
    assert "`python cli.py benchmark smoke`: 6 of 6 cells, " in Path(made["markdown"]).read_text(
        encoding="utf-8"
    )
    suite = tmp_path / "bad.yaml"
    suite.write_text(SUITE.replace("lookback: 14", "lookback: 14000"))
    failed = cli("benchmark", suite, "--model", "rlinear", status=1)
    assert "failed: rlinear sample 7 seed 0: " in failed.stderr
    assert "0 of 1 cells done" in failed.stdout


@pytest.mark.slow
def test_a_cell_trained_but_not_scored_is_scored_without_training(cli: Cli, tmp_path: Path) -> None:
    """As after an interruption between the two, or where the suite asks for more numbers of
    steps.
    """
    suite = tmp_path / "s.yaml"
    model = "{config: timediff, set: {trainer.max_steps: 2, trainer.stage_epochs: 1, model.schedule.steps: 5, "
    sampler = "model.sampler.steps: 2, model.sampler.point_steps: 2}}"
    text = (
        SUITE.replace("{config: residual-bootstrap}", model + sampler)
        + "score_windows: 4\nscore_samples: 3\n"
    )
    text = text.replace(str(SAMPLE), "day.csv")
    (tmp_path / "day.csv").write_bytes(SAMPLE.read_bytes())
    suite.write_text(text + "steps: [2]\n")
    cli("benchmark", suite, "--model", "residual")
    first = pd.read_csv(cli.home / "benchmarks" / "s.csv")
    (tmp_path / "day.csv").rename(tmp_path / "days.csv")  # and another file in its place
    (tmp_path / "day.csv").write_text("\n".join(SAMPLE.read_text().splitlines()[:900]) + "\n")
    suite.write_text(text.replace("day.csv", "days.csv") + "steps: [1, 2]\n")
    told = cli("benchmark", suite, "--model", "residual")
    assert "epoch" not in told.stderr
    both = pd.read_csv(cli.home / "benchmarks" / "s.csv")
    assert list(both["steps"]) == [1, 2]
    assert list(both["run_id"]) == [first["run_id"][0]] * 2
    pd.testing.assert_frame_equal(both[both["steps"] == 2].reset_index(drop=True), first)


@pytest.mark.slow
def test_the_dial_is_scored_on_validation_and_drawn(cli: Cli, tmp_path: Path) -> None:
    """One step from a pinned end has no noise, whatever s is; without noise a sample is the point."""
    suite, plot = tmp_path / "dial.yaml", tmp_path / "dial.png"
    tiny = (
        "{config: s2dbm_paper, set: {trainer.max_steps: 2, model.schedule.steps: 5, model.label: 0, "
        "model.sampler.steps: 2, model.sampler.point_steps: 2}}"
    )
    text = SUITE.replace("{config: residual-bootstrap}", tiny).replace("[mse, crps]", "[mae, crps]")
    dial = "score_windows: 4\nscore_samples: 3\nsplit: validation\ns: [0, 1, 2]\n"
    suite.write_text(text + "steps: [1, 3]\n" + dial)
    told = cli("benchmark", suite, "--model", "residual", "--plot", plot)
    assert "| data | horizon | model | s | steps | seeds | mae | crps |" in told.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(cli.home / "benchmarks" / "dial.csv").set_index(["s", "steps"])
    assert list(frame.index) == [(s, steps) for s in (0, 1, 2) for steps in (1, 3)]
    np.testing.assert_allclose(frame["crps"][0], frame["mae"][0], rtol=1e-6)
    np.testing.assert_allclose(frame["crps"].xs(1, level="steps"), frame["crps"][0, 1], rtol=1e-6)
    assert frame["crps"].xs(3, level="steps").nunique() == 3
    saved, data = open_model(f"runs:/{frame['run_id'].iloc[0]}/model", None), frame["mae"][0, 3]
    problem = load_problem(saved.config.data)
    scored = evaluate(saved.model, problem, "validation", Scoring(steps=3, limit=4))
    assert scored["mae"] == pytest.approx(data, rel=1e-6)
    refused = cli("benchmark", suite, "--model", "rlinear", status=1).stderr
    assert "it has no variance parameter s; leave the model or 's' out of the suite" in refused
    refused = cli("benchmark", suite, "--plot", "dial.txt", status=1).stderr
    assert "--plot dial.txt: cannot draw that kind of file; end the name in .png" in refused
    suite.write_text(text)
    refused = cli("benchmark", suite, "--plot", plot, status=1).stderr
    assert "--plot: draws metrics against 'steps', which the suite does not give" in refused
    suite.write_text(text + dial)
    with pytest.raises(UserError, match="key 's': is of models scored in 'steps': give these"):
        find_suite(str(suite))


@pytest.mark.slow
def test_a_suite_finds_its_files_from_its_folder_and_knows_them_by_their_content(
    cli: Cli, tmp_path: Path
) -> None:
    """Its file is moved while a cell is half trained and after one is done; another one lies where
    it was.
    """
    (tmp_path / "day.csv").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "mine.yaml").write_text(
        "model: {name: residual-bootstrap, base: {name: linear, norm: standard, loss: l1}}\n"
    )
    text = SUITE.replace(str(SAMPLE), "day.csv").replace(
        "config: residual-bootstrap", "config: mine.yaml"
    )
    suite = tmp_path / "s.yaml"
    suite.write_text(text)
    with cli.start("benchmark", suite) as process:
        for line in process.stderr:  # type: ignore[union-attr]
            if line.startswith("[2/2]"):
                break
        wait_for_epoch(process, cli.home)
        process.kill()
    (checkpoint,) = cli.home.glob("checkpoints/*/stage0/last.ckpt")
    (tmp_path / "day.csv").rename(tmp_path / "days.csv")
    (tmp_path / "day.csv").write_text(
        SAMPLE.read_text().replace("2012-01-01,0.0", "2012-01-01,50.0")
    )
    suite.write_text(suite.read_text().replace("day.csv", "days.csv"))
    told = cli("benchmark", suite)
    assert "2 of 2 cells done" in told.stdout
    assert "[1/1] residual sample 7 seed 0" in told.stderr
    assert not checkpoint.exists()  # it went on
    (tmp_path / "days.csv").unlink()
    refused = cli("benchmark", suite, "--model", "rlinear", status=1).stderr
    assert (
        f"data 'sample' of the suite: no file {tmp_path / 'days.csv'}; correct its path, or take it out"
        in refused
    )


def test_every_suite_of_the_project_can_be_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: True)  # the data need not be here
    for name, cells in {
        "smoke": 6,
        "ltsf": 1848,
        "probabilistic": 168,
        "steps": 7,
        "dial": 4,
        "ablation": 12,
        "published": 20,
        "calibration": 48,
        "peers": 48,
    }.items():
        suite = find_suite(name)[1]
        laid = lay_out(suite, CellFilter())
        assert len(laid) == cells
        assert len({cell.key for cell in laid}) == cells
        for cell in laid if len(laid) < 40 else []:
            build(
                cell.config.model, Shape(2, cell.config.data.lookback, cell.config.data.horizon, 24)
            )


def test_suites_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE + "sedes: [0]\n")
    with pytest.raises(
        UserError, match=r"s\.yaml: key 'sedes': extra inputs are not permitted, got "
    ):
        find_suite(str(path))
    with pytest.raises(
        UserError, match=r"no suite 'ltfs' \(did you mean 'ltsf'\?\); give a YAML file, "
    ):
        find_suite("ltfs")
    path.write_text(SUITE.replace("[mse, crps]", "[mse, crsp]"))
    with pytest.raises(UserError, match="key 'metrics': no metric 'crsp' \\(did you mean 'crps'"):
        find_suite(str(path))
    for change, message in {
        "metrics: [mse, variogram]": "key 'metrics': 'variogram' is computed by evaluate alone",
        "metrics: []": "key 'metrics': tuple should have at least 1 item",
        "seeds: [0, 0]": "key 'seeds': seed 0 is given twice",
        "metrics: [mse, mse]": "key 'metrics': metric mse is given twice",
        "steps: [1]\ns: [1, 1.0]": "key 's': s 1.0 is given twice",
        "s: [1]": "key 's': is of models scored in 'steps': give these",
        "steps: [1, 1]": "key 'steps': number of steps 1 is given twice",
        "set: {trainer.seed: 5}": "key 'set': 'trainer.seed' follows from the suite's data, horizons and seeds",
        "set: {data: {horizon: 5}}": "key 'set': 'data' follows from the suite's data, horizons and seeds",
        "published: {theirs: {source: a, values: {}}}": "key 'published': published figures are columns beside models: give 'co",
        "steps: [1]\ncolumns: models": "key 'columns': a table of several 'steps' has the metrics for columns",
    }.items():
        kept = [line for line in SUITE.splitlines() if not line.startswith(change.split(":")[0])]
        path.write_text("\n".join([*kept, change]) + "\n")
        with pytest.raises(UserError, match=re.escape(message)):
            find_suite(str(path))
    for horizons, message in (
        ("[7, 7]", "horizon 7 is given twice"),
        ("[]", "tuple should have at least 1 item"),
    ):
        path.write_text(SUITE.replace("[7]", horizons))
        with pytest.raises(UserError, match=message):
            find_suite(str(path))
    path.write_text(
        SUITE.replace("residual: {config: residual-bootstrap}", "other: {config: rlinear}")
    )
    with pytest.raises(
        UserError,
        match="'rlinear sample 7 seed 0' and 'other sample 7 seed 0' of the suite are the same",
    ):
        lay_out(find_suite(str(path))[1], CellFilter())
    path.write_text(SUITE)
    assert (
        lay_out(find_suite(str(path))[1], CellFilter(models=("rlinear",), horizons=(7,)))[0].title
        == "rlinear sample 7 seed 0"
    )
    with pytest.raises(UserError, match="the suite has no horizon '8'; it has 7"):
        lay_out(find_suite(str(path))[1], CellFilter(horizons=(8,)))
    with pytest.raises(UserError, match="the suite has no model 's2dbm'; it has rlinear, residual"):
        lay_out(find_suite(str(path))[1], CellFilter(models=("s2dbm",)))


def test_another_scoring_is_done_anew(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE + "steps: [1]\nscore_windows: 8\n")
    suite = find_suite(str(path))[1]
    run = {
        "status": "FINISHED",
        "metrics": {"steps/1/mse": 1.0, "steps/1/crps": 1.0},
        "tags": {"scoring": suite.scoring},
    }
    assert _is_done(suite, run)
    assert not _is_done(suite.model_copy(update={"score_windows": 90}), run)
    assert not _is_done(suite, run | {"tags": {}})


def test_tables_read_well(tmp_path: Path) -> None:
    assert markdown_table(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
    assert mean_and_spread(0.3674, 0.0012, 3) == ".367 ± .001"
    assert mean_and_spread(12.345, None, 3) == "12.35"
    assert mean_and_spread(-0.5, float("nan"), 2) == "-.50"
    assert mean_and_spread(None, None, 3) == "–"
    texts = {("d", 1, "a"): "1", ("d", 1, "b"): "2", ("e", 1, "a"): "3"}
    best_in_bold(
        texts,
        {("d", 1, "a"): 1.0, ("d", 1, "b"): 2.0, ("e", 1, "a"): 3.0},
        ["data", "horizon", "model"],
        3,
    )
    assert list(texts.values()) == ["**1**", "2", "3"]
    values = {("d", 1, "a"): 0.2004, ("d", 1, "b"): 0.2001, ("d", 1, "c"): 0.2007}
    texts = {key: number(value, 3) for key, value in values.items()}
    best_in_bold(texts, values, ["data", "horizon", "model"], 3)
    assert list(texts.values()) == ["**.200**", "**.200**", ".201"]
    texts = {
        ("d", 1, "a", 1): "2",
        ("d", 1, "a", 2): "1",
        ("d", 1, "b", 1): "4",
        ("d", 1, "b", 2): "5",
    }
    best_in_bold(
        texts,
        {key: float(text) for key, text in texts.items()},
        ["data", "horizon", "model", "steps"],
        3,
    )
    assert list(texts.values()) == ["2", "**1**", "**4**", "5"]
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(UserError, match="no place for the table"):
        put_between(page, "both", "text")


def test_coverage_is_never_best(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace("[mse, crps]", "[mse, coverage/90]") + "columns: models\n")
    suite = find_suite(str(path))[1]
    rows = [
        {
            "data": "sample",
            "horizon": 7,
            "model": model,
            "seed": 0,
            "mse": mse,
            "coverage/90": held,
            "val/mse": mse / 2,
            "val/coverage/90": held,
            "run_id": model,
            "train_seconds": 1.0,
            "date": "",
            "code": "",
            "machine": "",
            "torch": "",
        }
        for model, mse, held in (("rlinear", 0.3, 0.9), ("residual", 0.4, 0.5))
    ]
    text = Layout("s", suite, rows, {"sample": 2}).text()
    assert "| rlinear | **.300** | .900 | **.150** | .900 | 1 | 1 |" in text
    assert "| residual | .400 | .500 | .200 | .500 | 1 | 1 |" in text


def test_tables_by_models_are_one_a_data_set_and_horizon_without_models_that_were_not_run(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.yaml"
    values = "published: {theirs: {source: a, values: {sample: {14: {mse: 0.5}}}}}\n"
    path.write_text(SUITE.replace("[mse, crps]", "[mse]") + "columns: models\n" + values)
    facts = dict.fromkeys(("date", "code", "machine", "torch"), "")
    rows = [
        {"data": "sample", "horizon": horizon, "model": model, "seed": seed, "mse": mse}
        | {"val/mse": 2 * mse, "run_id": f"{model}{seed}", "train_seconds": seconds, **facts}
        for horizon, model, seed, mse, seconds in (
            (7, "rlinear", 0, 0.1, 2.0),
            (7, "rlinear", 1, 0.3, 4.0),
            (7, "residual", 0, 0.4, 1.0),
            (14, "residual", 0, 0.6, 9.0),
        )
    ]
    text = Layout("s", find_suite(str(path))[1], rows, {"sample": 4}).text()
    head = (
        "| model | test/mse | val/mse | s a training | seeds |\n| --- | --- | --- | --- | --- |\n"
    )
    assert text.split("\n\n")[3:7] == [
        "### sample, horizon 7",
        head + "| rlinear | **.200 ± .141** | **.400 ± .283** | 3 | 2 |\n"
        "| residual | .400 | .800 | 1 | 1 |",
        "### sample, horizon 14",
        head + "| residual | .600 | 1.200 | 9 | 1 |\n| theirs | .500 | – | – | – |",
    ]


PLACES = """
about: two models.
models: {seasonal-naive: {}, rlinear: {}, residual: {config: residual-bootstrap}}
data: {ili: {horizons: [24, 36]}, exchange: {horizons: [96]}}
seeds: [0, 1, 2]
set: {trainer.point_windows: null}
metrics: [mse, coverage/90, width/90, mae, published/mse]
columns: models
digits: 2
published:
  theirs: {source: a paper, values: {ili: {24: {published/mse: 0.375}, 36: {published/mse: 0.1}}}}
"""


def of_models(tmp_path: Path) -> Path:
    """A suite of three models, whose figures on all and on the published windows are told."""
    path = tmp_path / "s.yaml"
    path.write_text(PLACES)
    return path


def told(model: str, data: str, horizon: int, seed: int, mse: float, *more: float) -> dict:
    """A row of a table; ``more``: MAE, MSE on the published windows, and coverage and width."""
    mae, published, *rest = [*more, *[np.nan] * (4 - len(more))]
    row = {"data": data, "horizon": horizon, "model": model, "seed": seed, "mse": mse, "mae": mae}
    return {**row, "published/mse": published, "coverage/90": rest[0], "width/90": rest[1]}


def test_places_are_counted_as_the_tables_read(tmp_path: Path) -> None:
    suite = find_suite(str(of_models(tmp_path)))[1]
    rows = [
        told("rlinear", "ili", 24, 0, 0.1, 0.6, 0.375),
        told("rlinear", "ili", 24, 1, 0.2, 0.6, 0.375),
        told("rlinear", "ili", 24, 2, 0.6, 0.6, 0.375),  # the mean of MSE .30, like the other's
        told("residual", "ili", 24, 0, 0.304, 0.5, 0.376, 0.1, 0.1),
        told("seasonal-naive", "ili", 24, 0, 0.5, 0.7, 0.7, 0.2, 0.2),
        told("residual", "ili", 36, 0, 12.341, 9.0, 0.7, 0.1, 0.1),
        told("seasonal-naive", "ili", 36, 0, 12.349, 8.0, np.nan, 0.2, 0.2),  # both read 12.3
        told("residual", "exchange", 96, 0, 0.2),
    ]
    all_windows, published = places(suite, rows)
    assert all_windows == (
        "Places:\n\n"
        "| model | cells | first | second |\n| --- | --- | --- | --- |\n"
        "| residual | 4 | 3 | 1 |\n"
        "| seasonal-naive | 4 | 2 | 0 |\n"
        "| rlinear | 2 | 1 | 1 |"
    )
    assert published == (
        "Places on the published windows:\n\n"
        "| model | cells | first | second | at or below theirs |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| rlinear | 1 | 1 | 0 | 1 of 1 |\n"
        "| residual | 1 | 1 | 0 | 1 of 2 |\n"
        "| seasonal-naive | 1 | 0 | 0 | 0 of 1 |"
    )
    (alone,) = places(suite, rows[:3])
    assert alone.endswith("| rlinear | 0 | 0 | 0 | 1 of 1 |")
    assert places(suite.model_copy(update={"published": {}}), rows[:3]) == []
    shared = places(suite, [*rows, told("rlinear", "exchange", 96, 0, 0.3, 0.4)])
    assert "| rlinear | 3 | 1 | 2 |" in shared[0]  # no MAE of the other there


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, dict]:
    """What the store has of the suite of models; a test may take runs out."""
    cells = lay_out(find_suite(str(of_models(tmp_path)))[1], CellFilter())
    names = ("test/mse", "test/mae", "test/published/mse", "test/coverage/90", "test/width/90")
    found = {
        cell.key: {
            "run_id": cell.key,
            "status": "FINISHED",
            "started": 0,
            "tags": {"code": "abc", "machine": "m", "torch": "2"},
            "metrics": {"train_seconds": 2.0, "val/mse": 0.75}
            | dict.fromkeys(names, 0.25 * (1 + number)),
        }
        for number, cell in enumerate(cells)
    }
    monkeypatch.setattr("forecaster.workflows.benchmark._runs", lambda experiment: found)
    monkeypatch.setattr("forecaster.workflows.benchmark._run_all", lambda *given: ["none ran"])
    monkeypatch.setattr("forecaster.workflows.benchmark.check_data", lambda cells: None)
    return found


def test_a_page_and_a_picture_a_data_set_and_the_places_in_the_document(
    cli: Cli, tmp_path: Path, finished: dict[str, dict]
) -> None:
    path, page, folder = tmp_path / "s.yaml", tmp_path / "docs" / "page.md", tmp_path / "out"
    page.parent.mkdir()
    page.write_text("before\n<!-- s -->\n<!-- end -->\nafter\n")
    pages = tmp_path / "new pages" / "s"
    given = ("--output", folder, "--pages", pages)
    cli("benchmark", path, *given)
    cli("benchmark", path, *given, "--into", page)
    text = page.read_text()
    assert "| seasonal-naive | 6 | 6 | 0 |" in text
    links = "- [ili](../new%20pages/s/ili.md)\n- [exchange](../new%20pages/s/exchange.md)"
    assert f"\n\n{links}\n\n`" in text
    assert "benchmark s`" not in text  # the suite is a file
    assert ": 27 of 27 cells, 1970-01-01, code abc, m, torch 2, seed(s) 0, 1, 2; " in text
    assert "horizon 24" not in text
    own = (pages / "ili.md").read_text()
    assert own.startswith(
        "# ili: the suite s\n\ntwo models.\n\n![mse of each model over the lowest "
    )
    assert "lowest at its horizon](ili.svg)\n\n## ili, horizon 24\n\n" in own
    assert ": 18 of 18 cells, " in own
    assert own.endswith("\ntheirs: a paper.\n")
    assert "exchange" not in own
    other = (pages / "exchange.md").read_text()
    assert ": 9 of 9 cells, " in other
    assert "theirs" not in other
    assert other.count("## exchange, horizon 96") == other.count("## ") == 1
    head = "| model | test/mse | test/coverage/90 | test/width/90 | test/mae | test/published/mse |"
    assert f"\n{head} val/mse | " in own
    assert "\n| theirs | – | – | – | – | .38 | – | " in own
    picture = (pages / "ili.svg").read_bytes()
    assert b"rlinear" in picture
    assert "### ili, horizon 24" in (folder / "s.md").read_text()
    cli("benchmark", path, *given)
    assert (pages / "ili.svg").read_bytes() == picture  # nothing changes where nothing has


def test_pages_replace_no_other_text(cli: Cli, tmp_path: Path, finished: dict[str, dict]) -> None:
    path, page = of_models(tmp_path), tmp_path / "ili.md"
    page.write_text("mine\n<!-- s -->\n<!-- end -->\n")
    before = page.read_text()
    refused = cli("benchmark", path, "--pages", tmp_path, "--into", page, status=1).stderr
    assert (
        f"--pages {tmp_path}: {page} is no page of this benchmark and would be replaced; "
        in refused
    )
    page.unlink()
    out = ("--output", tmp_path / "out")
    (tmp_path / "ili.yaml").write_text(PLACES)
    same = cli("benchmark", tmp_path / "ili.yaml", *out, "--pages", tmp_path / "out", status=1)
    assert "a page has the name of the table's document" in same.stderr
    (tmp_path / "file").write_text(before)
    refused = cli("benchmark", path, *out, "--pages", tmp_path / "file", status=1).stderr
    assert f"--pages {tmp_path / 'file'}: not a folder; name another one" in refused
    assert not (tmp_path / "out" / "ili.md").exists()
    csv = f"{{../evil: {{csv: {SAMPLE}, lookback: 14, horizons: [7]}}}}"
    path.write_text(SUITE.partition("data:")[0] + f"data: {csv}\ncolumns: models\n")
    refused = cli("benchmark", path, *out, "--pages", tmp_path / "p", status=1).stderr
    assert "data set '../evil' of the suite cannot name a page; write its name with" in refused
    of_metrics = tmp_path / "m.yaml"
    of_metrics.write_text(SUITE)
    refused = cli("benchmark", of_metrics, "--pages", tmp_path / "p", status=1).stderr
    assert "--pages: are of a suite with 'columns: models', which this one is not" in refused


def test_pages_of_what_is_done_so_far(cli: Cli, tmp_path: Path, finished: dict[str, dict]) -> None:
    """None of nothing; of a model without a horizon, marks of the others."""
    kept = dict(list(finished.items())[:5])  # all of ILI but one horizon of one model
    finished.clear()
    given = ("--output", tmp_path / "out", "--pages", tmp_path / "pages")
    cli("benchmark", tmp_path / "s.yaml", *given, status=1)
    assert not (tmp_path / "pages").exists()
    finished.update(kept)
    cli("benchmark", tmp_path / "s.yaml", *given, status=1)
    assert [each.name for each in sorted((tmp_path / "pages").iterdir())] == ["ili.md", "ili.svg"]
    assert "<!-- 20 % -->" in (tmp_path / "pages" / "ili.svg").read_text()  # the axis has its ticks


def test_a_benchmark_divided_over_stores_is_joined_in_a_file(
    cli: Cli, tmp_path: Path, finished: dict[str, dict]
) -> None:
    """The tables are those of one store with all cells, whichever part was run first."""
    path, whole = tmp_path / "s.yaml", dict(finished)
    for place, run in enumerate(whole.values()):
        run["metrics"]["test/mse"] = (1 + place) / 3  # read as it was written
    cli("benchmark", path, "--output", tmp_path / "one")
    table, text = ((tmp_path / "one" / name).read_bytes() for name in ("s.csv", "s.md"))
    for first in (whole.items(), reversed(whole.items())):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        given = ("--output", tmp_path / "parts", "--results", file)
        part = dict(list(first)[:11])
        finished.clear()
        finished.update(part)
        half = cli("benchmark", path, *given, status=1)
        assert "11 of 27 cells done" in half.stdout
        rest = {key: run for key, run in whole.items() if key not in part}
        finished.clear()
        finished.update(rest)
        joined = cli("benchmark", path, *given)  # nothing is missing, so nothing is run
        assert "27 of 27 cells done" in joined.stdout
        finished.clear()
        assert "27 of 27 cells done" in cli("benchmark", path, *given).stdout
        assert file.read_bytes() == table
        assert (tmp_path / "parts" / "s.csv").read_bytes() == table
        assert (tmp_path / "parts" / "s.md").read_bytes() == text
    cli("benchmark", path, *given[:2], status=1)  # without the file there is none of it
    assert "Nothing has been run yet" in (tmp_path / "parts" / "s.md").read_text()


def test_results_of_other_settings_and_metrics_are_kept_and_not_shown(
    cli: Cli, tmp_path: Path, finished: dict[str, dict]
) -> None:
    path, file = tmp_path / "s.yaml", tmp_path / "r.csv"
    given = ("--output", tmp_path, "--results", file)
    cli("benchmark", path, *given)
    before = file.read_text()
    had = dict(finished)
    finished.clear()
    path.write_text(PLACES.replace("windows: null}", "windows: null, trainer.batch_size: 16}"))
    cli("benchmark", path, *given, status=1)
    assert "Nothing has been run yet" in (tmp_path / "s.md").read_text()
    assert file.read_text() == before
    # a figure that the file does not have
    path.write_text(PLACES.replace("mae, published", "mae, rmse, published"))
    cli("benchmark", path, *given, status=1)
    assert "Nothing has been run yet" in (tmp_path / "s.md").read_text()
    assert file.read_text() == before
    # another run that has it, beside the first
    first = next(iter(had))
    metrics = {**had[first]["metrics"], "test/rmse": 7.0}
    finished[first] = {**had[first], "run_id": "later", "metrics": metrics}
    assert "1 of 27 cells done" in cli("benchmark", path, *given, status=1).stdout
    both = pd.read_csv(file)
    assert len(both) == 28
    assert both["rmse"].dropna().tolist() == [7.0]
    # of the suite with less, the first that has all it asks for
    finished.clear()
    path.write_text(PLACES)
    assert "27 of 27 cells done" in cli("benchmark", path, *given).stdout
    assert len(pd.read_csv(file)) == 28
    lines = before.splitlines(keepends=True)
    file.write_text("".join(lines[:1] + lines[3:]))
    cut = cli("benchmark", path, *given, status=1)
    assert "25 of 27 cells done" in cut.stdout


def test_a_blank_figure_is_none(cli: Cli, tmp_path: Path, finished: dict[str, dict]) -> None:
    file, first = tmp_path / "r.csv", next(iter(finished))
    given = (tmp_path / "s.yaml", "--output", tmp_path, "--results", file)
    cli("benchmark", *given)
    frame = pd.read_csv(file)
    finished.clear()
    frame.loc[frame["cell"] == first, "mae"] = np.nan
    frame.to_csv(file, index=False)
    assert "26 of 27 cells done" in cli("benchmark", *given, status=1).stdout


def test_nothing_finished_leaves_no_file(
    cli: Cli, tmp_path: Path, finished: dict[str, dict]
) -> None:
    finished.clear()
    given = (tmp_path / "s.yaml", "--output", tmp_path, "--results", tmp_path / "new" / "r.csv")
    for _ in range(2):
        cli("benchmark", *given, status=1)
        assert list((tmp_path / "new").glob("*.csv")) == []


def test_rows_that_another_process_adds_meanwhile_are_kept(
    cli: Cli, tmp_path: Path, finished: dict[str, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "s.yaml", tmp_path / "r.csv"
    given = ("--output", tmp_path, "--results", file)
    whole = dict(finished)
    half = list(whole)[:13]
    finished.clear()

    def other(*given: object) -> list[str]:
        suite = find_suite(str(path))[1]
        rows = [
            row
            for cell in lay_out(suite, CellFilter())
            if cell.key in half
            for row in _rows(suite, cell, whole[cell.key])
        ]
        add_results(file, rows)
        finished.update({key: run for key, run in whole.items() if key not in half})
        return []

    monkeypatch.setattr("forecaster.workflows.benchmark._run_all", other)
    assert "27 of 27 cells done" in cli("benchmark", path, *given).stdout
    assert sorted(pd.read_csv(file)["cell"]) == sorted(whole)


def test_a_failed_cell_of_a_file_is_shown_and_run_again(
    cli: Cli, tmp_path: Path, finished: dict[str, dict]
) -> None:
    path, file = tmp_path / "s.yaml", tmp_path / "r.csv"
    given = ("--output", tmp_path, "--results", file)
    first = next(iter(finished))
    run = finished[first]
    finished[first] = {**run, "status": "FAILED", "tags": {**run["tags"], "reason": "too short"}}
    cli("benchmark", path, *given, status=1)
    finished.clear()
    failed = cli("benchmark", path, *given, status=1)
    assert "26 of 27 cells done" in failed.stdout
    assert ": too short\n" in failed.stdout
    finished[first] = run
    done = cli("benchmark", path, *given)
    assert "27 of 27 cells done" in done.stdout
    assert "too short" not in file.read_text()


@pytest.mark.usefixtures("finished")
def test_what_is_no_table_of_a_benchmark_is_refused_as_results(cli: Cli, tmp_path: Path) -> None:
    remedy = "name the CSV that a benchmark wrote, or a new file"
    for content, reason in (
        ("mse,mae\n1,2\n", "it has no column 'cell'"),
        ("cell,mse\nabc,x\n", "row 1: could not convert string to float: 'x'"),
        ("cell,horizon\nabc,24\nabc,7.5\n", "row 2: invalid literal for int() with base 10"),
        ("cell,mse\nabc,1,2\n", "row 1: 3 cells below 2 columns"),
        ("cell,mse\nabc\n", "row 1: 1 cells below 2 columns"),
        ('cell,mse\n"abc,1\n', "unexpected end of data"),
        ("", "it has no column 'cell'"),
    ):
        file = tmp_path / "r.csv"
        file.write_text(content)
        refused = cli("benchmark", tmp_path / "s.yaml", "--results", file, status=1).stderr
        assert f"--results {file}: no table of a benchmark: {reason}" in refused
        assert refused.endswith(f"; {remedy}\n")
        assert file.read_text() == content
    refused = cli("benchmark", tmp_path / "s.yaml", "--results", tmp_path, status=1).stderr
    assert f"--results {tmp_path}: no table of a benchmark" in refused


def test_results_in_steps_are_those_of_the_scoring(tmp_path: Path) -> None:
    """Of a cell scored in two numbers of steps both rows, or none."""
    path, file = tmp_path / "t.yaml", tmp_path / "r.csv"
    path.write_text(SUITE.replace("metrics:", "steps: [1, 5]\ns: [0.5, 1]\nmetrics:"))
    suite = find_suite(str(path))[1]
    cells = lay_out(suite, CellFilter())
    rows = [
        {"data": "d", "horizon": 7, "model": "m", "seed": 0, "s": s, "steps": steps}
        | dict.fromkeys(suite.metrics, s + steps)
        | {"cell": cells[0].key, "scoring": suite.scoring}
        for s, steps in suite.walks
    ]
    add_results(file, rows)
    found = elsewhere(file, suite, cells)
    assert found.has(cells[0])
    assert not found.has(cells[1])
    assert [(row["s"], row["steps"]) for row in found.rows[cells[0].key]] == suite.walks
    assert [row[suite.metrics[0]] for row in found.rows[cells[0].key]] == [1.5, 5.5, 2, 6]
    assert {row["model"] for row in found.rows[cells[0].key]} == {cells[0].model}
    other = suite.model_copy(update={"score_windows": 7})
    assert not elsewhere(file, other, cells).has(cells[0])
    add_results(file, [row | {"scoring": other.scoring, "mse": 9} for row in rows])
    assert elsewhere(file, suite, cells).rows == found.rows
    assert {row["mse"] for row in elsewhere(file, other, cells).rows[cells[0].key]} == {9}
    add_results(tmp_path / "part.csv", rows[:3])
    assert not elsewhere(tmp_path / "part.csv", suite, cells).rows
    assert elsewhere(None, suite, cells).rows == {}


def test_figures_of_published_windows_need_all_windows_of_a_named_data_set(tmp_path: Path) -> None:
    path = of_models(tmp_path)
    for change in (
        ("trainer.point_windows: null", "trainer.point_windows: 64"),
        ("data: {ili: {horizons: [24, 36]},", f"data: {{ili: {{csv: {SAMPLE}, horizons: [7]}},"),
    ):
        path.write_text(PLACES.replace(*change))
        with pytest.raises(UserError, match="metric 'published/mse' of the suite, model 'seasonal"):
            lay_out(find_suite(str(path))[1], CellFilter())


def test_a_plan_never_learns_from_what_it_forecasts() -> None:
    plan = Plan(origins=5, stride=7, refit_every=2)
    assert list(plan.blocks()) == [(0, 1), (2, 3), (4, 4)]
    borders = [plan.borders(200, 14, block) for block in plan.blocks()]
    assert borders == [Borders(143, 158, 179), Borders(155, 172, 193), Borders(168, 186, 200)]
    last = [border.test - 14 for border in borders]  # the first target of each block's last origin
    assert last == [200 - 14 - 7 * k for k in (3, 1, 0)]


def test_backtest_ranks_models_beside_seasonal_naive(cli: Cli, write, tmp_path: Path) -> None:
    """A trend that a linear layer carries on and seasonal naive does not; noise that nothing tells
    apart.
    """
    generator = np.random.default_rng(0)
    stamps = pd.date_range("2024-01-01", periods=400, freq="D").strftime("%Y-%m-%d")
    values = 0.5 * np.arange(400) + generator.normal(size=400)
    path = write(
        "day,sales\n" + "".join(f"{s},{v:.3f}\n" for s, v in zip(stamps, values, strict=True))
    )
    common = (
        "--horizon",
        7,
        "--lookback",
        21,
        "--seasons",
        7,
        "--origins",
        8,
        "--refit-every",
        4,
        "--set",
        "trainer.learning_rate=0.01",
    )
    output = tmp_path / "errors.csv"
    done = cli(
        "backtest", "--csv", path, "--model", "nlinear", "--output", output, *common, "--json"
    )
    assert "NaN" not in done.stdout
    found = json.loads(done.stdout)
    assert [r["model"] for r in found["ranking"]] == ["nlinear", "seasonal-naive"]
    # seasonal naive's errors are the same trend everywhere: half its samples go the wrong way
    assert all(0.6 < r["coverage"] <= 1 for r in found["ranking"])
    [comparison] = found["comparisons"]
    assert comparison["low"] > 0
    assert comparison["p"] < 0.01
    assert comparison["sentence"].startswith("nlinear is better than seasonal-naive by ")
    assert comparison["sentence"].endswith(" %) in CRPS")
    assert found["origins"][0] == "2024-12-10"
    assert found["origins"][-1] == stamps[-7]
    frame = pd.read_csv(output)
    assert frame.groupby("model")["crps"].mean().to_dict() == pytest.approx(
        {r["model"]: r["crps"] for r in found["ranking"]}
    )
    # seasonal naive by hand, at the last origin, in standard deviations of the rows it was scaled
    # by
    plan = Plan(8, 7, 4)
    border = plan.borders(400, 7, (4, 7))
    by_hand = (
        np.abs(values[-7:].round(3) - values[-14:-7].round(3)).mean() / values[: border.train].std()
    )
    assert frame[frame["model"] == "seasonal-naive"]["mae"].iloc[-1] == pytest.approx(
        by_hand, rel=1e-4
    )


def test_backtest_refuses_models_that_cannot_be_told_apart_or_compared(cli: Cli, write) -> None:
    path = write("t,a\n2024-01-01,1\n2024-01-02,2\n")
    mine = write("model: {name: linear}\ndata: {horizon: 7}\n", "nlinear.yaml")
    asked = ("backtest", "--csv", path, "--model", "nlinear", "--model", mine)
    assert f"--model {mine}: another model is called 'nlinear'" in cli(*asked, status=1).stderr
    other = mine.rename(mine.with_name("other.yaml"))
    refused = cli("backtest", "--csv", path, "--model", "nlinear", "--model", other, status=1)
    assert "--model: their horizons differ (1, 7); give one with --horizon" in refused.stderr


def test_backtest_leaves_out_origins_without_a_value(cli: Cli, write, tmp_path: Path) -> None:
    """The fortnight before the last week is blank: of four origins a week apart two can be scored,
    by intervals and by points.
    """
    stamps = pd.date_range("2023-01-01", periods=200, freq="D").strftime("%Y-%m-%d")
    noise = np.random.default_rng(0).normal(size=200)
    rows = (f"{s},{'' if 179 <= i < 193 else i % 7 + noise[i]}\n" for i, s in enumerate(stamps))
    path = write("day,sales\n" + "".join(rows))
    common = (
        "--horizon",
        7,
        "--lookback",
        28,
        "--origins",
        4,
        "--refit-every",
        1,
        "--set",
        "trainer.max_epochs=2",
    )
    formula, output = write("model: {name: seasonal-naive}\n", "=1+1.yaml"), tmp_path / "errors.csv"
    models = ("--model", "quantile-linear", "--model", formula)
    done = cli("backtest", "--csv", path, *models, "--output", output, *common, "--json")
    assert "2 origin(s) have no value to score: left out" in done.stderr
    assert {line.split(",")[0] for line in output.read_text().splitlines()[1:]} == {
        "quantile-linear",
        "'=1+1",
        "seasonal-naive",
    }
    made = json.loads(done.stdout)
    refused = cli("report", made["run_id"], "--output", tmp_path / "r.html", status=1)
    assert f"run {made['run_id']} is a backtest: a report is about trainings" in refused.stderr
    found = {r["model"]: r for r in made["ranking"]}
    assert 0 < found["quantile-linear"]["coverage"] <= 1
    assert found["quantile-linear"]["crps"] == found["quantile-linear"]["crps"]


def test_backtest_of_series_that_end_apart(cli: Cli, write) -> None:
    """One origin a time, that of the series that goes on longest; and a season to read for the
    baseline.
    """
    rows = [
        f"{day:%Y-%m-%d},{item},{7 * i + day.dayofweek}"
        for item, length in (("a", 100), ("b", 90))
        for i, day in enumerate(pd.date_range("2023-01-01", periods=length))
    ]
    path = write("day,item,sales\n" + "\n".join(rows) + "\n")
    common = (
        "--horizon",
        2,
        "--lookback",
        3,
        "--origins",
        3,
        "--set",
        "trainer.max_epochs=1",
        "--json",
    )
    done = cli("backtest", "--csv", path, "--item-id", "item", "--model", "nlinear", *common)
    assert (
        "the series do not end together: an origin is counted back from each one's own end"
        in done.stderr
    )
    found = json.loads(done.stdout)
    assert found["origins"] == ["2023-04-05", "2023-04-07", "2023-04-09"]
    naive = next(r for r in found["ranking"] if r["model"] == "seasonal-naive")
    assert naive["mae"] > 0


def test_backtest_says_when_the_file_is_too_short(cli: Cli, write) -> None:
    stamps = pd.date_range("2024-01-01", periods=60, freq="D").strftime("%Y-%m-%d")
    path = write("day,sales\n" + "".join(f"{s},{i % 7}\n" for i, s in enumerate(stamps)))
    refused = cli(
        "backtest", "--csv", path, "--model", "nlinear", "--horizon", 7, "--lookback", 21, status=1
    )
    assert refused.stderr.splitlines()[-1] == (
        f"error: {path}: 60 rows; 4 origins 7 steps apart leave 25 to learn from before the first, 28 are needed "
        "(lookback + horizon); give fewer --origins, a smaller --stride, --horizon or --lookback"
    )


def test_a_benchmark_is_suspended_at_its_limit_and_goes_on(
    new_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "both.yaml"
    suite.write_text(SUITE)
    options = BenchmarkOptions(str(suite), CellFilter(models=("residual",)), new_limit(3))
    found = benchmark(options)
    assert (found.done, found.cells, found.failures) == (0, 1, [])
    assert (
        "time limit of 3 s: suspended; 1 cell(s) left for the next call" in capsys.readouterr().err
    )
    (checkpoint,) = new_home.glob("checkpoints/*/stage0/last.ckpt")
    assert benchmark(replace(options, limit=new_limit(0))).done == 0
    assert "the time is up: 1 cell(s) left for the next call" in capsys.readouterr().err
    assert checkpoint.exists()
    assert benchmark(replace(options, limit=None)).done == 1
    assert not checkpoint.exists()


def test_a_backtest_says_for_which_models_no_time_was_left(cli: Cli, tmp_path: Path) -> None:
    command = ["backtest", "--csv", SAMPLE, "--model", "nlinear", "--horizon", 7, "--lookback", 14]
    command += ["--origins", 3, "--target", "wind", "--time-limit", "0.0001s"]
    done = cli(*command)
    assert (
        "nlinear: no time was left for training 1 of 1; it is missing, give a longer --time-limit"
        in done.stderr
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["nlinear", *"––––"] in rows
    assert rows[1][0] == "seasonal-naive"
    assert json.loads(cli(*command, "--json").stdout)["missing"] == ["nlinear"]


def test_the_models_of_a_backtest_share_its_time() -> None:
    limit = Limit(60, 60, float)  # a clock that stands at 0
    shares = [_share(limit, model, left) for model, left in (("a", 3), ("b", 2), (BASELINE, 1))]
    assert [share and share.left() for share in shares] == [30, 60, None]
    assert _share(None, "a", 3) is None
