"""The Python of the README and of docs/python.md is executed, block after block."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE
from documents import DOCS, README, SHORT, blocks, page_name


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
@pytest.mark.parametrize("page", [README, DOCS / "python.md", DOCS / "index.md"], ids=page_name)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "sales.csv")
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        for block in blocks(page.read_text(encoding="utf-8"), "python"):
            exec(compile(block, str(page), "exec"), names)
    assert len(names["forecast"].frame) == 4 * 28
