"""Custom parts that are not what they should be are refused in one line, and their code is kept."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, SAMPLE, Cli

import forecaster
from forecaster.config.parts import Trust, find, reference_of
from forecaster.errors import UserError

# a forecaster without settings
HOLD = """
import torch
from forecaster import Forecaster

class Hold(Forecaster):
    def __init__(self, config, shape):
        super().__init__()
        self.horizon = shape.horizon
        self.step = torch.nn.Parameter(torch.zeros(()))

    def predict(self, batch, steps=None):
        return (batch.past[..., -1:] + self.step).expand(-1, -1, self.horizon)

    def loss(self, batch):
        return ((batch.future - self.predict(batch)) ** 2 * batch.future_mask).mean()
"""
TRAIN = ["train", "--csv", SAMPLE, "--horizon", 3, "--lookback", 7, "--set", "trainer.max_steps=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("custom")
    (folder / "hold.py").write_text(HOLD, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def saved(cli: Cli, place: Path) -> Path:
    cli(*TRAIN, "--set", "model={name: 'hold.py:Hold'}", "--output", "hold", cwd=place)
    return place / "hold"


def test_a_part_needs_no_settings(cli: Cli, saved: Path, tmp_path: Path) -> None:
    cli("forecast", "--model", saved, "--csv", SAMPLE, "--trust-code", cwd=tmp_path)
    values = (tmp_path / "forecast.csv").read_text(encoding="utf-8").splitlines()
    assert len(values) > 3


@pytest.mark.parametrize(
    ("kind", "reference", "problem"),
    [
        ("network", "hold.py:Hold", "no network; derive it from forecaster.networks.base."),
        ("condition", "hold.py:Hold", "no condition; derive it from forecaster.networks.cond"),
        ("objective", "hold.py:Hold", "no objective; derive it from forecaster.models.diff"),
        ("schedule", "os:system", "no schedule; decorate it with forecaster.register"),
        ("forecaster", "os:system", "no forecaster; derive it from forecaster.models.base."),
        ("forecaster", "hold.py:Held", "there is no 'Held' in hold.py; correct the name"),
        ("forecaster", "no_module:Hold", "no_module: there is no such module; correct its name"),
    ],
)
def test_what_is_no_such_part_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reference: str, problem: str
) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(UserError) as refused:
        find(kind, reference, Trust(code=True))  # type: ignore[arg-type]
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x = 1\nclass Hold(:\n", "SyntaxError: invalid syntax (broken.py, line 2)); mend it"),
        ("\nimport no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module', l"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3, line 2"),
        ("def f():\n    1 / 0\n\nf()\n", "ZeroDivisionError: division by zero, line 2"),
    ],
)
def test_an_import_that_fails_is_one_line(
    cli: Cli, tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(content, encoding="utf-8")
    refused = cli(*TRAIN, "--set", f"model={{name: '{file}:Hold'}}", status=1).stderr
    assert refused.startswith(f"error: {file}: its import failed ({reason}")
    assert refused.count("\n") == 1


@pytest.mark.parametrize("reference", ["../outside.py:Hold", "/{}/outside.py:Hold"])
def test_a_saved_model_names_no_file_outside_itself(
    cli: Cli, saved: Path, tmp_path: Path, reference: str
) -> None:
    """Trust is in the model, which may lie beside a stranger's files."""
    model = tmp_path / "model"
    shutil.copytree(saved, model)
    (model / "outside.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + HOLD)
    config = model / "config.yaml"
    named = reference.replace("/{}", str(model))
    config.write_text(config.read_text(encoding="utf-8").replace("hold.py:Hold", named))
    refused = cli("forecast", "--model", model, "--csv", SAMPLE, "--trust-code", status=1)
    assert "leads out of the saved model" in refused.stderr
    assert not (tmp_path / "ran").exists()


def test_a_link_out_of_a_saved_model_is_refused(cli: Cli, saved: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(saved, model)
    (tmp_path / "outside.py").write_text(HOLD, encoding="utf-8")
    (model / "code" / "hold.py").unlink()
    (model / "code" / "hold.py").symlink_to(tmp_path / "outside.py")
    refused = cli("forecast", "--model", model, "--csv", SAMPLE, "--trust-code", status=1)
    assert "outside the saved model" in refused.stderr or "leads out of" in refused.stderr


@pytest.mark.slow
def test_a_module_beside_the_program_is_stored_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained by its name in one process, loaded in another that cannot import it."""
    module = tmp_path / "modules" / "held.py"
    module.parent.mkdir()
    module.write_text(HOLD, encoding="utf-8")
    monkeypatch.syspath_prepend(str(module.parent))
    held = importlib.import_module("held")
    short = {"trainer.max_steps": 1, "trainer.point_windows": 4}
    forecaster.train(
        SAMPLE,
        model=held.Hold,
        horizon=3,
        lookback=7,
        tracking=False,
        refit="none",
        output=tmp_path / "model",
        settings=short,
    )
    monkeypatch.delitem(sys.modules, "held")
    assert (tmp_path / "model" / "code" / "held.py").read_text(encoding="utf-8") == HOLD
    code = """if True:
        import sys
        import forecaster
        frame = forecaster.load("model", trust_code=True).forecast(sys.argv[1]).frame
        print(len(frame), "held" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(SAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["12", "False"]


def test_a_configuration_is_shown_without_running_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + HOLD)
    (tmp_path / "mine.yaml").write_text("title: mine\nmodel: {name: 'mine.py:Hold'}\n")
    refused = cli("models", "show", "mine.yaml", status=1, cwd=tmp_path)
    assert "--trust-code" in refused.stderr
    assert not (tmp_path / "ran").exists()
    shown = cli("models", "show", "mine.yaml", "--trust-code", cwd=tmp_path).stdout
    assert "mine.py:Hold" in shown


def test_a_custom_part_is_tuned(cli: Cli, place: Path) -> None:
    (place / "hold.yaml").write_text(
        "title: hold\nmodel: {name: 'hold.py:Hold'}\ntrainer: {max_steps: 1}\n", encoding="utf-8"
    )
    options = ["--csv", SAMPLE, "--horizon", 3, "--lookback", 7, "--trials", 2]
    done = cli("tune", "hold.yaml", *options, "--output", "tuned.yaml", cwd=place)
    assert "hold.py:Hold" in (place / "tuned.yaml").read_text(encoding="utf-8"), done.stdout


@pytest.mark.filterwarnings("ignore:.*type hint is inferred:UserWarning")
def test_mlflow_s_pyfunc_names_the_command_that_serves_it(saved: Path) -> None:
    from forecaster.serving.pyfunc import SavedPyfunc

    with pytest.raises(UserError, match="forecaster serve --trust-code"):
        SavedPyfunc().load_context(SimpleNamespace(artifacts={"saved": str(saved)}))


def test_a_class_within_a_function_has_no_reference() -> None:
    class Local: ...

    with pytest.raises(UserError, match="Local: defined in a function; define it in a module"):
        reference_of(Local)
