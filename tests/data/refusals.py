"""Refusals of intake, each with an input, and what is asked of the remedies that they name."""

import ast
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import forecaster.data as data
from forecaster.config.schema import DataConfig
from forecaster.data.defaults import settle
from forecaster.data.problem import load_problem
from forecaster.data.reading import read_frame
from forecaster.data.tables import read_table
from forecaster.errors import UserError
from forecaster.workflows.propose import options_in

ROOM = Path(data.__file__).parent
_STEPS = {"horizon", "lookback", "lower", "upper"}


@dataclass(frozen=True)
class Refusal:
    """A file that is refused with a message, and what the message proposes.

    ``mended``: the file as the message asks for; ``values``: of options that it names without one;
    ``without``: options that it says to leave out.
    """

    message: str
    text: str | pd.DataFrame
    given: dict[str, Any] = field(default_factory=dict)
    mended: tuple[str | pd.DataFrame, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


def refused(text: str | pd.DataFrame, given: dict[str, Any], path: Path) -> UserError | None:
    """The refusal of a file, or of a frame; None if it is read and could be forecast from.

    With a horizon, a lookback or bounds among the options it is split for a training, too.
    """
    if isinstance(text, str):
        path.write_text(text)
    start = given.get("start")
    try:
        config = DataConfig(**{name: value for name, value in given.items() if name != "start"})
        source = read_frame(text, "the frame") if isinstance(text, pd.DataFrame) else path
        table = read_table(source, config.columns, start=start)
        table.interval.stamps(table.series[0].first, len(table.series[0].values) + 40)
        if _STEPS & given.keys():
            load_problem(settle(config, table)[0], table)
    except UserError as error:
        return error
    return None


def check_remedies(case: Refusal, path: Path) -> None:
    """Assert that each remedy leads to a table, or on to another message."""
    error = refused(case.text, case.given, path)
    assert error is not None
    message = str(error)
    assert re.search(case.message, message), message
    named = [{name.replace("-", "_"): text} for name, text in case.values.items()]
    remedies = [
        {**case.given, **options}
        for options in [*named, *options_in(message)]
        if not options.items() <= case.given.items()
    ]
    remedies += [{k: v for k, v in case.given.items() if k != name} for name in case.without]
    for remedy in remedies:
        again = refused(case.text, remedy, path)
        assert again is None or str(again) != message, remedy
    for text in case.mended:
        again = refused(text, case.given, path)
        assert again is None or str(again) != message
    assert remedies or case.mended, message


def _raises(path: Path) -> list[tuple[int, int]]:
    """The first and last line of each refusal in a module, but for packages that are not there."""
    text = path.read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            source = ast.get_source_segment(text, node.exc) or ""
            if not source.startswith("ValueError") and "pip install" not in source:
                found.append((node.lineno, node.end_lineno or node.lineno))
    return found


def not_refused(modules: Iterable[str], cases: Iterable[Refusal], path: Path) -> list[str]:
    """The places of these modules that refuse something, but none of the cases."""
    reached: set[tuple[str, int]] = set()
    for case in cases:
        error = refused(case.text, case.given, path)
        assert error is not None, case.message
        reached |= {
            (frame.filename, frame.lineno or 0)
            for frame in traceback.extract_tb(error.__traceback__)
        }
    return [
        f"{name}:{first}"
        for name in modules
        for first, last in _raises(ROOM / name)
        if not any((str(ROOM / name), line) in reached for line in range(first, last + 1))
    ]


def modules_with_options() -> set[str]:
    """The modules of the room that name an option of the command line in a text."""
    found = set()
    for path in ROOM.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if _has_doc(node)}
        if any(isinstance(t, str) and t not in docs and re.search(r"--[a-z]", t) for t in said):
            found.add(path.relative_to(ROOM).as_posix())
    return found


def _has_doc(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
