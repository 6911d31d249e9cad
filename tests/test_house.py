"""The house rules that a reader cannot see at a glance."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from forecaster.config.load import check_config, dump_config, find_config, load_config, read_yaml
from forecaster.config.parts import build
from forecaster.config.schema import Config
from forecaster.errors import UserError
from forecaster.models.base import Shape

PACKAGE = ROOT / "forecaster"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ["data", "diffusion", "networks"])
def test_rooms_do_not_import_each_other(room: str) -> None:
    others = {
        "data",
        "diffusion",
        "networks",
        "models",
        "training",
        "fitting",
        "predictor",
        "evaluation",
        "tracking",
        "registry",
    } - {room}
    for path in (PACKAGE / room).rglob("*.py"):
        found = {name for name in imported(path) if name.startswith("forecaster.")}
        assert not {name for name in found if name.split(".")[1] in others}, path


def test_only_the_store_imports_mlflow_and_only_fitting_and_data_know_lightning() -> None:
    # a logged model is loaded by mlflow, and served by its server: that takes two files
    store = {"store.py", "run.py", "registry.py", "pyfunc.py", "logged_model.py", "server.py"}
    for path in PACKAGE.rglob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert "mlflow" not in tops or path.name in store
        assert "lightning" not in tops or path.name in {
            "stages.py",
            "exact.py",
            "fit.py",
            "patience.py",
            "progress.py",
            "data_module.py",
        }
        assert "pytorch_lightning" not in tops


def test_array_types_of_annotations_are_classes() -> None:
    # since NumPy 2.5 NDArray is an alias of types, in which jaxtyping finds no class
    kinds = re.compile(r"\b(Float|Float32|Float64|Int|Int64|Bool|Shaped)\[(?!Tensor,|np\.ndarray,)")
    for path in PACKAGE.rglob("*.py"):
        assert not kinds.findall(path.read_text(encoding="utf-8")), path


def test_project_folders_do_not_shadow_installed_packages() -> None:
    assert not (ROOT / "mlflow" / "__init__.py").exists()
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_command_line_starts_without_the_heavy_packages() -> None:
    heavy = "{'torch', 'lightning', 'mlflow', 'pandas', 'numpy', 'gluonts', 'matplotlib'}"
    code = f"import sys, cli; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_makes_a_model_that_learns(path: Path) -> None:
    """A round trip through YAML, and a loss with finite gradients for all that can be trained."""
    config = load_config(path)
    assert check_config(read_yaml_text(dump_config(config)), "again") == config
    if config.model.name == "ensemble":
        return  # of other presets
    torch.manual_seed(0)
    model = build(config.model, Shape(channels=2, lookback=96, horizon=24, season=24))
    from forecaster.data.windows import Batch, Windows

    rows = torch.randn(200, 2).numpy()
    seen = Windows([rows], [(96, 200)], 96, 24, [0])
    for stage in model.stages():
        stage.calibrate(seen, seen)
    past, future = torch.randn(3, 2, 96), torch.randn(3, 2, 24)
    batch = Batch(
        past,
        torch.ones_like(past),
        future,
        torch.ones_like(future),
        torch.arange(3),
        torch.arange(3),
        torch.zeros(3, dtype=torch.int64),
    )
    assert model.predict(batch).shape == future.shape
    if any(p.requires_grad for p in model.parameters()):
        model.loss(batch).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        assert all(g.isfinite().all() for g in gradients)


def read_yaml_text(text: str) -> dict:
    import yaml

    return yaml.safe_load(text)


def test_yaml_cannot_make_objects(tmp_path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("model: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(UserError, match=r"evil\.yaml, line 1: not a YAML file"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["model.sampler.stepz=3"],
            "no configuration key 'model.sampler.stepz' (did you mean 'steps'?)",
        ),
        (
            ["model.network.layrs=3"],
            "no configuration key 'model.network.layrs' (did you mean 'layers'?)",
        ),
        (["trainr.seed=3"], "no configuration key 'trainr' (did you mean 'trainer'?)"),
        (
            ["data.horizon=0"],
            "configuration key 'data.horizon': input should be greater than 0, got 0",
        ),
        (
            ["data.lookback=-3"],
            "configuration key 'data.lookback': input should be greater than 0, got -3",
        ),
        (["trainer.max_epochs=many"], "configuration key 'trainer.max_epochs'"),
        (
            ["model.sampler.s=3"],
            "configuration key 'model.sampler.s': input should be less than or equal to 2, got 3",
        ),
        (["model.name=s3dbm"], "configuration key 'model'"),
        (["trainer"], "--set trainer: write KEY=VALUE"),
        (["trainer.seed.deep=1"], "'seed' is a value, not a section"),
    ],
)
def test_wrong_keys_and_values_are_told(settings: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(find_config("s2dbm"), ["trainer.seed=1", *settings])
    assert message in str(caught.value)


def test_unknown_models_name_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no model 's2dmb' \(did you mean 's2dbm'\?\)"):
        find_config("s2dmb")


def test_defaults_hold_zero() -> None:
    config = Config.model_validate(
        {"model": {"name": "diffusion", "sampler": {"s": 0}, "label": 0}}
    )
    assert config.model.sampler.s == 0
    assert config.model.label == 0
