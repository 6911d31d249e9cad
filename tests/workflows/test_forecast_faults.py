"""A series that cannot be forecast stops no others, and the forecast says what became of each."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

import forecaster
from forecaster.inference.saved_model import load_model
from forecaster.serving.request import forecast_request
from forecaster.workflows.propose import options_in

DAYS = pd.date_range("2022-01-01", periods=200).strftime("%Y-%m-%d")
WAVE = 10 + np.sin(2 * np.pi * np.arange(200) / 7)
NOISE = np.random.default_rng(0).normal(size=(200, 3)).round(3)
WIDE = pd.DataFrame({"date": DAYS, "a": WAVE + NOISE[:, 0], "b": 3 * WAVE + NOISE[:, 1]})
DEAD = WIDE.assign(b=WIDE["b"].where(np.arange(200) < 140))
STEPS = ("--horizon", 7, "--lookback", 42, "--set", "trainer.max_steps=2")


def panel(**rows: int) -> pd.DataFrame:
    """A long table of items that end together, each with its last rows only."""
    parts = [
        pd.DataFrame({"item": item, "date": DAYS[-n:], "y": (k + 1) * (WAVE + NOISE[:, k])[-n:]})
        for k, (item, n) in enumerate(rows.items())
    ]
    return pd.concat(parts)


LONG = panel(s1=200, s2=200, new=3)


@pytest.fixture(scope="module")
def models(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("faults")
    for name, table in {"wide": WIDE, "long": panel(s1=200, s2=200)}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        output = ("--output", folder / name)
        cli("train", "nlinear", "--csv", folder / f"{name}.csv", *STEPS, *output)
    return {"wide": folder / "wide", "long": folder / "long"}


@pytest.fixture
def run(cli: Cli, models: dict[str, Path], tmp_path: Path):
    """Forecast a table from the command line: the rows, and what is said on standard error."""

    def forecast(model: str, table: pd.DataFrame, *args: object, status: int = 0):
        table.to_csv(tmp_path / "in.csv", index=False)
        output = tmp_path / "out.csv"
        given = ("--csv", tmp_path / "in.csv", "--output", output, *args)
        done = cli("forecast", "--model", models[model], *given, status=status)
        found = pd.read_csv(output, float_precision="round_trip") if status == 0 else None
        return found, done.stderr

    return forecast


def statuses(frame: pd.DataFrame) -> dict[str, str]:
    """The status of each series, which is that of all of its seven rows."""
    found = frame.groupby("item_id", sort=False)["status"].agg(["first", "nunique", "size"])
    assert (found["nunique"] == 1).all()
    assert (found["size"] == 7).all()
    return dict(found["first"])


def test_a_dead_column_is_skipped_and_the_other_is_forecast_as_ever(run) -> None:
    expected, _ = run("wide", WIDE)
    assert list(expected) == ["item_id", "timestamp", "mean", "0.05", "0.5", "0.95"]
    _, refused = run("wide", DEAD, status=1)
    assert refused.endswith(
        "column 'b' has no value in the last 42 rows that the model reads; add values, or give "
        "--on-dead skip to forecast the others\n"
    )
    found, notes = run("wide", DEAD, *("--on-dead", "skip"))
    assert statuses(found) == {"a": "ok", "b": "skipped: no value in the last 42 rows"}
    assert list(found) == [*expected, "status"]
    is_a = expected["item_id"] == "a"
    pd.testing.assert_frame_equal(found.drop(columns="status")[is_a], expected[is_a])
    assert found.loc[~is_a, "mean":"0.95"].isna().all(axis=None)
    assert found["timestamp"].equals(expected["timestamp"])
    assert "note: 1 series skipped: 'b' (no value in the last 42 rows)" in notes


def test_a_dead_column_falls_back_on_its_last_season(run) -> None:
    found, notes = run("wide", DEAD, "--on-dead", "fallback", "--quantiles", "0.05,0.5,0.95")
    assert statuses(found) == {"a": "ok", "b": "fallback"}
    rows = found[found["item_id"] == "b"]
    newest = DEAD["b"].dropna().to_numpy()[-7:]  # 140 rows before, 60 are blank
    np.testing.assert_array_equal(rows["mean"], np.roll(newest, -(60 % 7)))
    np.testing.assert_array_equal(rows["0.5"], rows["mean"])
    assert (rows["0.05"] < rows["mean"]).all()
    assert (rows["mean"] < rows["0.95"]).all()
    what = "forecast without the model, by repeating a week (7 steps)"
    assert f"note: 1 series {what}: 'b' (no value in the last 42 rows)" in notes


def test_a_constant_column_is_dead_for_those_who_ask(run) -> None:
    stuck = WIDE.assign(b=WIDE["b"].where(np.arange(200) < 140, 4.5))
    accepted, _ = run("wide", stuck)
    assert "status" not in accepted
    found, _ = run("wide", stuck, "--on-dead", "skip")
    assert statuses(found) == {"a": "ok", "b": "skipped: always 4.5 in the last 42 rows"}


def test_a_column_that_the_file_lacks_is_masked(run) -> None:
    alone = WIDE[["date", "a"]]
    _, refused = run("wide", alone, status=1)
    assert refused.endswith(
        "column 'b' is in the model but not in the file; add it, or give --missing-column masked "
        "to forecast the others\n"
    )
    found, notes = run("wide", alone, "--missing-column", "masked")
    assert statuses(found) == {"a": "ok", "b": "skipped: not in the file"}
    assert "note: column 'b' is not in the file: masked" in notes
    here, _ = run("wide", WIDE, "--missing-column", "masked", "--target", "a,b")
    assert set(statuses(here).values()) == {"ok"}
    _, unknown = run("wide", alone, "--missing-column", "masked", "--target", "a,c", status=1)
    assert "no column 'c'" in unknown
    _, other = run("wide", alone.rename(columns={"a": "c"}), "--missing-column", "masked", status=1)
    assert other.endswith("column 'a' is in the model but not in the file; add it\n")


def test_a_short_item_is_skipped_falls_back_or_is_dropped(run) -> None:
    expected, _ = run("long", LONG[LONG["item"] != "new"])
    _, refused = run("long", LONG, status=1)
    assert refused.endswith(
        "series 'new': 3 rows, the model reads 42 and needs 4 at least; add rows, or give "
        "--on-short skip to forecast the others\n"
    )
    skipped = "skipped: 3 rows where 4 are needed"
    for word, status in (("skip", skipped), ("fallback", "fallback")):
        found, _ = run("long", LONG, "--on-short", word)
        assert statuses(found) == {"s1": "ok", "s2": "ok", "new": status}
        pd.testing.assert_frame_equal(found.drop(columns="status")[:14], expected)
    assert (found["mean"][14:] == LONG["y"].iloc[-1]).all()
    assert (found["0.05"][14:] < found["mean"][14:]).all()
    dropped, _ = run("long", LONG, "--on-short", "drop")
    pd.testing.assert_frame_equal(dropped, expected)


def test_an_item_without_recent_values_is_dead(run) -> None:
    table = panel(s1=200, s2=200).reset_index(drop=True)
    table["y"] = table["y"].where((table["item"] == "s1") | (table.index % 200 < 100))
    found, _ = run("long", table, "--on-dead", "skip")
    assert statuses(found) == {"s1": "ok", "s2": "ok"}  # blank rows at the end are none
    found, _ = run("long", table, "--start", DAYS[199], "--on-dead", "skip")
    assert statuses(found) == {"s1": "ok", "s2": "skipped: no value in the last 42 rows"}


@pytest.mark.parametrize(
    ("model", "table", "args"),
    [("wide", DEAD, ()), ("wide", WIDE[["date", "a"]], ()), ("long", LONG, ())],
)
def test_every_remedy_of_a_refusal_works(run, model: str, table: pd.DataFrame, args) -> None:
    _, refused = run(model, table, *args, status=1)
    (remedy,) = options_in(refused)
    options = [text for k, v in remedy.items() for text in (f"--{k.replace('_', '-')}", v)]
    found, _ = run(model, table, *options)
    assert list(statuses(found).values()).count("ok") == found["item_id"].nunique() - 1


def test_no_forecast_at_all_is_refused(run) -> None:
    alone = panel(s1=3)
    _, refused = run("long", alone, status=1)
    assert refused.endswith("needs 4 at least; add rows\n")
    for word in ("skip", "fallback"):  # three rows give no intervals
        _, refused = run("long", alone, "--on-short", word, status=1)
        assert refused.endswith(
            "no series can be forecast; 1 series skipped: 's1' (3 rows where 4 are needed); add "
            "rows with values\n"
        )
    point, _ = run("long", alone, "--on-short", "fallback", "--mode", "point")
    assert statuses(point) == {"s1": "fallback"}
    blank = WIDE.assign(a=np.nan, b=np.nan)
    _, refused = run("wide", blank, "--on-dead", "fallback", status=1)
    assert "no series can be forecast; 2 series skipped" in refused


def test_frames_and_posted_tables_are_treated_alike(run, models) -> None:
    loaded, saved = forecaster.load(models["long"]), load_model(models["long"])
    expected, _ = run("long", LONG, "--on-short", "fallback")
    found = loaded.forecast(LONG, on_short="fallback")
    assert found.frame["status"].tolist() == expected["status"].tolist()
    np.testing.assert_array_equal(found.frame["mean"], expected["mean"])
    assert found.samples is not None
    assert found.samples.coords["item"].tolist() == ["s1", "s2"]
    answer, _ = forecast_request(saved, LONG, {"on_short": "fallback"})
    pd.testing.assert_frame_equal(answer, expected)
    answer, _ = forecast_request(saved, LONG, {"on_short": "skip"})
    content = json.loads(json.dumps(answer.to_dict("list"), allow_nan=False))
    assert content["mean"][14:] == [None] * 7
    assert content["mean"][:14] == expected["mean"][:14].tolist()
    with pytest.raises(forecaster.UserError, match="on_short"):
        loaded.forecast(LONG, on_short="leave")  # type: ignore[arg-type]


def test_a_skipped_forecast_is_drawn_written_and_reproduced(run, cli, tmp_path) -> None:
    run("wide", DEAD, "--on-dead", "skip", "--plot", tmp_path / "plot.svg")
    assert "skipped" in (tmp_path / "out.csv").read_text()
    cli("reproduce", tmp_path / "out.csv.meta.json")
    cli(
        *("forecast", "--model", json.loads((tmp_path / "out.csv.meta.json").read_text())["model"]),
        *("--csv", tmp_path / "in.csv", "--on-dead", "skip", "--output", tmp_path / "out.parquet"),
    )
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert set(found["status"]) == {"ok", "skipped: no value in the last 42 rows"}


def test_training_leaves_out_what_is_short_or_dead(cli, tmp_path) -> None:
    """The model then reads files like its own: the column is left out, the item's status told."""
    began = WIDE.assign(c=WIDE["a"].where(np.arange(200) >= 180), d=5.0)
    began.to_csv(tmp_path / "wide.csv", index=False)
    train = ("train", "nlinear", "--csv", tmp_path / "wide.csv", *STEPS)
    refused = cli(*train, "--output", tmp_path / "none", status=1).stderr
    assert "column 'c' has no value in the" in refused
    done = cli(*train, "--on-dead", "skip", "--lower", "a=-99,c=-99", "--output", tmp_path / "wide")
    assert "without a value to learn from, or with one only: 'c', 'd'" in done.stderr
    forecast = ("forecast", "--output", tmp_path / "out.csv", "--csv")
    cli(*forecast, tmp_path / "wide.csv", "--model", tmp_path / "wide")
    assert statuses(pd.read_csv(tmp_path / "out.csv")) == {"a": "ok", "b": "ok"}
    table = pd.concat([LONG, panel(s1=200).assign(item="dead")])
    dead = (table["item"] == "dead") & (table["date"] < DAYS[180])
    table.assign(y=table["y"].where(~dead)).to_csv(tmp_path / "long.csv", index=False)
    train = ("train", "nlinear", "--csv", tmp_path / "long.csv", *STEPS, "--on-short", "skip")
    refused = cli(*train, "--output", tmp_path / "none", status=1).stderr
    assert refused.rstrip().endswith(
        "to be learnt from; add some, or leave it out with --on-dead skip"
    )
    done = cli(*train, "--on-dead", "skip", "--output", tmp_path / "long")
    assert done.stderr.count("left out, with fewer than 63 rows: 'new' (3)\n") == 1
    assert done.stderr.count("with one only: 'dead'") == 1
    assert [*load_model(tmp_path / "long").scaling] == ["s1", "s2"]
    cli(*forecast, tmp_path / "long.csv", "--model", tmp_path / "long")
    found = statuses(pd.read_csv(tmp_path / "out.csv"))
    assert found == {
        "s1": "ok", "s2": "ok", "new": "skipped: 3 rows where 4 are needed", "dead": "ok",
    }  # fmt: skip


def test_backtests_and_evaluations_leave_out_the_same(cli, models, tmp_path) -> None:
    table = pd.concat([LONG, panel(s1=200).assign(item="dead", y=1.0)])
    table.to_csv(tmp_path / "long.csv", index=False)
    given = ("--csv", tmp_path / "long.csv", "--on-short", "skip", "--on-dead", "skip")
    steps = ("--horizon", 7, "--lookback", 28, "--origins", 3, "--json")
    done = cli("backtest", "--model", "seasonal-naive", *given, *steps)
    assert "left out, with fewer than 100 rows: 'new' (3)" in done.stderr
    assert "left out, without a value to learn from, or with one only: 'dead'" in done.stderr
    args = ("evaluate", "--model", models["long"], *given, "--origins", 3, "--json")
    assert len(json.loads(cli(*args).stdout)["metrics"]) > 3


def test_rows_of_a_series_too_short_are_passed_over(cli, tmp_path) -> None:
    panel(s1=200, s2=200).to_csv(tmp_path / "long.csv", index=False)
    steps = (*STEPS[:4], "--set", "trainer.max_steps=2", "--set", "trainer.refit=none")
    cli("train", "s4d", "--csv", tmp_path / "long.csv", *steps, "--output", tmp_path / "model")
    LONG.to_csv(tmp_path / "history.csv", index=False)
    stream = ("forecast", "--model", tmp_path / "model", "--csv", tmp_path / "history.csv")
    lines = "new,2022-07-20,5\ns1,2022-07-20,5\n"
    for word in ("skip", "fallback"):
        done = cli(*stream, "--stream", "--mode", "point", "--on-short", word, input=lines)
        rows = done.stdout.splitlines()
        assert [row.split(",")[1] for row in rows] == ["item_id", *["s1"] * 7]
        assert "passed over: 'new' (3 rows where 4 are needed)" in done.stderr
    dead = LONG.assign(y=LONG["y"].where((LONG["item"] != "s2") | (LONG["date"] == DAYS[0])))
    dead.to_csv(tmp_path / "history.csv", index=False)
    more = ("--on-short", "skip", "--start", "2022-07-20", "--on-gap", "fill")
    refused = cli(*stream, "--stream", "--on-dead", "skip", *more, input=lines, status=1).stderr
    assert refused.endswith("has no value in the last 42 rows that the model reads; add values\n")
