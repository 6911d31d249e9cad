"""The examples in the docstrings of the Python interface are executed, and there is one for each public name."""

import doctest
import importlib
import pkgutil

import pytest
from conftest import ROOT

from forecaster import api

MODULES = [f"forecaster.api.{module.name}" for module in pkgutil.iter_modules(api.__path__)]
EXAMPLES = [
    pytest.param(test, id=test.name.removeprefix("forecaster.api."))
    for module in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(module))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_gives_what_it_says(
    example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(example).failed == 0, capsys.readouterr().out
    assert capsys.readouterr().err == ""
