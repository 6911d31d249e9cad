"""Covariates from the file to the forecast: what they explain is known, and nothing is silent."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

import forecaster
from forecaster.inference.saved_model import load_model
from forecaster.serving.request import forecast_request

ROWS, HORIZON, NOISE = 900, 14, 0.5
LONG_TRAINING = ("--set", "trainer.max_epochs=40", "--set", "trainer.learning_rate=0.001")
SHORT = ("--set", "trainer.max_epochs=1")


def made(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """y = 10 + a week + 3·promo + 2·temp² + noise; promo and temp come without a pattern."""
    random = np.random.default_rng(seed)
    count = rows + HORIZON
    promo, temp = (random.random(count) < 0.2).astype(int), random.uniform(-2, 2, count).round(4)
    week = 2 * np.sin(2 * np.pi * np.arange(count) / 7)
    y = 10 + week + 3 * promo + 2 * temp**2 + NOISE * random.normal(size=count)
    return pd.DataFrame(
        {
            "date": pd.date_range("2022-01-01", periods=count).strftime("%Y-%m-%d"),
            "y": y,
            "promo": promo,
            "temp": temp,
            "lot": random.normal(size=count).round(4),  # of no use
        }
    )


WHOLE = made()
FILE = WHOLE.assign(y=WHOLE["y"].where(WHOLE.index < ROWS))
HISTORY, AHEAD = FILE[:ROWS], FILE[ROWS:].drop(columns="y")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("covariates")
    FILE.to_csv(path / "file.csv", index=False)
    HISTORY.to_csv(path / "history.csv", index=False)
    AHEAD.to_csv(path / "ahead.csv", index=False)
    return path


def train(cli: Cli, folder: Path, name: str, preset: str, *args: object) -> dict[str, float]:
    """Train on the file; the metrics."""
    given = ("--csv", folder / "file.csv", "--horizon", HORIZON, "--lookback", 42, "--target", "y")
    done = cli("train", preset, *given, *args, "--output", folder / name, "--json")
    return json.loads(done.stdout)["metrics"]


@pytest.fixture(scope="module")
def trained(cli: Cli, folder: Path) -> dict[str, float]:
    return train(cli, folder, "model", "nlinear", "--known", "promo,temp", *LONG_TRAINING)


def forecast(cli: Cli, folder: Path, csv: str, *args: object, status: int = 0):
    """The forecast of a file, and what is said on standard error."""
    given = ("--model", folder / "model", "--csv", folder / csv, "--output", folder / "out.csv")
    done = cli("forecast", *given, *args, status=status)
    return (pd.read_csv(folder / "out.csv") if status == 0 else None), done.stderr


def test_known_covariates_leave_the_noise_alone(cli: Cli, folder: Path, trained) -> None:
    """Without them their variance, 9·.16 + 4·64/45, is noise, too."""
    assert NOISE * 0.95 < trained["test/rmse"] < 1.2 * NOISE
    without = train(cli, folder, "without", "nlinear", *LONG_TRAINING)
    assert without["test/rmse"] > 0.9 * np.sqrt(9 * 0.16 + 256 / 45 + NOISE**2)


@pytest.mark.slow
def test_a_covariate_of_no_use_changes_little(cli: Cli, folder: Path, trained) -> None:
    beside = train(cli, folder, "beside", "nlinear", "--known", "promo,temp,lot", *LONG_TRAINING)
    assert beside["test/rmse"] < 1.05 * trained["test/rmse"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["s2dbm", "quantile-linear", "transformer", "s4d", "lightgbm"])
def test_every_model_that_reads_them_comes_near_the_noise(
    cli: Cli, folder: Path, preset: str
) -> None:
    found = train(cli, folder, preset, preset, "--known", "promo,temp")
    assert found["test/rmse"] < 1.25 * NOISE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "rows"),
    [("transformer", 3600), ("s4d", 3600), ("tide", 14_400), ("lightgbm", 14_400)],
)
def test_with_data_enough_a_model_is_within_a_tenth_of_the_noise(
    cli: Cli, tmp_path: Path, preset: str, rows: int
) -> None:
    """On 900 days they are 16 to 24 % above it."""
    whole = made(11, rows)
    whole.assign(y=whole["y"].where(whole.index < rows)).to_csv(tmp_path / "file.csv", index=False)
    few = ("--refit", "none", "--set", "trainer.score_windows=16")
    found = train(cli, tmp_path, preset, preset, "--known", "promo,temp", *few)
    assert 0.97 * NOISE < found["test/rmse"] < 1.1 * NOISE


def test_the_forecast_follows_the_future(cli: Cli, folder: Path, trained) -> None:
    found, _ = forecast(cli, folder, "file.csv")
    truth = WHOLE["y"][ROWS:].to_numpy()
    assert np.sqrt(np.mean((found["mean"] - truth) ** 2)) < 1.6 * NOISE
    FILE.assign(promo=FILE["promo"].where(FILE.index < ROWS, 1)).to_csv(
        folder / "all.csv", index=False
    )
    everywhere, _ = forecast(cli, folder, "all.csv")
    added = everywhere["mean"] - found["mean"]
    np.testing.assert_allclose(added, 3 * (1 - AHEAD["promo"].to_numpy()), atol=0.5)


def test_a_future_of_its_own_gives_the_same_forecast(cli: Cli, folder: Path, trained) -> None:
    whole, _ = forecast(cli, folder, "file.csv")
    apart, _ = forecast(cli, folder, "history.csv", "--future", folder / "ahead.csv")
    pd.testing.assert_frame_equal(whole, apart)
    again = cli("reproduce", folder / "out.csv.meta.json").stdout
    assert again.startswith("identical: out.csv, 14 rows")
    changed = AHEAD.assign(promo=0)
    changed.to_csv(folder / "ahead.csv", index=False)
    refused = cli("reproduce", folder / "out.csv.meta.json", status=1)
    assert "ahead.csv: changed since the forecast" in refused.stderr
    AHEAD.to_csv(folder / "ahead.csv", index=False)


def test_python_and_server_give_the_command_lines_forecast(cli: Cli, folder: Path, trained) -> None:
    whole, _ = forecast(cli, folder, "file.csv")
    model = forecaster.load(folder / "model")
    for frame in (
        model.forecast(FILE).frame,
        model.forecast(HISTORY, future=AHEAD).frame,
        forecast_request(load_model(folder / "model"), FILE, {})[0],
    ):
        np.testing.assert_allclose(frame["mean"], whole["mean"], rtol=1e-12)
        np.testing.assert_allclose(frame["0.95"], whole["0.95"], rtol=1e-12)


def test_a_number_unlike_all_before_is_told(cli: Cli, folder: Path, trained) -> None:
    far = FILE.assign(temp=FILE["temp"].where(FILE.index != ROWS + 2, 1000))
    far.to_csv(folder / "far.csv", index=False)
    mean, std = (getattr(FILE["temp"][: int(0.7 * ROWS)], of)() for of in ("mean", "std"))
    _, said = forecast(cli, folder, "far.csv")
    (line,) = [each for each in said.splitlines() if "'temp'" in each]
    start = f"note: column 'temp': 1000 at {FILE['date'][ROWS + 2]} is "
    assert line.startswith(start)
    away = float(line.removeprefix(start).partition(" ")[0])
    assert away == pytest.approx((1000 - mean) / std, rel=0.02)
    _, usual = forecast(cli, folder, "file.csv")
    assert "standard deviations" not in usual


def test_no_future_is_refused_with_the_rows_that_are_needed(
    cli: Cli, folder: Path, trained
) -> None:
    first, last = AHEAD["date"].iloc[0], AHEAD["date"].iloc[-1]
    path = folder / "history.csv"
    _, said = forecast(cli, folder, "history.csv", status=1)
    assert said == (
        f"error: {path}: the model needs 'promo', 'temp' of the 14 rows to forecast, and there are "
        f"no rows after its last value; add those from {first} to {last} with the values left "
        "blank (on the command line also in a file of their own, --future FILE, which --template "
        "FILE writes to be filled in)\n"
    )
    FILE[:-4].to_csv(folder / "few.csv", index=False)
    _, said = forecast(cli, folder, "few.csv", status=1)
    assert (
        f"there are 10 row(s) after its last value; add those from {FILE['date'].iloc[-4]}" in said
    )
    # the template, which is refused as long as it is blank
    filled = folder / "filled.csv"
    done = cli("forecast", "--model", folder / "model", "--csv", path, "--template", filled).stdout
    assert done == f"{filled}: 14 rows to be filled in, for --future\n"
    rows = pd.read_csv(filled)
    assert rows["date"].tolist() == AHEAD["date"].tolist()
    _, said = forecast(cli, folder, "history.csv", "--future", filled, status=1)
    assert said.startswith(
        f"error: {folder / 'history.csv'} with --future {filled}: column 'promo' is blank at {first} and 13 more of the 14 rows to forecast"
    )
    rows.assign(promo=AHEAD["promo"].to_numpy(), temp=AHEAD["temp"].to_numpy()).to_csv(
        filled, index=False
    )
    found, _ = forecast(cli, folder, "history.csv", "--future", filled)
    whole, _ = forecast(cli, folder, "file.csv")
    pd.testing.assert_frame_equal(found, whole)


def test_a_file_without_the_columns_is_refused(cli: Cli, folder: Path, trained) -> None:
    FILE.drop(columns="temp").to_csv(folder / "less.csv", index=False)
    _, said = forecast(cli, folder, "less.csv", status=1)
    assert "no column 'temp' (--known)" in said


def test_evaluation_and_backtest_read_them(cli: Cli, folder: Path, trained) -> None:
    args = ("--model", folder / "model", "--csv", folder / "file.csv", "--origins", 5, "--json")
    found = json.loads(cli("evaluate", *args).stdout)
    assert found["metrics"]["test/rmse"] < 1.5 * NOISE
    ranked = json.loads(
        cli(
            *("backtest", "--csv", folder / "file.csv", "--target", "y", "--known", "promo,temp"),
            *("--model", "nlinear", "--horizon", HORIZON, "--lookback", 42, "--origins", 2),
            *(*SHORT, "--json"),
        ).stdout
    )
    assert "nlinear" in json.dumps(ranked)


@pytest.mark.slow
def test_effects_are_those_that_the_data_were_made_with(cli: Cli, folder: Path, trained) -> None:
    """3 of promo; of temp 2·((t + s)² − t²), on average 2·s² + 4·s·t."""
    args = ("--model", folder / "model", "--csv", folder / "history.csv", "--limit", 60)
    cli("evaluate", *args, "--mode", "point")
    promo, temp = json.loads(cli("evaluate", *args, "--mode", "point", "--json").stdout)["effects"]
    assert (promo["covariate"], promo["change"], promo["column"]) == ("promo", "1 against 0", "y")
    assert promo["effect"] == pytest.approx(3, abs=0.3)
    assert promo["percent"] == pytest.approx(100 * promo["effect"] / 13.3, rel=0.05)
    assert temp["change"] == "1.18 more"
    # the training logged those of its own windows, and the report reads them from there
    cli("report", folder / "model", "--output", folder / "report.html")
    page = (folder / "report.html").read_text()
    assert "Effects of covariates" in page
    assert re.search(r">promo</th><td>1 against 0</td><td>y</td><td>\+(2\.[7-9]|3\.[0-3])", page)


def test_a_model_that_reads_none_says_so(cli: Cli, folder: Path) -> None:
    args = ("--csv", folder / "file.csv", "--horizon", HORIZON, "--target", "y")
    done = cli("train", "seasonal-naive", *args, "--known", "promo", "--output", folder / "naive")
    assert (
        "note: model 'seasonal-naive' reads no covariates: its forecast is as without 'promo'\n"
        in done.stderr
    )


def test_another_interval_is_refused(cli: Cli, folder: Path) -> None:
    few = (*SHORT, "--set", "trainer.score_windows=2", "--set", "trainer.epoch_batches=2")
    train(cli, folder, "state", "s4d", "--known", "promo", *few, "--refit", "none")
    given = ("--model", folder / "state", "--csv", folder / "file.csv", "--resample-rate", 2)
    assert cli("forecast", *given, status=1).stderr == (
        "error: --resample-rate: the model reads covariates, which this is not made for; leave it "
        "out, or train without them\n"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["known"].pop(), "other known columns than those of the config"),
        (lambda content: content["known"][0].update(std=-1), "the scaling of 'promo'"),
        (lambda content: content.pop("static"), "damaged"),
    ],
)
def test_a_damaged_encoding_is_refused(folder: Path, trained, tmp_path, change, words) -> None:
    shutil.copytree(folder / "model", tmp_path / "model")
    path = tmp_path / "model" / "covariates.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(forecaster.UserError, match=words):
        load_model(tmp_path / "model")


def test_static_and_past_covariates_of_a_long_file(cli: Cli, folder: Path) -> None:
    """A group whose promotion works the other way round is learnt; an unknown one is told."""
    random, parts = np.random.default_rng(1), []
    for k in range(6):
        promo = (random.random(300) < 0.3).astype(int)
        sign = 1 if k % 2 else -1
        parts.append(
            pd.DataFrame(
                {
                    "shop": f"s{k}",
                    "date": pd.date_range("2023-01-01", periods=300).strftime("%Y-%m-%d"),
                    "y": 5 + sign * 2 * promo + 0.3 * random.normal(size=300),
                    "promo": promo,
                    "group": "up" if sign > 0 else "down",
                    "rain": random.normal(size=300).round(3),
                }
            )
        )
    table = pd.concat(parts)
    table["y"] = table["y"].where(table["date"] < "2023-10-21")
    table.to_csv(folder / "long.csv", index=False)
    given = ("--csv", folder / "long.csv", "--horizon", 7, "--lookback", 28, "--target", "y")
    roles = ("--known", "promo", "--static", "group", "--past", "rain")
    done = cli(
        *("train", "nlinear", *given, *roles, *LONG_TRAINING, "--output", folder / "groups"),
        "--json",
    )
    assert json.loads(done.stdout)["metrics"]["test/rmse"] < 1.2 * 0.3
    args = ("--model", folder / "groups", "--output", folder / "groups.csv", "--csv")
    table.assign(group=table["group"].where(table["shop"] != "s5", "new")).to_csv(
        folder / "new.csv", index=False
    )
    said = cli("forecast", *args, folder / "new.csv").stderr
    assert "column 'group': 'new' was not in the training, 1 time(s): taken as unknown" in said
    # a shop that closed a week before the others: the remedy that is named
    closed, shut = folder / "closed.csv", table["shop"] == "s0"
    table[~shut | (table["date"] < "2023-10-14")].to_csv(closed, index=False)
    refused = cli("forecast", *args, closed, status=1).stderr
    assert (
        "series 's0': the model needs 'promo' of the 7 rows to forecast, and there are no rows"
        in (refused)
    )
    assert refused.endswith(
        "filled in); if it has ended for good, --on-dead skip forecasts the others\n"
    )
    cli("forecast", *args, closed, "--on-dead", "skip")
    found = pd.read_csv(folder / "groups.csv")
    of_shut = found["item_id"] == "s0"
    assert set(found.loc[of_shut, "status"]) == {
        "skipped: no rows of the future, which the model needs"
    }
    assert found.loc[of_shut, "mean"].isna().all()
    assert set(found.loc[~of_shut, "status"]) == {"ok"}
    cli("forecast", *args, folder / "long.csv")
    usual = pd.read_csv(folder / "groups.csv")
    pd.testing.assert_frame_equal(
        found[~of_shut].drop(columns="status").reset_index(drop=True),
        usual[usual["item_id"] != "s0"].reset_index(drop=True),
    )
    # one with a part of its future, and others that have no future themselves
    for kept in (
        table[~shut | (table["date"] < "2023-10-24")],
        table[table["date"] < table["shop"].map({"s0": "2023-10-14"}).fillna("2023-10-21")],
    ):
        kept.to_csv(closed, index=False)
        refused = cli("forecast", *args, closed, status=1).stderr
        assert refused.endswith("writes to be filled in)\n")
    refused = cli("forecast", *args, closed, "--on-dead", "skip", status=1).stderr
    assert "no series can be forecast; 6 series skipped: 's0' (no rows of the future" in refused
