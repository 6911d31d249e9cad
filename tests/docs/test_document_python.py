"""The Python of the first page and of docs/python.md is executed, block after block."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE
from documents import DOCS, README, SHORT, blocks, page_name

INDEX = DOCS / "index.md"


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every configuration that is loaded trains for two steps."""
    from forecaster.config import load

    whole = load.check_config

    def shortened(content: dict[str, Any], source: str, *trust: Any) -> Any:
        return whole(
            {**content, "trainer": {**content.get("trainer", {}), **SHORT}}, source, *trust
        )

    monkeypatch.setattr(load, "check_config", shortened)


@pytest.mark.usefixtures("short_trainings")
@pytest.mark.parametrize(
    "page", [DOCS / "python.md", pytest.param(INDEX, marks=pytest.mark.slow)], ids=page_name
)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "sales.csv")
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        for block in blocks(page.read_text(encoding="utf-8"), "python"):
            exec(compile(block, str(page), "exec"), names)
    assert len(names["forecast"].frame) == 4 * 28


def test_the_readme_shows_the_python_of_the_first_page() -> None:
    shown = [blocks(page.read_text(encoding="utf-8"), "python") for page in (README, INDEX)]
    assert shown[0] == shown[1] != []
