"""Row after row with covariates: the forecasts are those of the file, and what lacks is told."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli, inside

ROWS, LOOKBACK, HORIZON, MORE = 160, 28, 7, 12
KINDS = ("--known", "promo,event", "--past", "rain", "--static", "group", "--prior-column", "plan")
QUICK = ("trainer.max_steps=25", "trainer.validation_windows=8", "trainer.point_windows=40")
SMALL = (*QUICK, "model.width=6", "model.state=8", "trainer.learning_rate=0.02")


def shop(name: str, seed: int) -> pd.DataFrame:
    """A week, 3 of a promotion, 2 of a fair, less in the rain; the planner knows half of it."""
    random, count = np.random.default_rng(seed), ROWS + MORE + 2 * HORIZON
    promo = (random.random(count) < 0.3).astype(int)
    event = random.choice(["fair", "none at all", "match"], count)
    rain = random.exponential(size=count).round(2)
    y = 10 + np.sin(2 * np.pi * np.arange(count) / 7) + 3 * promo + 2 * (event == "fair") - rain
    return pd.DataFrame(
        {
            "shop": name,
            "date": pd.date_range("2023-01-01", periods=count).strftime("%Y-%m-%d"),
            "y": (y + 0.3 * random.normal(size=count)).round(4),
            "promo": np.where(promo > 0, "true", "false"),
            "event": event,
            "rain": rain,
            "group": "north" if seed else "south",
            "plan": (y / 2).round(3),
        }
    )


WHOLE = pd.concat([shop("a", 0), shop("b", 1)])
GROUPS, FIRST = {"a": "south", "b": "north"}, WHOLE["date"].iloc[ROWS]
HISTORY = WHOLE[WHOLE["date"] < FIRST]
FUTURE = WHOLE[WHOLE["date"] >= FIRST].drop(columns=["y", "rain", "group"])


@pytest.fixture(scope="module")
def folder(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streamed")
    HISTORY.to_csv(path / "history.csv", index=False)
    FUTURE.to_csv(path / "future.csv", index=False)
    given = ("--csv", path / "history.csv", "--target", "y", "--item-id", "shop")
    sizes = ("--horizon", HORIZON, "--lookback", LOOKBACK, "--refit", "none")
    settings = [part for each in SMALL for part in ("--set", each)]
    calendar = ("--calendar", "weekday,month_end", "--holidays", "US")
    cli("train", "s4d", *given, *sizes, *KINDS, *calendar, *settings, "--output", path / "model")
    return path


def lines_of(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False, header=False)


def sent(count: int, **changes: object) -> pd.DataFrame:
    """The first rows of both shops that follow the history, by time."""
    rows = WHOLE[WHOLE["date"].between(FIRST, WHOLE["date"].iloc[ROWS + count - 1])]
    return rows.sort_values("date", kind="stable").assign(**changes)


def stream(folder: Path, history: str, rows: pd.DataFrame, *args: object, status: int = 0):
    """The streamed forecasts, and standard error."""
    given = ("--model", folder / "model", "--csv", folder / history, "--stream")
    done = inside("forecast", *given, *args, input=lines_of(rows), status=status)
    return (pd.read_csv(io.StringIO(done.stdout)) if done.stdout else None), done.stderr


def forecast(folder: Path, file: pd.DataFrame, future: str, *args: object) -> pd.DataFrame:
    """The forecast of a file, in one go."""
    file.to_csv(folder / "file.csv", index=False)
    given = ("--model", folder / "model", "--csv", folder / "file.csv", "--output")
    inside("forecast", *given, folder / "out.csv", "--future", folder / future, *args)
    return pd.read_csv(folder / "out.csv")


def assert_equal(found: pd.DataFrame, day: str, expected: pd.DataFrame) -> None:
    ours = found[found["origin"] == day].sort_values("item_id", kind="stable")
    assert ours["timestamp"].tolist() == expected["timestamp"].tolist()
    for column in ("mean", "0.05", "0.95"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-5)


def test_every_streamed_forecast_is_that_of_the_file(folder: Path) -> None:
    """While a value is missing, the rows are read again from rest, as those of a file are; known
    covariates that a row leaves blank are as they were known before, and a new text is unknown.
    """
    rows = sent(4)
    rows.iloc[:2, rows.columns.get_loc("y")] = np.nan
    rows.iloc[2:4, rows.columns.get_loc("event")] = ""
    rows.iloc[4:6, rows.columns.get_loc("plan")] = np.nan
    rows.iloc[6:8, rows.columns.get_loc("event")] = "flood"
    far = ("--future", folder / "future.csv")
    found, _ = stream(folder, "history.csv", rows, *far)
    for end in (2, 4):
        day = WHOLE["date"].iloc[ROWS + end - 1]
        file = pd.concat([HISTORY, rows[rows["date"] <= day]])
        assert_equal(found, day, forecast(folder, file, "future.csv"))
    other, _ = stream(folder, "history.csv", rows.assign(promo="true"), *far)
    changed = found["mean"] - other["mean"]
    assert changed[found["item_id"] == "a"].abs().max() > 0.01


def test_texts_and_flags_of_rows_are_read_as_the_files(folder: Path) -> None:
    """Codes of the file, a text that only the training holds, and one that is new, told once."""
    far, rows = ("--future", folder / "future.csv"), sent(2)
    usual, said = stream(folder, "history.csv", rows, *far)
    assert "unknown" not in said
    alike = rows.assign(promo=rows["promo"].map({"true": "1", "false": "FALSE"}))
    again, _ = stream(folder, "history.csv", alike, *far)
    pd.testing.assert_frame_equal(again, usual)
    HISTORY[HISTORY["event"] != "match"].to_csv(folder / "fewer.csv", index=False)
    known, said = stream(folder, "fewer.csv", rows.assign(event="match"), *far, "--on-gap", "fill")
    assert "'match'" not in said
    new, said = stream(folder, "fewer.csv", rows.assign(event="flood"), *far, "--on-gap", "fill")
    assert said.count("'flood'") == 1
    assert (
        "note: standard input, line 1, column 'event': 'flood' was not in the training: taken as "
        "unknown\n"
    ) in said
    assert (known["mean"] - new["mean"]).abs().max() > 0.001


def test_what_a_stream_lacks_is_told_with_its_remedy(folder: Path) -> None:
    far = ("--future", folder / "future.csv")
    # no future at all: before any row is read
    _, said = stream(folder, "history.csv", sent(1), status=1)
    assert said.splitlines()[-1].startswith(
        f"error: {folder / 'history.csv'}, series 'a': the model needs 'promo', 'event', 'plan' of "
        "the 7 rows to forecast, and there are no rows after its last value; add those from"
    )
    # one that ends: that of a template is enough for no further row
    some = FUTURE[FUTURE["date"] < WHOLE["date"].iloc[ROWS + HORIZON]]
    some.to_csv(folder / "some.csv", index=False)
    found, said = stream(folder, "history.csv", sent(1), "--future", folder / "some.csv", status=1)
    last = WHOLE["date"].iloc[ROWS + HORIZON]
    assert found is None
    assert said.splitlines()[-1] == (
        f"error: standard input, line 1: {folder / 'history.csv'} with --future {folder / 'some.csv'}, series 'a': the model needs "
        "'promo', 'event', 'plan' of the 7 rows to forecast, and there are 6 row(s) after its last "
        f"value; add those from {last} to {last} with the values left blank (on the command line "
        "also in a file of their own, --future FILE, which --template FILE writes to be filled in)"
    )
    longer = FUTURE[FUTURE["date"] <= last]
    for source in ("file", "option"):
        longer.to_csv(folder / "longer.csv", index=False)
        blank = pd.concat([HISTORY, longer.assign(group=longer["shop"].map(GROUPS))])
        blank.to_csv(folder / "blank.csv", index=False)
        more = ("--future", folder / "longer.csv") if source == "option" else ()
        found, _ = stream(folder, "history.csv" if more else "blank.csv", sent(1), *more)
        assert len(found) == 2 * HORIZON
    # a number that is blank in the rows to come
    holed = FUTURE.assign(plan=FUTURE["plan"].where(FUTURE["date"] != last))
    holed.to_csv(folder / "holed.csv", index=False)
    _, said = stream(folder, "history.csv", sent(1), "--future", folder / "holed.csv", status=1)
    assert (
        f"error: standard input, line 1: {folder / 'history.csv'} with --future {folder / 'holed.csv'}, series 'a': column 'plan' is "
        f"blank at {last} to forecast, which the model needs; fill it in\n"
    ) in said
    for change, words in (
        ({"group": "west"}, "column 'group': not as in "),
        ({"group": "north"}, "column 'group': not as in "),
        ({"rain": "wet"}, "column 'rain': 'wet' is not a number"),
        ({"promo": "perhaps"}, "column 'promo': 'perhaps' is not a number"),
    ):
        _, said = stream(folder, "history.csv", sent(1, **change), *far, status=1)
        assert f"error: standard input, line 1, {words}" in said
        assert said.count("error: ") == 1
    found, _ = stream(folder, "history.csv", sent(1, group="", rain=np.nan), *far)
    assert len(found) == 2 * HORIZON
