"""Outputs that appear whole, whatever happened before."""

import os
import subprocess
import sys
from pathlib import Path

from forecaster.io.atomic import write_together


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
