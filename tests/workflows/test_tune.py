"""Tuning through the command line: it sees validation only, goes on where it stopped, and writes a
configuration that trains.
"""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import SAMPLE, Cli
from training.test_fit_limit import new_limit

from forecaster.config.load import find_config, load_config
from forecaster.errors import UserError
from forecaster.workflows.tune import Range, TuneOptions, default_space, parse_range, tune

COMMON = (
    "tune",
    "nlinear",
    "--csv",
    SAMPLE,
    "--horizon",
    7,
    "--lookback",
    14,
    "--set",
    "trainer.max_epochs=2",
    "--json",
)
SPACE = (
    "--space",
    "trainer.learning_rate=1e-5..1e-1:log",
    "--space",
    "trainer.batch_size=32|128",
    "--space",
    "model.loss=l1|mse",
)


@pytest.mark.slow
def test_a_study_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole, parted = Cli(tmp_path / "whole"), Cli(tmp_path / "parted")
    output = tmp_path / "tuned.yaml"
    at_once = json.loads(whole(*COMMON, *SPACE, "--trials", 6, "--output", output).stdout)
    parted(*COMMON, *SPACE, "--trials", 3, "--output", tmp_path / "first.yaml")
    done = parted(*COMMON, *SPACE, "--trials", 6, "--output", tmp_path / "second.yaml")
    assert done.stderr.count("of 6: trainer.learning_rate=") == 3
    later = json.loads(done.stdout)
    for key in ("trial", "settings", "val/mae", "complete", "pruned"):
        assert later[key] == at_once[key]
    assert at_once["complete"] + at_once["pruned"] == 6
    with sqlite3.connect(tmp_path / "whole" / "mlflow.db") as store:
        names = {name for (name,) in store.execute("select key from metrics")}
        children = store.execute(
            "select count(*) from tags where key = 'mlflow.parentRunId'"
        ).fetchone()
    assert "val/mae" in names
    assert not [name for name in names if name.startswith("test/")]
    assert children == (6,)
    tuned = load_config(output)
    assert tuned.trainer.learning_rate == at_once["settings"]["trainer.learning_rate"]
    assert tuned.model.loss == at_once["settings"]["model.loss"]
    trained = json.loads(whole("train", output, "--json").stdout)
    assert trained["metrics"]["val/mae"] == pytest.approx(at_once["val/mae"])


def test_a_trial_that_fails_is_counted_as_such(cli: Cli, tmp_path: Path) -> None:
    space = ("--space", "trainer.learning_rate=0.001|1e30")
    done = cli(*COMMON, *space, "--trials", 4, "--output", tmp_path / "tuned.yaml")
    found = json.loads(done.stdout)
    assert found["settings"] == {"trainer.learning_rate": 0.001}
    assert found["failed"] == done.stderr.count("failed: training diverged") > 0
    assert found["complete"] + found["pruned"] + found["failed"] == 4


@pytest.mark.slow
def test_only_trials_whose_losses_compare_are_ended_early(cli: Cli, tmp_path: Path) -> None:
    rates = (
        "--space",
        "trainer.learning_rate=1e-8..1e-2:log",
        "--trials",
        9,
        "--output",
        tmp_path / "tuned.yaml",
    )
    assert json.loads(cli(*COMMON, *rates).stdout)["pruned"] > 0
    found = json.loads(cli(*COMMON, *rates, "--space", "model.loss=l1|mse").stdout)
    assert (found["complete"], found["pruned"]) == (9, 0)


def test_validation_without_a_value_is_refused_before_the_first_trial(
    cli: Cli, write, tmp_path: Path
) -> None:
    """Of 300 days those of the validation part, 210 to 240, are blank."""
    rows = [
        f"{day:%Y-%m-%d},{'' if 200 <= i < 250 else i % 7}"
        for i, day in enumerate(pd.date_range("2023-01-01", periods=300))
    ]
    path = write("day,sales\n" + "\n".join(rows) + "\n")
    asked = (
        "tune",
        "nlinear",
        "--csv",
        path,
        "--horizon",
        7,
        "--lookback",
        14,
        "--trials",
        2,
        "--output",
        tmp_path / "t.yaml",
    )
    refused = cli(*asked, status=1)
    assert refused.stderr.splitlines()[-1].endswith(
        "the validation rows hold no value to score trials on; see check"
    )
    assert "trial 1" not in refused.stderr


def test_ranges_are_read() -> None:
    assert parse_range("trainer.learning_rate=1e-5..1e-2:log") == Range(
        "trainer.learning_rate", 1e-5, 1e-2, True
    )
    assert parse_range("model.network.layers=1..4") == Range("model.network.layers", 1, 4)
    assert parse_range("model.network.dropout=0..0.5").high == 0.5
    assert parse_range("model.norm=last|standard|{a: 1}").choices == ("last", "standard", {"a": 1})
    for text in (
        "model.norm",
        "=1..2",
        "k=2..1",
        "k=0..1:log",
        "k=1..2:exp",
        "k=a..b",
        "k=2024-01-01|1",
    ):
        with pytest.raises(UserError, match="--space"):
            parse_range(text)


def test_default_spaces_hold_what_the_configuration_has() -> None:
    keys = {space.key for space in default_space(load_config(find_config("s2dbm")))}
    assert keys >= {
        "trainer.learning_rate",
        "trainer.stage_learning_rate",
        "model.network.width",
        "model.network.dropout",
    }
    assert {space.key for space in default_space(load_config(find_config("nlinear")))} == {
        "trainer.learning_rate",
        "trainer.batch_size",
    }


def test_what_cannot_be_searched_is_refused(cli: Cli, tmp_path: Path) -> None:
    refused = cli(*COMMON, "--space", "model.width=1..4", "--output", tmp_path / "x.yaml", status=1)
    assert "error: --space: no configuration key 'model.width'" in refused.stderr
    refused = cli(*COMMON, "--space", "data.horizon=3|9", "--output", tmp_path / "x.yaml", status=1)
    assert "error: --space data.horizon: trials on other data do not compare" in refused.stderr
    refused = cli(*COMMON, "--metric", "crps", "--output", tmp_path / "x.yaml", status=1)
    assert refused.stderr.endswith("its errors on validation; choose mse or mae\n")
    naive = ("tune", "seasonal-naive", *COMMON[2:], "--output", tmp_path / "x.yaml")
    refused = cli(*naive, status=1)
    assert (
        "this model has no weights to train, so trainer.learning_rate has no effect; search its own keys"
        in refused.stderr
    )
    twice = ("--space", "model.loss=l1", "--space", "model.loss=mse")
    refused = cli(*COMMON, *twice, "--output", tmp_path / "x.yaml", status=1)
    assert "--space model.loss: given twice; give it once, with all of its values" in refused.stderr
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.slow
def test_a_study_is_searched_by_one_process_at_a_time(cli: Cli, tmp_path: Path) -> None:
    asked = (
        *COMMON,
        "--set",
        "trainer.max_epochs=500",
        "--set",
        "trainer.patience=500",
        "--space",
        "trainer.batch_size=32|64",
        "--trials",
        1,
    )
    with cli.start(*asked, "--output", tmp_path / "x.yaml") as first:
        assert any(line.startswith("trial 1 of 1: ") for line in first.stderr)
        refused = cli(*asked, "--output", tmp_path / "y.yaml", status=1)
        first.kill()
    assert refused.stderr.endswith(
        "error: another process is searching this configuration, data and space; wait for its end\n"
    )


@pytest.mark.slow
def test_a_trial_that_the_time_limit_cuts_is_used_only_for_want_of_another(
    new_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is repeated by the next call."""
    overrides = {"data.csv": str(SAMPLE), "data.horizon": 7, "data.lookback": 14}
    config = load_config(find_config("nlinear"), ["trainer.max_epochs=2"], overrides)
    space = (parse_range("trainer.learning_rate=0.001|0.002"),)
    output = tmp_path / "tuned.yaml"
    options = TuneOptions(config, "nlinear", space, "mae", 1, new_limit(6), output, "tuning")
    cut = tune(options)
    assert (cut.number, cut.complete, cut.pruned, cut.failed) == (1, 0, 0, 0)
    assert load_config(output).trainer.learning_rate == cut.settings["trainer.learning_rate"]
    told = capsys.readouterr().err
    assert f"trial 1: val/mae {cut.value:.5g}, cut by the time limit; the next call repeats" in told
    assert "time limit: 1 trial(s) left for the next call" in told
    whole = tune(replace(options, limit=new_limit(10**6)))
    assert (whole.number, whole.complete, whole.settings) == (1, 1, cut.settings)
    assert whole.value < cut.value
    none = replace(options, name="other", trials=2, limit=new_limit(0))
    assert tune(none).value == whole.value  # nothing was begun
