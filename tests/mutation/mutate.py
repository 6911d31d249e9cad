"""Mutation testing of the rooms where a wrong sign stays unseen: ``make mutate [ROOMS=…]``.

Each mutant is put into a copy of the project, and the tests of its room run on it in a fork of this
process, which has imported all that is slow to import but nothing of the project. What survives is
printed; ``equivalent.txt`` holds those that are known to behave like the original, with the reason.
"""

import argparse
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant, mutants

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COPIED = ("forecaster", "tests", "configs", "datasets", "cli.py", "pyproject.toml")


@dataclass(frozen=True)
class Room:
    """Sources, and what pytest is given to test them."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "diffusion": Room(
        ("forecaster/diffusion/*.py",), ("tests/diffusion", "-k", "not 2000 and not constant_along")
    ),
    "windows": Room(("forecaster/data/windows.py",), ("tests/data/test_windows.py",)),
    "bank": Room(
        ("forecaster/models/bootstrap*.py",),
        ("tests/models/test_bank.py", "tests/models/test_scales.py"),
    ),
    "metrics": Room(
        ("forecaster/evaluation/metrics.py", "forecaster/evaluation/accumulate.py"),
        ("tests/evaluation/test_metrics.py", "tests/evaluation/test_accumulate.py"),
    ),
    "compare": Room(("forecaster/evaluation/compare.py",), ("tests/evaluation/test_compare.py",)),
    "score": Room(("forecaster/evaluation/score.py",), ("tests/evaluation/test_score.py",)),
}


# imported once; what every run would otherwise import again
SLOW = (
    "beartype",
    "click.testing",
    "gluonts.ev",
    "gluonts.evaluation.metrics",
    "lightning.pytorch",
    "pandas",
    "pydantic",
    "pytest",
    "scipy.stats",
    "scoringrules",
    "torchmetrics.functional.regression",
    "yaml",
)
# no plugins, no rewritten assertions: only whether a test fails is asked
FLAGS = ("-qx", "--assert=plain", *("-p", "no:cacheprovider"), *("-p", "no:unraisableexception"))


def warm_up() -> None:
    """Import what is slow; the forks share it."""
    for name in SLOW:
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    gc.freeze()


def survives(tests: tuple[str, ...], limit: float) -> bool:
    """Whether the tests pass in a fork; one that takes longer than ``limit`` seconds does not."""
    child = os.fork()
    if child == 0:
        _run(tests)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(tests: tuple[str, ...]) -> None:
    """The child: never returns."""
    import pytest

    gc.disable()
    status = 1
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.path.insert(0, str(Path.cwd()))
        status = int(pytest.main([*FLAGS, *tests]))
    finally:
        os._exit(status)


def run_room(room: Room, known: set[str], only: set[str] | None) -> Iterator[tuple[str, str]]:
    """Name and fate of each mutant: killed, equivalent or survived."""
    start = time.monotonic()
    if not survives(room.tests, 600):
        sys.exit(f"the tests fail without any mutant: pytest {' '.join(room.tests)}")
    sys.dont_write_bytecode = True  # that of the first run is read; a mutant leaves none
    limit = 10 + 4 * (time.monotonic() - start)
    for path in sorted(path for pattern in room.sources for path in Path().glob(pattern)):
        source = path.read_text()
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()  # or else taken for a mutant of the same size and second
        for mutant in mutants(source):
            if only is None or mutant.name in only:
                yield mutant.name, _fate(path, source, mutant, room, known, limit)


def _fate(
    path: Path, source: str, mutant: Mutant, room: Room, known: set[str], limit: float
) -> str:
    if mutant.name in known:
        return "equivalent"
    path.write_text(mutant.source)
    alive = survives(room.tests, limit)
    path.write_text(source)
    if alive:
        print(f"survived {path}:{mutant.line}  {mutant.name}", flush=True)
    return "survived" if alive else "killed"


def known_equivalents() -> set[str]:
    """The names in ``equivalent.txt``: lines that are neither blank nor a reason (#)."""
    lines = (HERE / "equivalent.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def survivors_of(log: str) -> set[str]:
    """The names of those that survived an earlier run, from what it printed."""
    lines = Path(log).read_text().splitlines()
    return {line.split("  ", 1)[1] for line in lines if line.startswith("survived ")}


def copy_project(folder: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__", "files", ".*")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skip)
        else:
            shutil.copy(source, folder / name)


def main(rooms: Iterable[str], log: str | None) -> None:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    known, only = known_equivalents(), None if log is None else survivors_of(log)
    warm_up()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy_project(Path(folder))
        os.chdir(folder)
        for name in rooms:
            sys.dont_write_bytecode = False
            fates = Counter(fate for _, fate in run_room(ROOMS[name], known, only))
            print(f"{name}: {fates.total()} mutants, {dict(fates)}", flush=True)
        os.chdir(ROOT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", default=list(ROOMS), choices=[*ROOMS, []])
    parser.add_argument("--survivors-of", metavar="LOG", help="only what survived an earlier run")
    given = parser.parse_args()
    main(given.rooms or ROOMS, given.survivors_of)
