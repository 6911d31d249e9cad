"""Every night: trained again on a file that has grown, compared on rows that neither model has
seen, and promoted or kept.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from conftest import SAMPLE
from serving.test_serving import inside, train

from forecaster.errors import UserError
from forecaster.inference.inputs import read_input
from forecaster.inference.locate import find_model
from forecaster.inference.saved_model import load_model
from forecaster.tracking import references
from forecaster.tracking import store as place
from forecaster.workflows.contest import contest
from forecaster.workflows.promote import changes_between
from forecaster.workflows.retrain import RetrainOptions, registered_as

NAMES = ("the new model", "the present one")
ROWS = pd.read_csv(SAMPLE)[["date", "temp_max", "wind"]]
SMALL = ["--horizon", 7, "--lookback", 28, "--accelerator", "cpu", "--set", "trainer.max_epochs=2"]
# weights that two epochs hardly change: those of the start
UNTRAINED = ["--set", "trainer.learning_rate=1e-12"]
LAST_VALUE = ["--set", "model={name: seasonal-naive, season: 1}"]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with 'good' and 'bad', one version each in service, of 1,200 rows; and later files."""
    home = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        for name in ("models", "checkpoints"):
            patch.setattr(place, name.upper(), home / name)
        patch.setattr(place, "HOME", home)
        for rows in (1200, 1201, 1300):
            ROWS.head(rows).to_csv(home / f"{rows}.csv", index=False)
        (home / "broken.csv").write_text("date,temp_max,wind\n2012-01-01,abc,\n")
        for name, more in (("good", []), ("bad", LAST_VALUE)):
            train("nlinear", "--csv", home / "1200.csv", *SMALL, *more, "--register", name)
            inside("models", "promote", name, 1)
        yield home


def retrain(name: str, csv: Path, *args: object, status: int) -> dict[str, Any]:
    done = inside(
        "retrain", f"models:/{name}@champion", "--csv", csv, *args, "--json", status=status
    )
    return json.loads(done.stdout)


def test_a_row_more_makes_no_better_model_and_the_champion_stays(nights: Path) -> None:
    done = retrain("good", nights / "1201.csv", "--promote-if-better", status=3)
    assert (done["promoted"], done["version"], done["champion"]) == (False, 2, "models:/good/1")
    assert done["reason"].startswith("the new model and the present one cannot be told apart (")
    assert references.aliases_of("good").get("champion") == 1
    found = done["comparison"]
    assert found["low"] < 0 < found["high"]
    # the first row that neither held-out model has learnt from
    first = load_model(Path(done["model_dir"])).scored().until()[""] + pd.Timedelta("1D")
    assert found["first"] == str(first.date())
    run = place.connect().get_run(done["run_id"])
    assert run.data.tags["warm_start"] == "True"
    assert run.data.tags["promotion"] == f"kept: {done['reason']}"


def test_a_better_one_goes_into_service_and_is_kept_the_next_night(nights: Path) -> None:
    learning = ("--set", "trainer.learning_rate=0.005", "--set", "model={name: linear}")
    done = retrain("bad", nights / "1201.csv", "--promote-if-better", *learning, status=0)
    assert (done["promoted"], references.aliases_of("bad").get("champion")) == (True, 2)
    assert done["comparison"]["low"] > 0
    worse = ("--promote-if-better", *LAST_VALUE)
    kept = retrain("bad", nights / "1300.csv", *worse, status=3)
    assert (kept["promoted"], references.aliases_of("bad").get("champion")) == (False, 2)
    assert kept["comparison"]["high"] < 0
    assert "the new model is worse than the present one by" in kept["reason"]
    refused = inside("models", "promote", "bad", 3, status=1).stderr
    assert refused.startswith("error: version 3 is worse than version 2 by ")
    assert references.aliases_of("bad").get("champion") == 2
    remedy = inside("models", "promote", "bad", 3, "--force")
    assert remedy.stdout == "models:/bad@champion  version 3, before: version 2 (not compared)\n"
    assert "version 2 is better than version 3" in inside("models", "promote", "bad", 2).stdout


def test_a_file_without_a_new_row_trains_nothing(nights: Path) -> None:
    done = retrain("good", nights / "1200.csv", "--promote-if-better", status=3)
    assert (done["promoted"], done["run_id"]) == (False, None)
    assert done["reason"] == (
        f"{nights / '1200.csv'} has no row after 2015-04-14, the last that models:/good/1 has "
        "learnt from"
    )
    same = ("--accelerator", "cpu", "--horizon", 7)  # as they were
    without = inside("retrain", "models:/good@champion", "--csv", nights / "1200.csv", *same)
    assert without.stdout.startswith(f"{nights / '1200.csv'} has no row after 2015-04-14, ")


def test_a_corrupt_file_leaves_the_champion(nights: Path) -> None:
    before = references.aliases_of("good").get("champion")
    refused = inside(
        *("retrain", "models:/good@champion", "--csv", nights / "broken.csv"),
        "--promote-if-better",
        status=1,
    )
    assert refused.stderr.startswith(f"error: {nights / 'broken.csv'}")
    assert refused.stderr.count("\n") == 1
    assert references.aliases_of("good").get("champion") == before


@pytest.mark.slow
def test_readers_are_told_of_another_horizon_before_it_is_in_service(nights: Path) -> None:
    before = references.aliases_of("good").get("champion")
    asked = ("--promote-if-better", "--horizon", 9)
    kept = retrain("good", nights / "1300.csv", *asked, status=3)
    change = "the horizon is 9 in place of 7 steps"
    assert kept["changes"] == [change]
    assert kept["comparison"]["leads"] == 7
    told = f"the forecasts change for their readers ({change}); the new model and the present one "
    assert kept["reason"].startswith(told)
    common = ", on the first 7 steps that both forecast; once they know, promote it with: "
    _, found, command = kept["reason"].partition(common)
    assert (found, command) == (common, f"models promote good {kept['version']}")
    done = inside(*command.split())
    assert done.stderr == f"note: for readers of the forecasts: {change}\n"
    assert references.aliases_of("good").get("champion") == kept["version"]
    inside("models", "promote", "good", before, "--force")


@pytest.mark.slow
def test_other_columns_are_promoted_by_force_alone(nights: Path) -> None:
    before = references.aliases_of("good").get("champion")
    renamed = ROWS.rename(columns={"wind": "wind speed"})
    renamed.to_csv(nights / "renamed.csv", index=False)
    kept = retrain("good", nights / "renamed.csv", "--promote-if-better", status=3)
    changes = "column 'wind' is no longer there; column 'wind speed' is new"
    version = kept["version"]
    assert kept["reason"] == (
        f"the forecasts change for their readers ({changes}); not compared: their columns differ, "
        "so that their errors are of other forecasts; once they know, promote it with: models "
        f"promote good {version} --force"
    )
    refused = inside("models", "promote", "good", version, status=1).stderr.splitlines()
    assert refused[:2] == [
        f"note: for readers of the forecasts: {each}" for each in changes.split("; ")
    ]
    assert refused[2].startswith(
        f"error: version {version} of 'good' was not compared with version {before}, the present "
        "champion (their columns differ, so that their errors are of other forecasts); give "
        "--force to promote it all the same"
    )
    done = inside("models", "promote", "good", version, "--force", "--json")
    assert json.loads(done.stdout)["changes"] == changes.split("; ")
    inside("models", "promote", "good", before, "--force")


@pytest.mark.slow
def test_what_is_not_registered_cannot_be_promoted(nights: Path) -> None:
    folder = str(find_model(str(references.find_version("models:/good/1").run_id)))
    args = ("retrain", folder, "--csv", nights / "1300.csv", "--promote-if-better")
    refused = inside(*args, status=1).stderr
    assert refused == (
        f"error: --promote-if-better: {folder} is not registered, so that nothing can follow its "
        "alias; give models:/NAME@ALIAS, or --register NAME\n"
    )
    done = json.loads(inside(*args, "--register", "first", "--json").stdout)
    assert (done["promoted"], done["reason"]) == (True, "no version was in service")
    assert references.aliases_of("first").get("champion") == 1


@pytest.mark.parametrize(
    ("reference", "name", "alias"),
    [
        ("models:/sales", "sales", "champion"),
        ("models:/sales/3", "sales", "champion"),
        ("models:/sales/latest", "sales", "champion"),
        ("models:/sales@nightly", "sales", "nightly"),
        ("models:/m-" + 8 * "0af1", None, "champion"),
        ("runs:/0af1/model", None, "champion"),
        ("latest", None, "champion"),
    ],
)
def test_what_a_reference_is_registered_as(reference: str, name: str | None, alias: str) -> None:
    assert registered_as(RetrainOptions(reference, Path("a.csv"))) == (name, alias)
    asked = RetrainOptions(reference, Path("a.csv"), register="other", alias="best")
    assert registered_as(asked) == ("other", "best")


def test_held_out_and_saved_model_begin_with_the_earlier_held_out_weights(nights: Path) -> None:
    """With a learning rate of nothing both end where they began."""
    first = Path(place.connect().artifacts.download_artifacts(artifact_uri="models:/good/1"))
    earlier = safetensors.torch.load_file(
        first / "artifacts" / "saved" / "held_out" / "weights.safetensors"
    )
    given = ("retrain", "models:/good/1", "--csv", nights / "1300.csv", *UNTRAINED, "--json")
    folder = Path(json.loads(inside(*given).stdout)["model_dir"])
    for part in ("held_out", "."):
        weights = safetensors.torch.load_file(folder / part / "weights.safetensors")
        for name, value in weights.items():
            torch.testing.assert_close(value, earlier[name], rtol=0, atol=1e-6)


def test_a_model_that_saw_what_is_held_out_now_is_no_start(nights: Path) -> None:
    given = ("retrain", "models:/good/1", "--csv", nights / "short.csv", "--set", "trainer.seed=3")
    ROWS.head(1100).to_csv(nights / "short.csv", index=False)
    told = inside(*given).stderr
    assert (
        "note: no warm start: the earlier model has learnt from rows that are held out here" in told
    )


@pytest.mark.slow
def test_other_weights_are_no_start(nights: Path) -> None:
    given = ("retrain", "models:/good/1", "--csv", nights / "1300.csv", "--lookback", 35)
    assert "note: no warm start: the earlier model has other weights" in inside(*given).stderr


WEEK = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 7.0])


@pytest.mark.slow
def test_the_batches_of_a_wide_table_stay_as_they_were(nights: Path) -> None:
    """Those that were asked for in the training."""
    wide = pd.concat({f"c{k}": ROWS["temp_max"] + k for k in range(65)}, axis=1)
    wide.insert(0, "date", ROWS["date"])
    for rows in (200, 220):
        wide.head(rows).to_csv(nights / f"wide{rows}.csv", index=False)
    own = [*SMALL, "--set", "trainer.batch_size=40"]
    train("nlinear", "--csv", nights / "wide200.csv", *own, "--register", "wide")
    inside("models", "promote", "wide", 1)
    again = retrain("wide", nights / "wide220.csv", status=0)
    assert load_model(Path(again["model_dir"])).config.trainer.batch_size == 40


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, Path]:
    """A week that repeats without noise, beside one a thousand times as large with noise; models
    that repeat the last week, the last day, and the last week with the columns the other way round.
    """
    folder = tmp_path_factory.mktemp("weekly")
    values = np.tile(WEEK, 60)
    noise = np.random.default_rng(0).normal(0, 500, len(values))
    stamps = pd.date_range("2024-01-01", periods=len(values))
    frame = pd.DataFrame({"date": stamps, "a": values, "b": 1000 * values + noise})
    path = folder / "weekly.csv"
    frame.to_csv(path, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        for name in ("models", "checkpoints"):
            patch.setattr(place, name.upper(), folder / name)
        patch.setattr(place, "HOME", folder)
        given = ("seasonal-naive", "--csv", path, "--horizon", 7, "--lookback", 14)
        made = [
            Path(train(*given, "--set", f"model.season={season}", "--target", names)["model_dir"])
            for season, names in ((7, "a,b"), (1, "a,b"), (7, "b,a"))
        ]
    return path, *made


def test_the_loss_is_on_one_scale_whatever_the_order_of_columns(
    weekly: tuple[Path, Path, Path, Path],
) -> None:
    path, week, day, turned = weekly
    models = [load_model(each) for each in (week, day, turned)]
    table = read_input(models[0], path, {})
    same = contest(models[2], models[0], table, NAMES)
    assert abs(same.comparison.percent) < 2
    assert not same.better
    assert not same.worse
    better = contest(models[1], models[0], table, NAMES)
    assert (better.better, better.loss, better.leads) == (True, "crps", None)
    assert better.comparison.percent > 90
    worse = contest(models[0], models[1], table, NAMES)
    assert (worse.worse, worse.better) == (True, False)
    seen = models[0].scored().until()[""]
    assert better.first == str((seen + pd.Timedelta("1D")).date())
    assert better.last == str((table.interval.stamps(table.series[0].first, 420)[-7]).date())
    assert better.windows == 420 - 420 // 10 * 8 - 6


def test_of_two_horizons_the_common_steps_of_the_same_windows_are_compared(
    weekly: tuple[Path, Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, week, day, _ = weekly
    for name in ("models", "checkpoints"):
        monkeypatch.setattr(place, name.upper(), tmp_path / name)
    monkeypatch.setattr(place, "HOME", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    given = ("--csv", path, "--horizon", 10, "--lookback", 14, "--set", "model.season=7")
    longer = load_model(Path(train("seasonal-naive", *given)["model_dir"]))
    shorter, last_day = load_model(week), load_model(day)
    table = read_input(shorter, path, {})
    for models in ((shorter, longer), (longer, shorter)):
        same = contest(*models, table, NAMES)
        assert (same.leads, same.better, same.worse) == (7, False, False)
        assert abs(same.comparison.percent) < 2
        assert same.text.endswith(", on the first 7 steps that both forecast")
        seen = max(saved.scored().until()[""] for saved in models)
        assert same.first == str((seen + pd.Timedelta("1D")).date())
        assert same.last == str(table.interval.stamps(table.series[0].first, 420)[-10].date())
        days = pd.Timestamp(same.last) - pd.Timestamp(same.first)
        assert same.windows == days.days + 1
    assert contest(last_day, longer, table, NAMES).better
    assert contest(longer, last_day, table, NAMES).worse


def test_what_is_wrong_in_a_new_file_is_mended_as_for_the_first(
    weekly: tuple[Path, Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, week, _, _ = weekly
    for name in ("models", "checkpoints"):
        monkeypatch.setattr(place, name.upper(), tmp_path / name)
    monkeypatch.setattr(place, "HOME", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    holed = tmp_path / "holed.csv"
    grown = pd.read_csv(path)
    later = pd.date_range(grown["date"].iloc[-1], periods=15)[1:].strftime("%Y-%m-%d")
    grown = pd.concat([grown, grown.tail(14).assign(date=later)])
    grown.drop(index=[30, 31]).to_csv(holed, index=False)
    given = ("retrain", week, "--csv", holed)
    assert "give --on-gap fill to take them as missing values" in inside(*given, status=1).stderr
    done = json.loads(inside(*given, "--on-gap", "fill", "--json").stdout)
    assert load_model(Path(done["model_dir"])).config.data.on_gap == "fill"
    assert done["comparison"]["windows"] > 0


def test_a_file_without_newer_rows_gives_no_comparison(
    weekly: tuple[Path, Path, Path, Path], tmp_path: Path
) -> None:
    path, week, day, _ = weekly
    frame, until = pd.read_csv(path), load_model(week).scored().until()[""]
    older = tmp_path / "older.csv"
    frame[frame["date"] <= str(until.date())].to_csv(older, index=False)
    models = [load_model(each) for each in (week, day)]
    with pytest.raises(UserError, match="no forecast of 7 steps lies after all rows"):
        contest(*models, read_input(models[0], older, {}), NAMES)
    rows = (frame["date"] <= str(until.date())).sum()
    frame.head(rows + 7).to_csv(older, index=False)
    with pytest.raises(UserError, match=r"1 forecast origin\(s\) with a value .* where 2 are"):
        contest(*models, read_input(models[0], older, {}), NAMES)
    frame.head(rows + 8).to_csv(older, index=False)
    assert contest(*models, read_input(models[0], older, {}), NAMES).windows == 2


def test_changes_of_columns_and_units_are_named(
    weekly: tuple[Path, Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, week, _, turned = weekly
    assert changes_between(load_model(week), load_model(turned)) == []
    for name in ("models", "checkpoints"):
        monkeypatch.setattr(place, name.upper(), tmp_path / name)
    monkeypatch.setattr(place, "HOME", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    frame = pd.read_csv(path).rename(columns={"a": "c"}).assign(b=lambda f: f["b"] / 1000)
    frame.to_csv(tmp_path / "other.csv", index=False)
    given = ("--horizon", 7, "--lookback", 14, "--set", "model.season=7")
    other = train("seasonal-naive", "--csv", tmp_path / "other.csv", *given)["model_dir"]
    assert changes_between(load_model(week), load_model(Path(other))) == [
        "column 'a' is no longer there",
        "column 'c' is new",
        "the values of column 'b' are about 1000 times smaller, as in another unit",
    ]
