"""Numbers in a configuration have bounds, and what they make together has one, too."""

import re
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT

from forecaster.config.load import check_config, find_config, load_config, read_yaml
from forecaster.config.schema import Config, TrainerConfig
from forecaster.errors import UserError
from forecaster.models import size
from forecaster.models.base import Shape
from forecaster.models.ensemble import EnsembleConfig
from forecaster.models.size import LARGEST, build_model
from forecaster.workflows.candidates import LEARNT, member_of

SMALL = Shape(channels=2, lookback=56, horizon=14, season=7)
PRESETS = sorted((ROOT / "configs").glob("*.yaml"))


def preset(name: str, *settings: str) -> Config:
    return load_config(ROOT / "configs" / f"{name}.yaml", settings)


def test_what_one_reading_changes_is_not_in_the_next() -> None:
    """A text is parsed once; the sections that settings change are those of one reading."""
    before = preset("s4d")
    preset("s4d", "model.width=3", "trainer.batch_size=7")
    assert preset("s4d") == before


@pytest.mark.parametrize(
    ("name", "key", "value", "most"),
    [
        ("s4d", "model.layers", 10**9, 64),
        ("s4d", "model.state", 20_000, 256),
        ("s4d", "model.width", 10**7, 4_096),
        ("s4d", "model.width", 10**40, 4_096),
        ("transformer", "model.feed_forward", 10**7, 4_096),
        ("csdi", "model.network.layers", 10**9, 64),
        ("csdi", "model.network.step_embedding", 10**7, 4_096),
        ("csdi", "model.schedule.steps", 10**9, 4_096),
        ("sorted-levels", "model.levels", 10**9 + 1, 4_096),
        ("residual-bootstrap", "model.paths", 10**9, 1_000_000),
        ("seasonal-naive", "model.season", 10**9, 1_000_000),
        ("nlinear", "data.lookback", 50_000_000, 100_000),
        ("nlinear", "data.horizon", 10**40, 100_000),
        ("nlinear", "trainer.batch_size", 10**9, 65_536),
        ("nlinear", "trainer.score_samples", 10**9, 10_000),
        ("nlinear", "trainer.devices", 10**9, 1_024),
        ("nlinear", "trainer.max_epochs", 10**9, 1_000_000),
    ],
)
def test_a_number_beyond_its_bound_is_refused_by_its_key(
    name: str, key: str, value: int, most: int
) -> None:
    with pytest.raises(
        UserError, match=rf"'{re.escape(key)}': input should be less than or .*{most}, "
    ):
        preset(name, f"{key}={value}")


def test_the_largest_number_is_taken() -> None:
    assert preset("nlinear", "data.lookback=100000").data.lookback == 100_000


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_bundled_models_of_the_widest_data_are_within_the_bound(path: Path) -> None:
    wide = Shape(channels=862, lookback=720, horizon=720, season=24, series=862)
    model = load_config(path).model
    if isinstance(model, EnsembleConfig):
        assert isinstance(model.candidates, str)
        members = tuple(member_of(name, TrainerConfig()) for name in LEARNT[model.candidates])
        model = model.model_copy(update={"members": members})
    build_model(model, wide)


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("nlinear", (), Shape(2, 100_000, 100_000, 7)),
        ("quantile-linear", (), Shape(2, 50_000, 50_000, 7)),
        ("transformer", ("model.width=4096", "model.heads=8", "model.layers=64"), SMALL),
        ("s2dbm", ("model.network.width=4096", "model.network.layers=64"), SMALL),
    ],
)
def test_a_model_of_too_many_numbers_is_refused_before_it_is_made(
    name: str, settings: tuple[str, ...], shape: Shape
) -> None:
    config = preset(name, *settings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=rf"^model: it would have more than {LARGEST} numbers"):
        build_model(config.model, shape)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4 * LARGEST / 1000  # kilobytes: never more than the bound itself


def test_all_ways_of_making_a_tensor_are_counted() -> None:
    makers: list[Any] = [
        lambda: torch.empty(2, 3),
        lambda: torch.empty((2, 3)),
        lambda: torch.zeros(size=(2, 3)),
        lambda: torch.ones([2, 3]),
        lambda: torch.full((2, 3), 1.0),
        lambda: torch.rand(2, 3),
        lambda: torch.randn(2, 3),
        lambda: torch.nn.Linear(3, 2, bias=False),
    ]
    for make in makers:
        with size.Counted(6):
            make()
        with pytest.raises(UserError, match="more than 5 numbers"), size.Counted(5):
            make()
    for sizes, numbers in (((3,), 9), ((3, 2), 6)):
        with size.Counted(numbers):
            torch.eye(*sizes)
        with pytest.raises(UserError), size.Counted(numbers - 1):
            torch.eye(*sizes)


def test_parts_in_parts_without_end_are_refused_in_one_line() -> None:
    model: dict[str, Any] = {"name": "seasonal-naive"}
    for _ in range(2_000):
        model = {"name": "average", "members": [model]}
    with pytest.raises(UserError, match="nested too deeply"):
        check_config({"model": model}, "bad.yaml")


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("model: {name: nlinear}\ntrainer: {}\nmodel: {name: rlinear}\n", 3, "model"),
        ("model:\n  name: nlinear\n  loss: l1\n  name: rlinear\n", 4, "name"),
        ("models:\n- {a: 1}\n- {a: 1,\n   b: 2, a: 3}\n", 4, "a"),
        ("24: x\n0x18: y\n", 2, "0x18"),
        ("a: {true: 1, yes: 2}\n", 1, "yes"),
    ],
)
def test_a_key_given_twice_is_refused(tmp_path: Path, text: str, line: int, key: str) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_yaml(path)
    reason = f"not a YAML file (the key '{key}' is given twice); correct it"
    assert str(refused.value) == f"{path}, line {line}: {reason}"


def test_a_key_of_several_mappings_and_values_is_given_once_in_each(tmp_path: Path) -> None:
    path = tmp_path / "once.yaml"
    path.write_text("a: &x {a: a, b: [a, a, {a: 1}]}\nb: *x\nc: [*x, *x]\n")
    (tmp_path / "merged.yaml").write_text("a: &x {b: 1}\nc: {<<: *x, b: 2, '1': 1, 1: 2}\n")
    assert read_yaml(tmp_path / "merged.yaml")["c"] == {"b": 2, "1": 1, 1: 2}
    x = {"a": "a", "b": ["a", "a", {"a": 1}]}
    assert read_yaml(path) == {"a": x, "b": x, "c": [x, x]}


def test_a_setting_whose_value_gives_a_key_twice_is_refused() -> None:
    setting = "model={name: nlinear, loss: l1, name: rlinear}"
    with pytest.raises(UserError) as refused:
        load_config(find_config("nlinear"), [setting])
    assert str(refused.value) == f"--set {setting}: the key 'name' is given twice; correct it"
