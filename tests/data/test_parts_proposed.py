"""Of a file with several tables ``check`` proposes the largest, with what it needs."""

import shlex
import zipfile
from pathlib import Path

import pytest
from workbook_files import xlsx

from forecaster.workflows.check import examine

DAYS = [f"2024-01-{day:02d}" for day in range(1, 31) if day != 5]


def proposed(path: Path) -> list[str]:
    """The words of the only command from its file on."""
    (command,) = examine(path, {}).outcome["commands"]
    words = shlex.split(command)
    return words[words.index("--csv") + 1 :]


def check_part(part: str) -> None:
    found = examine(Path(part), {"on_gap": "fill"}).outcome
    assert (found["refused"], found["length"], found["interval"]) == (None, 30, "D")


def test_a_member_is_proposed(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    rows = "".join(f"{day},{i % 7}\n" for i, day in enumerate(DAYS))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small.csv", "day,x\n2024-01-01,1\n")
        archive.writestr("the data.csv", f"day,x\n{rows}")
    part, *options = proposed(path)
    assert (part, options) == (f"{path}::the data.csv", ["--on-gap", "fill"])
    check_part(part)


def test_a_sheet_is_proposed(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    path = tmp_path / "both.xlsx"
    rows = [[day, float(i % 7)] for i, day in enumerate(DAYS)]
    path.write_bytes(xlsx({"notes": [["by", "me"]], "the data": [["day", "x"], *rows]}))
    part, *options = proposed(path)
    assert (part, options) == (f"{path}::the data", ["--on-gap", "fill"])
    check_part(part)
