"""A forecast's file leads back to what it was made from, and is made again to the last byte; names
are no formulas.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import SAMPLE, inside

from cli import main
from forecaster.io.output_tables import csv_text, read_table_bytes, spreadsheet_safe, table_bytes
from forecaster.workflows.reproduce import largest_difference

SMALL = ["--horizon", 14, "--lookback", 56, "--accelerator", "cpu"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its input and a forecast, all named by relative paths."""
    folder = tmp_path_factory.mktemp("lineage")
    shutil.copy(SAMPLE, folder / "data.csv")
    inside(
        "train",
        "quantile-linear",
        "--csv",
        "data.csv",
        *SMALL,
        "--set",
        "trainer.max_steps=3",
        "--target",
        "temp_max,wind",
        "--output",
        "model",
        cwd=folder,
    )
    inside(
        "forecast",
        "--model",
        "model",
        "--csv",
        "data.csv",
        "--target",
        "temp_max,wind",
        "--quantiles",
        "0.1,0.9",
        "--on-gap",
        "fill",
        "--seed",
        7,
        "--output",
        "out/fan.csv",
        cwd=folder,
    )
    return folder


def again(meta: Path, *args: object, status: int = 0) -> tuple[str, str]:
    done = CliRunner().invoke(main, ["reproduce", str(meta), *map(str, args)])
    assert done.exit_code == status, done.output
    return done.stdout, done.stderr


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The same in a folder of the test's own; what was recorded of the old place is made to lead
    nowhere.
    """
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    change(folder, folder=str(tmp_path / "gone"), run_id=None)
    return folder


def change(folder: Path, /, **values: object) -> None:
    path = folder / "out" / "fan.csv.meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_meta_holds_digests_and_the_whole_command(trained: Path) -> None:
    meta = json.loads((trained / "out" / "fan.csv.meta.json").read_text())
    for key, path in (("output_sha256", "out/fan.csv"), ("input_sha256", "data.csv")):
        assert meta[key] == hashlib.sha256((trained / path).read_bytes()).hexdigest()
    assert meta["trained_on"] == meta["input_sha256"]
    assert meta["command"] == [
        "forecast",
        "--model",
        "model",
        "--csv",
        "data.csv",
        "--output",
        "out/fan.csv",
        "--mode",
        "probabilistic",
        "--samples",
        "100",
        "--quantiles",
        "0.1,0.9",
        "--seed",
        "7",
        "--resample-rate",
        "1",
        "--target",
        "temp_max,wind",
        "--on-gap",
        "fill",
    ]
    assert (meta["folder"], meta["device"]) == (str(trained), "cpu")
    assert len(meta["run_id"]) == 32


def test_a_forecast_is_made_again_from_anywhere(trained: Path, tmp_path, monkeypatch) -> None:
    meta = trained / "out" / "fan.csv.meta.json"
    monkeypatch.chdir(tmp_path)
    before = sorted(trained.rglob("*"))
    out, err = again(meta)
    sha = hashlib.sha256((trained / "out" / "fan.csv").read_bytes()).hexdigest()
    assert (out, err) == (f"identical: fan.csv, 28 rows, SHA-256 {sha}\n", "")
    assert sorted(trained.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []
    out, _ = again(meta, "--output", tmp_path / "kept.csv", "--json")
    assert json.loads(out)["identical"] is True
    assert (tmp_path / "kept.csv").read_bytes() == (trained / "out" / "fan.csv").read_bytes()
    again(tmp_path / "kept.csv.meta.json")  # the copy can be reproduced, too
    assert "end the name in .csv" in again(meta, "--output", tmp_path / "kept.parquet", status=1)[1]


def test_the_forecast_itself_leads_to_its_record(copy: Path, monkeypatch) -> None:
    monkeypatch.chdir(copy)
    table, record = (again(copy / "out" / f"fan.csv{end}")[0] for end in ("", ".meta.json"))
    assert table == record
    assert table.startswith("identical: fan.csv, ")


def test_a_folder_that_was_moved_is_made_again(copy: Path, monkeypatch) -> None:
    monkeypatch.chdir(copy)
    assert again(Path("out/fan.csv.meta.json"))[0].startswith("identical: fan.csv, 28 rows")


def test_the_model_is_taken_from_its_run_where_it_was_removed(trained: Path, tmp_path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(trained, folder)
    change(folder, folder=str(folder))
    shutil.rmtree(folder / "model")
    assert inside("reproduce", folder / "out" / "fan.csv.meta.json").stdout.startswith("identical")


def edit_csv(folder: Path) -> None:
    path = folder / "data.csv"
    path.write_text(path.read_text().replace("2015-12-31,0.0,5.6", "2015-12-31,0.0,5.7"))


def edit_scaling(folder: Path) -> None:
    path = folder / "model" / "scaling.json"
    path.write_text(path.read_text().replace("1", "2", 1))


def edit_output(folder: Path) -> None:
    path = folder / "out" / "fan.csv"
    path.write_text(path.read_text() + "\n")


def nudge(folder: Path) -> None:
    """As if the file had been written by another program: one value another, its digest
    recorded.
    """
    path = folder / "out" / "fan.csv"
    frame = read_table_bytes(path.read_bytes(), ".csv")
    frame.loc[15, "0.9"] += 0.25
    path.write_text(csv_text(frame))
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    change(folder, output_sha256=sha, versions={"torch": "1.0"}, device="cuda")


FAULTS = [
    (
        edit_csv,
        "data.csv: changed since the forecast of out/fan.csv.meta.json was made (SHA-256 differs); put that file",
    ),
    (
        lambda f: (f / "data.csv").unlink(),
        "data.csv: the input of out/fan.csv.meta.json is missing",
    ),
    (
        edit_scaling,
        "/model: not the model that out/fan.csv.meta.json was made with (SHA-256 differs); put that model back",
    ),
    (lambda f: shutil.rmtree(f / "model"), "model: the model of out/fan.csv.meta.json is missing"),
    (edit_output, "not identical: out/fan.csv was changed after it was written"),
    (
        nudge,
        "not identical: values differ by 0.25 at most (0.9 of 'wind', 2016-01-02); versions differ: torch 1.0, now 2.",
    ),
    (nudge, "; made on cuda, now on cpu\n"),
    (
        lambda f: change(f, command=["train"]),
        "the recorded command is damaged: it is not a forecast's",
    ),
    (
        lambda f: change(f, command=["forecast", "--sample", "x"]),
        "the recorded command is damaged: No such",
    ),
    (
        lambda f: change(f, command=None),
        "not the .meta.json of a forecast that can be repeated ('command' is missing",
    ),
    (lambda f: change(f, run_id="../../etc"), "('run_id' is missing or wrong); forecast anew"),
    (lambda f: change(f, output_sha256=None), "written row by row (--stream)"),
    (
        lambda f: (f / "out" / "fan.csv.meta.json").write_text("no"),
        "(it is not JSON); forecast anew",
    ),
    (lambda f: (f / "out" / "fan.csv.meta.json").unlink(), "fan.csv.meta.json: cannot be read"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_what_differs_is_one_line(copy: Path, monkeypatch, fault, message: str) -> None:
    monkeypatch.chdir(copy)
    fault(copy)
    out, err = again(Path("out/fan.csv.meta.json"), status=1)
    assert out == ""
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_largest_difference_names_its_place() -> None:
    frame = pd.DataFrame(
        {"item_id": ["a", "a"], "timestamp": ["1", "2"], "mean": [1.0, np.nan], "0.5": [2.0, 3.0]}
    )
    assert (
        largest_difference(frame, frame.assign(mean=[1.0, np.nan]))
        == "values are the same, the bytes differ"
    )
    assert (
        largest_difference(frame, frame.assign(**{"0.5": [2.0, 3.5]}))
        == "values differ by 0.5 at most (0.5 of 'a', 2)"
    )
    assert largest_difference(frame, frame.drop(columns="0.5")).startswith("columns differ")
    assert (
        largest_difference(frame, frame.iloc[:1])
        == "rows differ: 2, now 1, or other series and times"
    )


FORMULAS = {
    "=1+1": "'=1+1",
    "+cmd": "'+cmd",
    "-cmd|' /C calc'!A0": "'-cmd|' /C calc'!A0",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t=1",
    "\r=1": "'\r=1",
    "\n=1": "'\n=1",
    "＝1": "'＝1",
    "-": "'-",
    "-inf": "'-inf",
    "-1-1": "'-1-1",
    "-1": "-1",
    "+4.5e3": "+4.5e3",
    "-.5": "-.5",
    "plain": "plain",
    "a=b": "a=b",
    "'=1": "'=1",
    "": "",
    "NA": "NA",
    "a\r=1": "a\r=1",
    'a",\n=1': 'a",\n=1',
}


def test_names_are_no_formulas_in_csv_and_untouched_in_parquet() -> None:
    assert {name: spreadsheet_safe(name) for name in FORMULAS} == FORMULAS
    frame = pd.DataFrame({"item_id": list(FORMULAS), "timestamp": "2024-01-01", "mean": 0.5})
    read = read_table_bytes(table_bytes(frame, ".csv"), ".csv")
    assert list(read["item_id"]) == list(FORMULAS.values())
    assert read["mean"].dtype == float
    assert list(read_table_bytes(table_bytes(frame, ".parquet"), ".parquet")["item_id"]) == list(
        FORMULAS
    )


def test_names_from_a_file_are_safe_and_said_and_stay_in_the_folder(tmp_path) -> None:
    names = ["=HYPERLINK(1)", "../../outside", "-x"]
    frame = pd.read_csv(SAMPLE).drop(columns="wind").set_axis(["date", *names], axis=1)
    frame.to_csv(tmp_path / "data.csv", index=False)
    inside(
        "train",
        "seasonal-naive",
        "--csv",
        "data.csv",
        *SMALL,
        "--output",
        "m",
        "--run-name",
        "../../x",
        cwd=tmp_path,
    )
    done = inside(
        "forecast",
        "--model",
        "m",
        "--csv",
        "data.csv",
        "--target",
        "-x,../../outside,=HYPERLINK(1)",
        "--output",
        "o.csv",
        cwd=tmp_path,
    )
    assert (
        "series '=HYPERLINK(1)' is written as \"'=HYPERLINK(1)\": a spreadsheet would take its name for"
        in done.stderr
    )
    assert list(dict.fromkeys(pd.read_csv(tmp_path / "o.csv")["item_id"])) == [
        "'-x",
        "../../outside",
        "'=HYPERLINK(1)",
    ]
    assert {p.name for p in tmp_path.iterdir()} == {"data.csv", "m", "o.csv", "o.csv.meta.json"}
    assert again(tmp_path / "o.csv.meta.json")[0].startswith("identical")
