"""The index of the parts against the registry, and what the command line shows of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Cli

from forecaster.config.load import load_config
from forecaster.config.part_index import (
    describe,
    full_configuration,
    heading,
    read_index,
    setting_lines,
)
from forecaster.config.parts import KINDS
from forecaster.config.paths import CONFIGS

PRESETS = sorted(CONFIGS.glob("*.yaml"))


def test_the_index_is_the_registry_s() -> None:
    assert read_index() == describe(), "a part was changed: make parts"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_shown_as_they_are_read(path: Path) -> None:
    shown, read = full_configuration(path), load_config(path).model_dump(mode="json")
    assert json.dumps(shown) == json.dumps(read)


def test_other_files_are_checked_before_they_are_shown(cli: Cli, write) -> None:
    path = write("model: {name: linear, nrom: last}\n", "own.yaml")
    assert "did you mean 'norm'" in cli("models", "show", path, status=1).stderr


def test_parts_are_listed_with_their_settings_and_defaults(cli: Cli) -> None:
    lines = cli("models", "parts", "--kind", "condition").stdout.splitlines()
    assert lines == [
        "condition history: The last steps values of the history and their mask, before the path "
        "(CSDI).",
        "    steps = 96  (int > 0, ≤ 1000000)",
        "condition linear: E(x): a linear layer from lookback to path length, shared by the channels "
        "(S²DBM).",
        "condition mixup: E(x), mixed elementwise with the true future in training (TimeDiff's "
        "future mixup).",
    ]
    whole = cli("models", "parts").stdout
    for kind in KINDS:
        for name, about in read_index()[kind].items():
            assert heading(kind, name, about) in whole
            assert all(f"    {line}\n" in whole for line in setting_lines(about["settings"]))
    assert "forecaster linear (can be a prior): " in whole
    assert "forecaster diffusion: " in whole
    assert json.loads(cli("models", "parts", "--json").stdout) == read_index()


def test_an_unknown_kind_names_the_nearest(cli: Cli) -> None:
    error = cli("models", "parts", "--kind", "networks", status=1).stderr
    assert error == (
        "error: --kind networks: no such kind of part (did you mean 'network'?); there are "
        "forecaster, network, condition, schedule, objective\n"
    )


@pytest.mark.parametrize("args", [["list"], ["show", "s2dbm"], ["parts"]], ids=" ".join)
def test_models_are_shown_without_their_code(args: list[str]) -> None:
    heavy = {"torch", "lightning", "mlflow", "gluonts", "scipy", "matplotlib", "pandas"}
    code = (
        f"import sys; sys.argv = ['forecaster', 'models', *{args}]\n"
        "from forecaster.commands.main import main\n"
        "main(standalone_mode=False)\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
