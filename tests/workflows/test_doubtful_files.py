"""What a training says of the file that it reads, and a forecast of one unlike it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

TINY = (
    *("--horizon", 2, "--lookback", 8, "--set", "trainer.max_epochs=1"),
    *("--set", "trainer.score_windows=2"),
)
ROWS = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, Path, str]:
    """A model of sales in dollars and a rate in percent, and what its training said."""
    folder = tmp_path_factory.mktemp("units")
    cli = Cli(folder / "home")
    file(folder / "first.csv", "$1,{:03d}.00", "{}%")
    model = folder / "model"
    said = cli("train", "nlinear", "--csv", folder / "first.csv", *TINY, "--output", model).stderr
    return cli, folder, said


def file(path: Path, sales: str, rate: str, divisor: int = 1) -> Path:
    days = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")
    rows = [
        f'{day},"{sales.format(200 + i % 7 * 10)}","{rate.format((12 + i % 7) / divisor)}"'
        for i, day in enumerate(days)
    ]
    path.write_text("\n".join(["day,sales,rate", *rows]) + "\n", encoding="utf-8")
    return path


def notes(cli: Cli, folder: Path, name: str) -> list[str]:
    given = ("--csv", folder / name, "--output", folder / "f.csv")
    said = cli("forecast", "--model", folder / "model", *given).stderr.splitlines()
    return [line.removeprefix("note: ") for line in said if "column" in line and " is " in line]


def test_a_training_says_how_it_has_read_the_file(trained: tuple[Cli, Path, str]) -> None:
    assert trained[2].splitlines()[:2] == [
        "column 'sales': '$1,200.00' is 1200, with a thousands comma, a decimal point and the "
        "unit '$'",
        "column 'rate': '12.0%' is 12, with a decimal point and the unit '%'",
    ]


def test_another_unit_is_said(trained: tuple[Cli, Path, str]) -> None:
    cli, folder, _ = trained
    same = (
        "its numbers are taken as they are; if they mean something else now, write them as before"
    )
    file(folder / "euros.csv", "€1,{:03d}.00", "{}%")
    assert notes(cli, folder, "euros.csv")[2:] == [
        f"column 'sales' is written with '€', in the training's file with '$': {same}"
    ]
    file(folder / "bare.csv", "$1,{:03d}.00", "{}")
    assert notes(cli, folder, "bare.csv")[1:] == [
        f"column 'rate' is written without a unit, in the training's file with '%': {same}"
    ]
    assert len(notes(cli, folder, "first.csv")) == 2


def test_a_model_of_before_and_a_column_without_values_have_no_unit(
    trained: tuple[Cli, Path, str], tmp_path: Path
) -> None:
    cli, folder, _ = trained
    file(folder / "euros.csv", "€1,{:03d}.00", "")
    options = ("--csv", folder / "euros.csv", "--on-dead", "skip", "--output", tmp_path / "f.csv")
    said = cli("forecast", "--model", folder / "model", *options).stderr
    assert "column 'sales' is written with '€'" in said
    assert "column 'rate' is written" not in said
    absent = ("--csv", write_sales(tmp_path), "--missing-column", "masked", *options[4:])
    said = cli("forecast", "--model", folder / "model", *absent).stderr
    assert "is written" not in said
    shutil.copytree(folder / "model", tmp_path / "model")
    schema = json.loads((tmp_path / "model" / "schema.json").read_text())
    del schema["units"]
    (tmp_path / "model" / "schema.json").write_text(json.dumps(schema))
    record = json.loads((tmp_path / "model" / "metadata.json").read_text())
    del record["files"]
    (tmp_path / "model" / "metadata.json").write_text(json.dumps(record))
    assert "is written" not in cli("forecast", "--model", tmp_path / "model", *options).stderr


def write_sales(folder: Path) -> Path:
    """The same file without the rate."""
    whole = file(folder / "whole.csv", "$1,{:03d}.00", "{}%")
    path = folder / "sales.csv"
    pd.read_csv(whole)[["day", "sales"]].to_csv(path, index=False)
    return path


def test_another_scale_is_said(trained: tuple[Cli, Path, str]) -> None:
    cli, folder, _ = trained
    file(folder / "shares.csv", "$1,{:03d}.00", "{:.3f}%", 100)
    given = ("--csv", folder / "shares.csv", "--output", folder / "f.csv")
    said = cli("forecast", "--model", folder / "model", *given).stderr
    assert (
        "column 'rate': the values that the model reads are of the size 0.151, those that it has learnt "
        "from of 15.1 (root mean squares): if these are of another unit, or stand for missing values, the forecast "
        "is of no use; write them as in the training's file\n" in said
    )


def test_the_named_option_takes_what_a_training_suspects_as_missing(
    cli: Cli, tmp_path: Path
) -> None:
    values = np.where(np.arange(ROWS) % 9 == 4, -9999, 20 + np.arange(ROWS) % 7)
    days = pd.date_range("2024-01-01", periods=ROWS)
    csv, model = tmp_path / "codes.csv", tmp_path / "model"
    pd.DataFrame({"day": days, "x": values}).to_csv(csv, index=False)
    told = (
        f"far off all other values: column 'x': -9999 ({(values == -9999).sum()} times); if that "
        "stands for missing values, give --missing -9999"
    )
    assert told in cli("train", "nlinear", "--csv", csv, *TINY, "--output", model).stderr
    forecast = ("forecast", "--csv", csv, "--output", tmp_path / "f.csv", "--model")
    again = ", and train again with it if the training's file had such"
    assert f"note: {told}{again}\n" in cli(*forecast, model).stderr
    named = tmp_path / "named"
    again = cli("train", "nlinear", "--csv", csv, *TINY, "--missing", "-9999", "--output", named)
    taken = "-9999 taken as missing: 7 time(s) in column 'x'"
    for done in (again, cli(*forecast, named)):
        lines = [line for line in done.stderr.splitlines() if "-9999" in line]
        assert [line.removeprefix("note: ") for line in lines] == [taken]
    assert pd.read_csv(tmp_path / "f.csv")["mean"].between(15, 31).all()


def test_a_value_that_is_stuck_at_the_end_is_said(trained: tuple[Cli, Path, str]) -> None:
    cli, folder, said = trained
    path = file(folder / "stuck.csv", "$1,{:03d}.00", "{}%")
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    rows[-26:] = [row.rpartition(",")[0] + ',"15.5%"' for row in rows[-26:]]
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    told = (
        "one value for long, where others change: column 'rate': 15.5 in 26 rows, 2024-02-04 "
        "00:00:00 to 2024-02-29 00:00:00; if these were not measured, leave their cells blank"
    )
    given = ("--csv", path, "--output", folder / "f.csv")
    assert f"note: {told}\n" in cli("forecast", "--model", folder / "model", *given).stderr
    assert told in cli("check", "--csv", path).stdout
    for earlier in (said, cli("check", "--csv", folder / "first.csv").stdout):
        assert "one value for long" not in earlier


@pytest.mark.parametrize(
    "command",
    [
        ("backtest", "--model", "nlinear", "--origins", 2),
        ("tune", "nlinear", "--trials", 1),
        ("train", "nlinear"),
    ],
    ids=lambda command: command[0],
)
def test_every_training_says_what_is_doubtful(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str | int, ...]
) -> None:
    monkeypatch.chdir(tmp_path)  # where tune writes what it has found
    csv = tmp_path / "codes.csv"
    x = np.where(np.arange(ROWS) % 9 == 4, -9999, 20 + np.arange(ROWS) % 7)
    y = np.where(np.arange(ROWS) // 30 == 1, 6.5, 5 + np.arange(ROWS) % 4)
    columns = {"day": pd.date_range("2024-01-01", periods=ROWS), "x": x, "y": y, "same": 7}
    pd.DataFrame(columns).to_csv(csv, index=False)
    marks = ("-9999", "one value", "is the sum")
    said = cli(*command, "--csv", csv, *TINY).stderr.splitlines()
    lines = [line.removeprefix("note: ") for line in said]
    assert [line for line in lines if any(mark in line for mark in marks)] == [
        "far off all other values: column 'x': -9999 (7 times); if that stands for missing values, "
        "give --missing -9999",
        "one value for long, where others change: column 'y': 6.5 in 30 rows, 2024-01-31 00:00:00 to "
        "2024-02-29 00:00:00; if these were not measured, leave their cells blank",
        "one value in all rows: 'same'; forecast and scored all the same; --target x,y leaves it out",
    ]
    columns |= {"y": 5 + np.arange(ROWS) % 4}
    pd.DataFrame(columns | {"same": x + columns["y"]}).to_csv(csv, index=False)
    named = cli(*command, "--csv", csv, *TINY, "--missing", "-9999").stderr
    assert "far off all other values: column 'x'" not in named
    assert "-9999 taken as missing: 7 time(s) in column 'x'" in named
    assert "column 'same' is the sum of all others" in named


@pytest.mark.parametrize(
    "command",
    [
        ("backtest", "--model", "nlinear", "--origins", 2),
        ("tune", "nlinear", "--trials", 1),
        ("train", "nlinear"),
    ],
    ids=lambda command: command[0],
)
def test_every_training_says_what_a_covariate_should_not_hold(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str | int, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=ROWS)})
    frame["x"] = 20 + np.arange(ROWS) * 5 % 7
    frame["copy"] = frame["x"].shift(-1, fill_value=0)
    frame["seen"] = np.where(np.arange(ROWS) < ROWS - 2, np.arange(ROWS) ** 2 % 11, np.nan)
    frame.to_csv(tmp_path / "leak.csv", index=False)
    covariates = "--known", "copy", "--past", "seen"
    said = cli(*command, "--csv", tmp_path / "leak.csv", *covariates, *TINY).stderr.splitlines()
    lines = [line.removeprefix("note: ") for line in said]
    assert sum("column 'copy' (--known)" in line and "flatter" in line for line in lines) == 1
    blank = "column 'seen' (--past): the last 2 row(s), from 2024-02-28 on, are blank: taken as "
    assert sum(line.startswith(blank) for line in lines) == 1


def test_the_first_and_the_last_end_of_series_are_said(cli: Cli, tmp_path: Path) -> None:
    parts = [
        pd.DataFrame({"day": pd.date_range("2024-01-01", periods=n), "shop": name})
        for name, n in {"a": 60, "b": 50}.items()
    ]
    table = pd.concat(parts)
    table["sold"] = 20 + np.arange(len(table)) % 7
    table.to_csv(tmp_path / "shops.csv", index=False)
    done = cli("train", "nlinear", "--csv", tmp_path / "shops.csv", *TINY, "--refit", "none")
    assert (
        "figures: held out (trained and chosen until 2024-02-17, the earliest series until "
        "2024-02-09), of the saved model\n" in done.stdout
    )


@pytest.mark.parametrize(("rows", "said"), [(14, "no quantiles"), (40, "few different values")])
def test_few_held_out_forecasts_are_said(cli: Cli, tmp_path: Path, rows: int, said: str) -> None:
    csv, model = tmp_path / "few.csv", tmp_path / "model"
    days = pd.date_range("2024-01-01", periods=rows)
    pd.DataFrame({"day": days, "x": 20 + np.arange(rows) % 7}).to_csv(csv, index=False)
    cli("train", "nlinear", "--csv", csv, *TINY, "--refit", "none", "--output", model)
    done = cli("forecast", "--model", model, "--csv", csv, "--output", tmp_path / "f.csv")
    assert said in done.stderr
    assert ("0.05" in pd.read_csv(tmp_path / "f.csv")) == (rows == 40)
