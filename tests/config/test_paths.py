"""Where the data of the package and the store lie: in a checkout, installed, and copied."""

from pathlib import Path

import pytest
from conftest import ROOT

from forecaster.config import paths
from forecaster.config.paths import Layout, layout


@pytest.fixture
def user_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "forecaster"


def test_a_checkout_holds_everything() -> None:
    assert layout(ROOT / "forecaster", {}) == Layout(
        ROOT, ROOT, ROOT / "datasets" / "files", ROOT / "mlflow"
    )
    assert ROOT == paths.CHECKOUT
    assert paths.CATALOG.is_file()
    assert paths.SAMPLE.is_file()


def test_an_installed_copy_writes_to_the_users_data(tmp_path: Path, user_data: Path) -> None:
    package = tmp_path / "site-packages" / "forecaster"
    (package / "shipped").mkdir(parents=True)
    assert layout(package, {}) == Layout(
        None, package / "shipped", user_data / "datasets", user_data
    )


def test_an_installed_copy_is_none_of_the_checkout_around_it(
    tmp_path: Path, user_data: Path
) -> None:
    """As of a package that others put a ``configs`` beside."""
    (tmp_path / "forecaster" / "shipped").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    (tmp_path / "cli.py").touch()
    assert layout(tmp_path / "forecaster", {}).checkout is None
    (tmp_path / "forecaster" / "shipped").rmdir()
    assert layout(tmp_path / "forecaster", {}).checkout == tmp_path


@pytest.mark.parametrize("missing", ["configs", "cli.py"])
def test_a_copy_of_the_code_alone_is_no_checkout(
    missing: str, tmp_path: Path, user_data: Path
) -> None:
    """As that of a logged model, which may lie beside anything."""
    (tmp_path / "configs").mkdir() if missing == "cli.py" else (tmp_path / "cli.py").touch()
    assert layout(tmp_path / "forecaster", {}) == Layout(
        None, tmp_path / "forecaster" / "shipped", user_data / "datasets", user_data
    )


def test_the_variable_names_another_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"FORECASTER_HOME": "here"}
    at_root = layout(ROOT / "forecaster", named)
    assert (at_root.home, at_root.files) == (tmp_path / "here", ROOT / "datasets" / "files")
    installed = layout(tmp_path / "forecaster", named)
    assert (installed.home, installed.files) == (tmp_path / "here", tmp_path / "here" / "datasets")


def test_an_empty_variable_names_none() -> None:
    assert layout(ROOT / "forecaster", {"FORECASTER_HOME": ""}).home == ROOT / "mlflow"
