"""Mutation testing of the rooms where a wrong sign stays unseen: ``make mutate [ROOMS=…]``.

In a copy of the project a room's tests run once, so that all is imported; then once for each
mutant, in a fork, which imports again only what depends on the mutated file. What survives is
printed; ``equivalent.txt`` holds those that are known to behave like the original, and why.
"""

import argparse
import ast
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from mutants import mutants

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
        ("forecaster/models/bootstrap/*.py",),
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


def dependents(path: Path) -> set[str]:
    """The loaded modules that a change of a file changes: its own, and all that import from it."""
    changed = {".".join(path.with_suffix("").parts).removesuffix(".__init__")}
    imports = {name: _imports(module) for name, module in sys.modules.items() if _is_ours(module)}
    while more := {name for name, used in imports.items() if used & changed} - changed:
        changed |= more
    return changed


def _is_ours(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(Path.cwd())


def _imports(module: ModuleType) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def passes(tests: tuple[str, ...]) -> bool:
    import pytest

    return pytest.main([*FLAGS, *tests]) == 0


def fork(work: Callable[[], bool]) -> int:
    """The process id of a child that does its work and leaves with 0 if that went well."""
    child = os.fork()
    if child:
        return child
    good = False
    try:
        good = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0 if good else 1)


def survives(tests: tuple[str, ...], stale: set[str], limit: float) -> bool:
    """Whether the tests pass in a fork, within ``limit`` seconds, with ``stale`` imported anew."""
    child, end = fork(lambda: _passes_anew(tests, stale)), time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _passes_anew(tests: tuple[str, ...], stale: set[str]) -> bool:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    gc.disable()
    for name in stale & set(sys.modules):
        del sys.modules[name]
    return passes(tests)


def _always_anew() -> set[str]:
    """Test modules and ``conftest``, and beartype, which knows classes by their names."""
    tests = Path.cwd() / "tests"
    return {
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "beartype"
        or (_is_ours(module) and Path(str(module.__file__)).is_relative_to(tests))
    }


def run_room(name: str, known: set[str], only: set[str] | None) -> bool:
    """Print what survives, and the counts; whether the tests pass without any mutant."""
    room, start = ROOMS[name], time.monotonic()
    if not passes(room.tests):
        return False
    limit = 10 + 5 * (time.monotonic() - start)
    gc.freeze()
    sys.dont_write_bytecode = True  # or else one is taken for another of the same size and second
    fates: Counter[str] = Counter()
    for path in sorted(path for pattern in room.sources for path in Path().glob(pattern)):
        fates.update(_fates(path, room, known, only, limit))
    print(f"{name}: {fates.total()} mutants, {dict(fates)}")
    return True


def _fates(
    path: Path, room: Room, known: set[str], only: set[str] | None, limit: float
) -> Iterator[str]:
    """Of each mutant of a file: killed, equivalent or survived; only if the file itself passes."""
    source, stale = path.read_text(), dependents(path) | _always_anew()
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()
    if not survives(room.tests, stale, limit):
        sys.exit(f"{path}: imported anew, unchanged, it fails the tests")
    for mutant in mutants(source):
        if only is None or mutant.name in only:
            path.write_text(mutant.source)
            alive = mutant.name not in known and survives(room.tests, stale, limit)
            if alive:
                print(f"survived {path}:{mutant.line}  {mutant.name}", flush=True)
            yield "survived" if alive else "equivalent" if mutant.name in known else "killed"
    path.write_text(source)


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
        sys.path.insert(0, folder)
        for name in rooms:  # each begins without the modules of another
            _, status = os.waitpid(fork(partial(run_room, name, known, only)), 0)
            if status:
                sys.exit(f"{name}: the tests fail without any mutant")
        os.chdir(ROOT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; or all")
    parser.add_argument("--survivors-of", metavar="LOG", help="only what survived an earlier run")
    given = parser.parse_args()
    if unknown := set(given.rooms) - set(ROOMS):
        parser.error(f"no room {', '.join(sorted(unknown))}; there are {', '.join(ROOMS)}")
    main(given.rooms or ROOMS, given.survivors_of)
