"""Static covariates in a file of their own: what they are worth, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Cli

import forecaster
from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.inference.saved_model import load_model
from forecaster.serving.request import forecast_request

DAYS = pd.date_range("2024-01-01", periods=80).strftime("%Y-%m-%d")
SLOPES = {"flat": 0.0, "steep": 1.0}
KINDS = {"a": "flat", "b": "steep", "c": "flat", "d": "steep", "e": "flat", "f": "steep"}
STATIC = "".join(
    ["shop,kind,size\n", *(f"{i},{k},{n}\n" for n, (i, k) in enumerate(KINDS.items()))]
)
SHAPE = ("--horizon", 5, "--lookback", 10)
BRIEF = ("--set", "trainer.max_steps=2", "--set", "trainer.score_windows=0")


def long(kinds: dict[str, str]) -> str:
    """Noise, and in shops of a kind every tenth row of the 80 a step up."""
    noise = np.random.default_rng(0).normal(size=(len(kinds), len(DAYS)))
    return "shop,day,y\n" + "".join(
        f"{shop},{day},{SLOPES[kind] * (i // 10) + noise[n, i]:.3f}\n"
        for n, (shop, kind) in enumerate(kinds.items())
        for i, day in enumerate(DAYS)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("static")
    (path / "sales.csv").write_text(long(KINDS))
    (path / "shops.csv").write_text(STATIC)
    (path / "new.csv").write_text(long({**KINDS, "new": "steep"}))
    (path / "newer.csv").write_text(STATIC + "new,steep,6\n")
    # the same as columns of the long file
    sales = pd.read_csv(path / "sales.csv")
    sales.merge(pd.read_csv(path / "shops.csv")).to_csv(path / "joined.csv", index=False)
    return path


@pytest.fixture(scope="module")
def trained(cli: Cli, folder: Path) -> Path:
    given = ("--csv", folder / "sales.csv", *SHAPE, "--static-file", folder / "shops.csv")
    cli("train", "nlinear", *given, *BRIEF, "--output", folder / "model")
    return folder / "model"


def test_a_file_of_its_own_is_as_columns_of_the_long_file(cli: Cli, folder: Path, trained) -> None:
    given = ("--csv", folder / "joined.csv", *SHAPE, "--static", "kind,size", "--target", "y")
    cli("train", "nlinear", *given, *BRIEF, "--output", folder / "columns")
    apart, joined = folder / "apart.csv", folder / "columns.csv"
    cli("forecast", "--model", trained, "--csv", folder / "sales.csv", "--output", apart)
    cli(
        "forecast",
        "--model",
        folder / "columns",
        "--csv",
        folder / "joined.csv",
        "--output",
        joined,
    )
    assert apart.read_bytes() == joined.read_bytes()


def test_check_and_evaluate_read_it(cli: Cli, folder: Path, trained) -> None:
    given = ("--csv", folder / "sales.csv", "--static-file", folder / "newer.csv")
    said = cli("check", *given, *SHAPE).stdout
    assert f"newer.csv: 1 item(s) that {folder / 'sales.csv'} does not hold left out: 'new'" in said
    assert f"--static-file {folder / 'newer.csv'}" in said.splitlines()[0]
    scored = cli("evaluate", "--model", trained, *given, "--origins", 2, "--json").stdout
    assert json.loads(scored)["metrics"]["test/mae"] > 0


def test_an_item_that_is_new_needs_the_file_again(cli: Cli, folder: Path, trained) -> None:
    given = ("forecast", "--model", trained, "--csv", folder / "new.csv")
    output = ("--output", folder / "new_out.csv")
    refused = cli(*given, *output, status=1).stderr
    assert refused == (
        f"error: {folder / 'new.csv'}: series 'new' was not in the training, and its static values "
        "('kind', 'size') are not known; give --static-file FILE with a row for it\n"
    )
    cli(*given, *output, "--static-file", folder / "newer.csv")
    made = pd.read_csv(folder / "new_out.csv")
    assert set(made["item_id"]) == {*KINDS, "new"}
    again = cli("reproduce", folder / "new_out.csv.meta.json").stdout
    assert again.startswith("identical: new_out.csv")
    frame = (
        forecaster.load(trained)
        .forecast(folder / "new.csv", static_file=folder / "newer.csv")
        .frame
    )
    np.testing.assert_allclose(frame["mean"], made["mean"], rtol=1e-12)
    (folder / "newer.csv").write_text(STATIC + "new,flat,6\n")
    changed = cli("reproduce", folder / "new_out.csv.meta.json", status=1).stderr
    assert "newer.csv: changed since the forecast" in changed
    (folder / "newer.csv").write_text(STATIC + "new,steep,6\n")


def test_a_file_with_other_columns_or_kinds_is_refused(cli: Cli, folder: Path, trained) -> None:
    saved = load_model(trained)
    for text, words in (
        ("shop,kind\nnew,flat\n", "no column 'size', which the model knows as static"),
        ("shop,kind,siz\nnew,flat,6\n", "no column 'size' (did you mean 'siz'?), which"),
        ("shop,kind,size\nnew,flat,big\n", "column 'size' holds texts, the model knows numbers"),
        ("shop,kind,size\nnew,1,2\n", "column 'kind' holds numbers, the model knows texts"),
    ):
        (folder / "other.csv").write_text(text)
        given = ("--model", trained, "--csv", folder / "new.csv", "--output", folder / "x.csv")
        refused = cli("forecast", *given, "--static-file", folder / "other.csv", status=1)
        assert words in refused.stderr
    # a server reads no file that a request names
    frame = pd.read_csv(folder / "sales.csv")
    assert len(forecast_request(saved, frame, {"static_file": None})[0]) == 6 * 5
    with pytest.raises(UserError, match="'static_file'"):
        forecast_request(saved, frame, {"static_file": str(folder / "newer.csv")})


def test_a_model_without_it_refuses_it(cli: Cli, folder: Path) -> None:
    cli(
        "train", "nlinear", "--csv", folder / "sales.csv", *SHAPE, *BRIEF, "--output", folder / "no"
    )
    given = ("--model", folder / "no", "--csv", folder / "sales.csv", "--output", folder / "x.csv")
    refused = cli("forecast", *given, "--static-file", folder / "shops.csv", status=1).stderr
    assert refused.startswith("error: --static-file: the model was trained without one")
    cli("forecast", *given)  # the remedy


@pytest.mark.parametrize(
    ("text", "words", "mended"),
    [
        (
            STATIC + "b,flat,7\n",
            "line 8, column 'shop': item 'b' stands in line 3, too; leave one row",
            STATIC,
        ),
        (
            STATIC.replace("c,flat,2\n", ""),
            "no row for 'c' of {csv}; add it, with blank cells for what is not known",
            STATIC.replace("c,flat,2\n", "c,,\n"),
        ),
        (STATIC + ",flat,7\n", "line 8, column 'shop': the item has no name; fill it in", STATIC),
        ("shop\na\n", "only one column; the file needs", STATIC),
        (
            STATIC.replace("size", "y"),
            "column 'y' is taken from {csv} already; rename it, or leave it out",
            STATIC,
        ),
        (STATIC.replace("steep,5", "steep,5 or 6"), "line 7, column 'size'", STATIC),
    ],
)
def test_what_is_wrong_in_it_is_told_with_its_place(
    folder: Path, tmp_path: Path, text: str, words: str, mended: str
) -> None:
    file, csv = tmp_path / "static.csv", folder / "sales.csv"
    file.write_text(text)
    columns = Columns(static_file=file)
    with pytest.raises(UserError) as error:
        read_table(csv, columns)
    assert str(error.value).startswith(f"{file}")
    assert words.format(csv=csv) in str(error.value)
    file.write_text(mended)
    table = read_table(csv, columns)
    assert [series.static.shape for series in table.series] == [(2,)] * 6
    assert [each.name for each in table.covariates.static] == ["kind", "size"]


def test_a_wide_file_is_refused_and_a_long_one_read(folder: Path, tmp_path: Path) -> None:
    sales = pd.read_csv(folder / "sales.csv")
    wide = tmp_path / "wide.csv"
    sales.pivot(index="day", columns="shop", values="y").to_csv(wide)
    columns = Columns(static_file=folder / "shops.csv")
    with pytest.raises(UserError, match="or write the file long, with a row an item and time"):
        read_table(wide, columns)
    melted = pd.read_csv(wide).melt("day", var_name="shop", value_name="y")
    melted.to_csv(wide, index=False)
    table = read_table(wide, columns)
    assert [float(series.static[1]) for series in table.series] == [0, 1, 2, 3, 4, 5]
    levels = table.covariates.static[0].levels
    assert [levels[int(series.static[0])] for series in table.series] == list(KINDS.values())
