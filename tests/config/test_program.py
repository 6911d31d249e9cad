"""What is told to be run can be run as it stands."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from forecaster.config import program as module
from forecaster.config.program import install_extra, program

STARTS = [
    (ROOT, "cli.py", "python cli.py"),
    (ROOT, "/somewhere/forecaster/__main__.py", "python -m forecaster"),
    (None, "/somewhere/forecaster/__main__.py", "python -m forecaster"),
    (None, "/somewhere/bin/forecaster", "forecaster"),
    (ROOT, "/somewhere/bin/forecaster", "forecaster"),  # installed so that the checkout is used
    (None, "forecaster.exe", "forecaster"),
    (ROOT, "/somewhere/pytest/__main__.py", "python cli.py"),
    (None, "/somewhere/pytest/__main__.py", "forecaster"),
    (None, "", "forecaster"),
]


@pytest.mark.parametrize(("checkout", "started", "named"), STARTS)
def test_the_program_is_named_as_it_was_started(
    checkout: Path | None, started: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(module, "CHECKOUT", checkout)
    assert program() == named


def test_an_extra_is_of_the_installed_package_or_of_the_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert install_extra("tune") == "pip install '.[tune]'"
    monkeypatch.setattr(module, "CHECKOUT", None)
    assert install_extra("tune") == "pip install 'forecaster[tune]'"


@pytest.mark.parametrize("start", ["cli.py", "-m forecaster"])
def test_usage_and_hint_name_the_program_and_the_hint_works(start: str) -> None:
    command = [sys.executable, *start.split()]
    done = subprocess.run([*command, "--nothing"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    usage, hint, *_ = done.stderr.splitlines()
    assert usage == f"Usage: python {start} [OPTIONS] COMMAND [ARGS]..."
    assert hint == f"Try 'python {start} --help' for help."
    shown = subprocess.run(
        [sys.executable, *shlex.split(hint.split("'")[1])[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    bare = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.stdout.startswith(usage)
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, shown.stdout, "")
