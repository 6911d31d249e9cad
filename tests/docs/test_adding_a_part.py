"""docs/adding-a-part.md is executed: its files are written, its commands and its Python run."""

import contextlib
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, Cli
from documents import DOCS, SHORT, arguments, blocks, commands

from forecaster.config.parts import Part, parts

PAGE = (DOCS / "adding-a-part.md").read_text(encoding="utf-8")
_TITLED = re.compile(r'^```(?:python|yaml) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FILES = dict(_TITLED.findall(PAGE))
_SHORT = [word for key, value in SHORT.items() for word in ("--set", f"trainer.{key}={value}")]
FURTHER = {"train": _SHORT, "evaluate": ["--limit", "2"], "forecast": ["--samples", "4"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    shutil.copy(SAMPLE, folder)
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(cli: Cli, place: Path) -> Path:
    """The folder after all commands of the page."""
    executed = []
    with contextlib.chdir(place):
        for words in commands(PAGE):
            given = arguments(words)
            assert given is not None, words
            executed.append(given[0])
            cli(*given, *FURTHER.get(given[0], []))
    assert executed.count("train") == len([name for name in FILES if name.endswith(".py")]) == 3
    return place


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"),
    [("my_net", "my_net.py"), ("my_prior", "my_prior.py"), ("my_model", "my_model.py")],
)
def test_saved_models_hold_the_code_and_run_it_only_if_trusted(
    cli: Cli, trained: Path, name: str, file: str, tmp_path: Path
) -> None:
    """Also where the file is gone; without trust not one line of it is run."""
    model = tmp_path / "moved"
    shutil.copytree(trained / name, model)
    assert (model / "code" / file).read_text(encoding="utf-8") == FILES[file]
    (model / "code" / file).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + FILES[file])
    record = json.loads((model / "metadata.json").read_text())
    changed = hashlib.sha256((model / "code" / file).read_bytes()).hexdigest()
    record["files"][f"code/{file}"] = changed
    (model / "metadata.json").write_text(json.dumps(record))
    for command in (["forecast", "--csv", SAMPLE], ["evaluate", "--csv", SAMPLE, "--origins", 1]):
        refused = cli(*command, "--model", model, status=1, cwd=tmp_path)
        assert refused.stderr == (
            f"error: {file}:{_class(file)}: this model runs code of its own, which may do anything; "
            "if you know who wrote it, give --trust-code (in Python: trust_code=True)\n"
        )
    assert not (tmp_path / "ran").exists()
    options = ["--model", model, "--csv", SAMPLE, "--samples", 4, "--trust-code"]
    cli("forecast", *options, cwd=tmp_path)
    assert (tmp_path / "ran").exists()
    assert (tmp_path / "forecast.csv").is_file()


def _class(file: str) -> str:
    found = re.search(r"^class (\w+)", FILES[file], re.MULTILINE)
    assert found is not None
    return found[1]


def test_settings_of_one_s_own_are_checked_as_all_others(cli: Cli, place: Path) -> None:
    train = ["train", "--csv", SAMPLE, "--horizon", 7, "--lookback", 28, "--set"]
    mistyped = cli(
        *train, 'model.network={name: "my_net.py:MyNet", widht: 3}', status=1, cwd=place
    ).stderr
    assert "no configuration key 'model.network.widht' (did you mean 'width'?)" in mistyped
    missing = cli(*train, 'model.network={name: "my_net.py:Net"}', status=1, cwd=place).stderr
    assert missing.startswith("error: my_net.py:Net: there is no 'Net' in my_net.py; correct the")
    gone = cli(*train, 'model.network={name: "your_net.py:Net"}', status=1, cwd=place).stderr
    assert "your_net.py: no such file" in gone


@pytest.mark.slow
def test_the_forecaster_s_own_quantiles_are_written(trained: Path) -> None:
    """The forecast of the page's last command: symmetric around its median."""
    import pandas as pd

    frame = pd.read_csv(trained / "forecast.csv")
    half = frame["0.9"] - frame["0.5"]
    assert (half > 0).all()
    pd.testing.assert_series_equal(half, frame["0.5"] - frame["0.1"], check_names=False, rtol=1e-4)
    meta = json.loads((trained / "forecast.csv.meta.json").read_text(encoding="utf-8"))
    assert meta["model_name"] == "my_model.py:MyModel"


@pytest.mark.slow
def test_python_trains_the_class_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forecaster.config import load

    whole = load.check_config

    def shortened(content: dict[str, Any], *rest: Any) -> Any:
        return whole({**content, "trainer": {**content.get("trainer", {}), **SHORT}}, *rest)

    monkeypatch.setattr(load, "check_config", shortened)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "my_model", raising=False)
    untitled = [block for block in blocks(PAGE, "python") if block not in FILES.values()]
    names: dict[str, Any] = {}
    with contextlib.chdir(place):
        exec(compile(untitled[0], "adding-a-part.md", "exec"), names)
    columns = list(names["forecast"].frame.columns)
    assert columns[2:] == ["mean", "median", "0.1", "0.5", "0.9"]


def test_a_part_of_the_program_registers_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    untitled = [block for block in blocks(PAGE, "python") if block not in FILES.values()]
    known = parts("network")
    monkeypatch.setattr("forecaster.config.parts._parts", {"network": dict(known)})
    names: dict[str, Any] = {}
    exec(compile(untitled[1], "adding-a-part.md", "exec"), names)
    assert parts("network")["my-net"] == Part(
        "network", "my-net", names["MyNetConfig"], names["MyNet"]
    )
