"""The description of a run: the verdict first, and names from outside are text and nothing else."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from forecaster.config.schema import DataConfig
from forecaster.data.problem import load_problem
from forecaster.reporting.description import describe
from forecaster.reporting.markdown import code_block, code_span

ROWS = [["mae", "1", "2", "3"], ["crps", "0.5", "0.6", ""]]
HOSTILE = "``` <b>*x*</b> | [a](b) `.csv"


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(text))


@pytest.mark.parametrize(
    "text", ["file.csv", HOSTILE, "`", "``a`", " a ", "a`` b", "x\n\n# y.csv", "", "  "]
)
def test_spans_and_blocks_hold_any_text(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if text.strip():
        line = " ".join(escaped.splitlines())
        assert rendered(f"a {code_span(text)} b") == f"<p>a <code>{line}</code> b</p>\n"
    block = code_block(["first", text])
    assert rendered(block) == f"<pre><code>first\n{escaped}\n</code></pre>\n"


def test_the_verdict_stands_first_and_the_file_s_name_is_text(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE.replace("/", "")
    days = pd.date_range("2024-01-01", periods=40)
    pd.DataFrame({"day": days, "y": np.arange(40.0)}).to_csv(path, index=False)
    problem = load_problem(DataConfig(csv=str(path), horizon=7, lookback=14))
    html = rendered(describe(problem, "id", "On 2 past windows …", ROWS, "trained, and so on"))
    assert html.startswith("<p>On 2 past windows …</p>\n<table>")
    assert html.count("<tr>") == 3
    assert "<th>seasonal naive, test</th>" in html
    name = path.name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<li>data: <code>{name}</code></li>" in html
    assert "<li>horizon: 7 steps (a week); lookback: 14 steps (2 weeks)</li>" in html
    assert "<li>seasons: a week (7 steps)</li>" in html
    assert "<li>trained, and so on</li>" in html
    assert not re.search("<(b|em|a|h1)>", html)
    assert html.count("<pre>") == 1
    assert "forecast --model runs:/id/model --csv '" in html
    assert html.rstrip().endswith("</code></pre>")
