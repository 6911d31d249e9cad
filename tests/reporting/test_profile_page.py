"""The tables and the page of a file's profile: bounded, escaped, true to the values."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.reporting.profile import collapsed, column_table
from forecaster.reporting.profile_page import _drawn, render
from forecaster.workflows.check import examine


def column(name: str, role: str = "value", **given: object) -> dict[str, object]:
    range_ = {"minimum": 1.0, "median": 2.0, "maximum": 3.0, "missing": 0.0}
    return {"name": name, "role": role, "why": "", "holds": "numbers", "distinct": None} | (
        range_ | given
    )


def test_a_row_a_column_in_the_order_of_the_file() -> None:
    text = column("b", "left out", holds="text", distinct=3, minimum=None, missing=0.25)
    text |= {"median": None, "maximum": None, "why": "text"}
    assert column_table([text, column("a", minimum=-1234567.0, missing=1e-5)]) == [
        ["b", "left out", "3 texts", "", "", "", "25.0 %", "text"],
        ["a", "value", "numbers", "-1234567", "2", "3", "< 0.1 %", ""],
    ]


def test_of_many_columns_the_rest_is_one_row_with_its_range() -> None:
    many = [
        column(f"c{i}", minimum=float(-i), maximum=float(i), missing=i / 100) for i in range(50)
    ]
    rows = column_table([column("t", "time"), *many])
    assert len(rows) == 14
    assert rows[-1] == ["… 38 more", "value", "", "-49", "", "49", "≤ 49.0 %", ""]
    assert [row[0] for row in rows[:2]] == ["t", "c0"]


def test_lines_alike_are_counted() -> None:
    gaps = [f"series 's{i}': {i} time(s) are missing" for i in range(9)]
    others = ["rows were sorted"]
    shown = collapsed([*gaps[:5], *others, *gaps[5:]])
    assert shown == [*gaps[:4], "… and 5 more like these", *others]
    assert collapsed(gaps[:5]) == gaps[:5]


def test_a_long_series_is_drawn_with_its_extremes_and_its_gaps() -> None:
    values = np.sin(np.arange(10_000) / 500)
    values[[3_333, 7_777]] = 9.0, -9.0
    values[5_000:5_003] = np.nan
    steps = _drawn(values)
    assert len(steps) <= 603
    assert {0, 9_999, 3_333, 7_777} <= {*steps.tolist()}
    assert np.isnan(values[steps]).any()
    assert (np.diff(steps) > 0).all()
    assert _drawn(values[:400]).tolist() == list(range(400))


def test_the_page_has_a_picture_of_each_series_up_to_a_bound_and_escapes_names(
    tmp_path: Path,
) -> None:
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    path = tmp_path / "a.csv"
    for count, drawn in [(3, 3), (70, 60)]:
        frame = pd.DataFrame({f"<b>{k}</b>": np.arange(40) % 7 + k for k in range(count)})
        frame.insert(0, "day", days)
        frame.to_csv(path, index=False)
        checked = examine(path, {})
        page = render(checked.outcome, checked.table)
        assert page.count('class="chart"') == drawn
        assert ("10 more are not drawn" in page) == (count == 70)
        assert "<b>" not in page
        assert "&lt;b&gt;0&lt;/b&gt;" in page
        assert checked.outcome["commands"][0] in page
        assert not re.search(r"(src|href)=", page)


def test_the_page_of_a_refused_file_has_the_reason_and_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("day,x\n2024-01-01,1\n2024-01-02,2\n2024-01-03,2\n2024-01-05,3\n")
    outcome = examine(path, {"horizon": 1, "lookback": 1}).outcome
    page = render(outcome, None)
    assert "1 time(s) are missing" in page
    assert "--on-gap fill" in outcome["commands"][0]
    assert outcome["commands"][0] in page
    assert 'class="chart"' not in page
    assert read_table(path, Columns(on_gap="fill")).series[0].values.shape == (5, 1)
