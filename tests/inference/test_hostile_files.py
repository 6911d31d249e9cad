"""Saved models that claim to be larger than they are, or would grow, are refused unread."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import forecaster
from forecaster.errors import UserError
from forecaster.inference import saved_model, tensor_files
from forecaster.inference.saved_model import load_model

DAYS = pd.date_range("2024-01-01", periods=200)
TABLE = pd.DataFrame({"date": DAYS, "a": np.arange(200) % 7 + 0.5, "b": np.arange(200) % 5})


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "model"
    forecaster.train(
        TABLE,
        model="residual-bootstrap",
        horizon=3,
        lookback=14,
        tracking=False,
        settings={"model.base": {"name": "linear"}, "trainer.max_epochs": 1},
    ).save(folder)
    return folder


@pytest.fixture
def model(honest: Path, tmp_path: Path) -> Path:
    """A copy without checksums, as models of older versions are."""
    folder = tmp_path / "model"
    shutil.copytree(honest, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["files"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    load_model(folder)
    return folder


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor is read."""

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(saved_model, "read_tensors", refuse)


def sparse(path: Path, sizes: dict[str, list[int]], length: int) -> None:
    """A file of tensors that says it holds these, and takes no room."""
    content, begin = {}, 0
    for name, size in sizes.items():
        end = begin + 4 * int(np.prod(size))
        content[name] = {"dtype": "F32", "shape": size, "data_offsets": [begin, end]}
        begin = end
    header = json.dumps(content).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(length)


@pytest.mark.parametrize("name", ["weights", "calibration"])
@pytest.mark.parametrize(
    ("sizes", "length", "reason"),
    [
        ({"errors": [2**32, 3]}, 50 << 30, "53687091200 bytes, where 2147483648 are the most"),
        ({"errors": [2**28]}, 2 << 30, "its sizes do not make up its length"),
    ],
)
def test_a_file_of_gigabytes_is_refused_unread(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    sizes: dict[str, list[int]],
    length: int,
    reason: str,
) -> None:
    def read(path: Path) -> dict[str, torch.Tensor]:
        assert path.stem != name
        return tensor_files.read_tensors(path)

    monkeypatch.setattr(saved_model, "read_tensors", read)
    path = model / f"{name}.safetensors"
    sparse(path, sizes, length)
    with pytest.raises(UserError, match=f"^{path}: damaged or of another model .{reason}.;"):
        load_model(model)


def test_weights_of_other_sizes_are_refused_unread(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model / "weights.safetensors"
    tensors = safetensors.torch.load_file(path)
    name = next(key for key, value in tensors.items() if value.ndim == 2 and "base" in key)
    due = tuple(tensors[name].shape)
    tensors[name] = torch.zeros(due[0] + 1, due[1])
    safetensors.torch.save_file(tensors, path)
    reads: list[Path] = []
    read = tensor_files.read_tensors
    monkeypatch.setattr(
        saved_model, "read_tensors", lambda path: reads.append(path.name) or read(path)
    )
    wrong = re.escape(f"'{name}' has sizes {(due[0] + 1, due[1])} where {due} are due")
    with pytest.raises(UserError, match=wrong):
        load_model(model)
    assert reads == ["calibration.safetensors"]


def test_stored_paths_are_as_many_as_the_file_has(model: Path) -> None:
    saved = safetensors.torch.load_file(model / "weights.safetensors")
    paths = saved["bank.residuals"]
    assert len(paths) > 1
    assert load_model(model).core.bank.residuals.shape == paths.shape


@pytest.mark.parametrize("length", [2**63, 2**24 + 1, 10**6])
def test_a_header_longer_than_it_may_be_is_refused(model: Path, unread: None, length: int) -> None:
    path = model / "calibration.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="its header is longer than it may be"):
        load_model(model)


@pytest.mark.parametrize(
    "header",
    [b"[]", b"{", b'{"errors": 1}', b'{"errors": {"shape": ["x"]}}', b'{"errors": {"shape": 3}}'],
)
def test_a_header_that_is_none_is_one_line(model: Path, unread: None, header: bytes) -> None:
    path = model / "calibration.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match=f"^{path}: damaged or of another model "):
        load_model(model)


def edited(text: str, pattern: str, new: str) -> str:
    changed = re.sub(pattern, new, text, count=1, flags=re.MULTILINE)
    assert changed != text
    return changed


def test_a_model_that_would_be_larger_than_its_weights_is_refused_unbuilt(
    model: Path, unread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model / "config.yaml"
    path.write_text(edited(path.read_text(), r"^  lookback: 14$", "  lookback: 99999"))
    monkeypatch.setattr(saved_model, "_SPARE", 0)
    monkeypatch.setattr(saved_model, "_read_errors", lambda *_: None)
    with pytest.raises(UserError, match=r"^model: it would have more than"):
        load_model(model)


@pytest.mark.parametrize(
    "interval", ["0D", "-1D", "zzz", "", None, 5, [], "exchange:zzz", "9" * 30]
)
def test_an_interval_that_is_none_is_refused(model: Path, unread: None, interval: object) -> None:
    path = model / "schema.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"interval": interval}))
    with pytest.raises(
        UserError, match=f"^{model}: schema.json or scaling.json is damaged .the interval"
    ):
        load_model(model)


def test_a_json_file_of_gigabytes_is_refused(model: Path) -> None:
    with (model / "scaling.json").open("ab") as file:
        file.truncate(20 << 30)
    with pytest.raises(UserError, match=r"scaling.json: damaged \(longer than 67108864 bytes\)"):
        load_model(model)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: edited(text, r"^  horizon: 3$", "  horizon: 1" + "0" * 40),
        lambda text: edited(text, r"^  lookback: 14$", "  lookback: 50000000"),
        lambda text: edited(text, r"^    name: linear$", "    name: [" * 3_000),
    ],
)
def test_a_configuration_beyond_its_bounds_is_refused(
    model: Path, unread: None, edit: Callable[[str], str]
) -> None:
    path = model / "config.yaml"
    path.write_text(edit(path.read_text()))
    with pytest.raises(UserError, match=f"^{path}") as caught:
        load_model(model)
    assert "\n" not in str(caught.value)
