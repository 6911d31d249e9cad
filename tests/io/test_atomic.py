"""Outputs that appear whole, whatever happened before."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from forecaster.errors import UserError
from forecaster.io.atomic import check_file, write_together


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Of the same output only, and never of a process that goes on."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    dead = [tmp_path / f".out.{ended.pid}.part.csv", tmp_path / f".out.csv.{ended.pid}.part.json"]
    kept = [
        tmp_path / f".other.{ended.pid}.part.csv",
        tmp_path / f".out.{os.getppid()}.part.csv",
        tmp_path / ".out.mine.part.csv",
    ]
    for path in [*dead, *kept]:
        path.write_text("x")
    write_together(
        {
            tmp_path / name: lambda path: path.write_text("whole")
            for name in ("out.csv", "out.csv.json")
        }
    )
    assert sorted(tmp_path.iterdir()) == sorted(
        [*kept, tmp_path / "out.csv", tmp_path / "out.csv.json"]
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "a folder; give the name of a file in it"),
        ("-", "not a file, as outputs are; give the name of one"),
        ("pipe", "not a file, as outputs are; give the name of one"),
        ("table.xlsx", "not a kind of file that is written here; end the name in .csv or .parquet"),
        (
            "table.csv.gz",
            "not a kind of file that is written here; end the name in .csv or .parquet",
        ),
        ("read.csv", "is read here, and would be lost; choose another name"),
        ("again.csv", "is read here, and would be lost; choose another name"),
        ("link.csv", "is read here, and would be lost; choose another name"),
        ("read/more.parquet", "lies in the folder that is read; choose another folder"),
    ],
)
def test_no_file_is_written_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "read"):
        Path(folder).mkdir()
    os.mkfifo("pipe")
    Path("read.csv").write_text("x")
    os.link("read.csv", "again.csv")
    Path("link.csv").symlink_to("read.csv")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"^--output {re.escape(name)}: {re.escape(words)}$"):
        check_file(Path(name), (".csv", ".parquet"), Path("read.csv"), None, Path("read"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_file_or_one_of_before_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "old.CSV").write_text("x")
    for name in ("old.CSV", "new/table.parquet"):
        check_file(tmp_path / name, (".csv", ".parquet"), tmp_path / "read.csv")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["new", "old.CSV"]


def test_the_folder_of_a_link_is_that_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "new" / "target.csv")
    check_file(tmp_path / "link.csv")
    assert (tmp_path / "new").is_dir()


def test_what_a_link_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    target, link = tmp_path / "published" / "now", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    endings = []

    def write(path: Path) -> None:
        endings.append(path.suffix)
        path.write_text("new")

    write_together({link: write})
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert endings == [".csv"]
    assert sorted(tmp_path.rglob("*")) == [link, target.parent, target]


def test_the_name_that_was_given_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{tmp_path}/none/out\.csv: cannot be written \(No such"):
        write_together({tmp_path / "none" / "out.csv": lambda path: path.write_text("x")})
