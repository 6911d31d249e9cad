"""What is read is never written over, and what is written has the name of its kind."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Cli

DAYS = pd.date_range("2024-01-01", periods=90).strftime("%Y-%m-%d")
TABLE = pd.DataFrame({"date": DAYS, "sold": np.arange(90) % 7 + 0.5, "open": np.arange(90) % 2})
LOST = "is read here, and would be lost; choose another name"


@pytest.fixture(scope="module")
def folder(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    TABLE[:-3].to_csv(folder / "sold.csv", index=False)
    TABLE[-3:].drop(columns="sold").to_csv(folder / "future.csv", index=False)
    steps = ("--horizon", 3, "--lookback", 14, "--set", "trainer.max_steps=2", "--known", "open")
    model = ("--output", folder / "model")
    cli("train", "nlinear", "--csv", folder / "sold.csv", *steps, *model)
    return folder


@pytest.mark.parametrize(
    ("command", "option", "name", "words"),
    [
        ("forecast", "--output", "sold.csv", LOST),
        ("forecast", "--output", "future.csv", LOST),
        ("forecast", "--template", "sold.csv", LOST),
        ("forecast", "--output", "out.xlsx", "end the name in .csv or .parquet"),
        ("forecast", "--output", "-", "not a file, as outputs are; give the name of one"),
        ("forecast --stream", "--output", "sold.csv", LOST),
        ("backtest", "--output", "sold.csv", LOST),
        ("backtest", "--output", "out.parquet", "end the name in .csv"),
        ("report", "--output", "sold.csv", "end the name in .html or .htm"),
        ("check", "--html", "sold.csv", "end the name in .html or .htm"),
        ("tune", "--output", "sold.csv", "end the name in .yaml or .yml"),
        ("tune", "--output", "own.yaml", LOST),
        ("train", "--output", "model", "holds model/sold.csv, which is read; choose another name"),
        ("forecast of a folder", "--plot", "parts/sold.html", "choose another folder"),
    ],
)
def test_a_file_that_is_read_is_refused_as_an_output(
    cli: Cli,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    option: str,
    name: str,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    read = ("--csv", "sold.csv")
    commands: dict[str, tuple[object, ...]] = {
        "forecast": ("forecast", "--model", "model", *read, "--future", "future.csv"),
        "forecast --stream": ("forecast", "--stream", "--model", "model", *read),
        "backtest": ("backtest", "--model", "seasonal-naive", *read, "--horizon", 3),
        "report": ("report", "model"),
        "check": ("check", *read),
        "tune": ("tune", "own.yaml", *read, "--horizon", 3, "--trials", 1),
        "train": ("train", "nlinear", "--csv", "model/sold.csv", "--horizon", 3),
        "forecast of a folder": ("forecast", "--model", "model", "--csv", "parts"),
    }
    Path("own.yaml").write_bytes((ROOT / "configs" / "nlinear.yaml").read_bytes())
    Path("model/sold.csv").write_bytes(Path("sold.csv").read_bytes())
    Path("parts").mkdir(exist_ok=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = cli(*commands[command], option, name, status=1)
    assert done.stderr.splitlines()[-1].endswith(words)
    assert f"{option} {name}: " in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_link_is_written_through(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "published.csv")
    (tmp_path / "published.csv").write_text("old")
    given = ("--csv", folder / "sold.csv", "--future", folder / "future.csv", "--output")
    for name in ("link.csv", "plain.csv"):
        cli("forecast", "--model", folder / "model", *given, tmp_path / name)
    assert (tmp_path / "link.csv").is_symlink()
    written = [(tmp_path / f"{name}.csv").read_bytes() for name in ("published", "plain")]
    assert written[0] == written[1]
