"""The profile of a file's columns: roles, ranges, missing cells, suspected codes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.profile import ColumnProfile, codes_to_name
from forecaster.data.report import IntakeReport
from forecaster.data.tables import read_table

ROWS = 40


def profiles(tmp_path: Path, text: str, columns: Columns | None = None) -> dict[str, ColumnProfile]:
    path = tmp_path / "data.csv"
    path.write_text(text)
    report = IntakeReport(columns=[])
    read_table(path, columns or Columns(), report)
    return {each.name: each for each in report.columns or []}


def days(*cells: str) -> str:
    dates = pd.date_range("2024-01-01", periods=len(cells)).strftime("%Y-%m-%d")
    return "".join(f"{date},{cell}\n" for date, cell in zip(dates, cells, strict=True))


def test_every_column_has_a_role_a_range_and_its_share_of_missing_cells(tmp_path: Path) -> None:
    rows = []
    for item in ("ark", "zoo"):
        for i in range(20):
            sold = "" if i < 5 else str(i * (1 if item == "ark" else -1))
            note = "" if i % 4 else "sunny"
            rows.append(f"{i},{item},2024-01-{i + 1:02d},{sold},{note},,{1000 + 7 * (i % 3)}")
    found = profiles(tmp_path, "\n".join([",shop,day,sold,note,blank,zip", *rows]) + "\n")
    assert found["day"] == ColumnProfile(
        "day", "time", "holds times", "times", "2024-01-01", None, "2024-01-20"
    )
    sold = [*range(5, 20), *range(-19, -4)]
    assert found["sold"] == ColumnProfile(
        "sold", "value", "numbers", "numbers", -19.0, float(np.median(sold)), 19.0, 0.25
    )
    assert (found["shop"].role, found["shop"].distinct) == ("names the series", 2)
    assert found["shop"].why == "tells the rows of a time apart"
    assert (found["note"].role, found["note"].why) == ("left out", "text")
    assert (found["note"].missing, found["note"].distinct) == (0.75, 2)
    assert (found["blank"].holds, found["blank"].missing) == ("nothing", 1.0)
    assert (found["blank"].role, found["blank"].why) == ("left out", "has no values")
    assert (found["zip"].role, found["zip"].why) == ("left out", "holds codes, no quantities")
    assert (found["Unnamed: 0"].role, found["Unnamed: 0"].maximum) == ("left out", 19.0)


def test_a_column_is_left_out_as_codes_only_beside_values(tmp_path: Path) -> None:
    cells = [f"{i % 5},{i % 3 + 0.5}" for i in range(ROWS)]
    assert profiles(tmp_path, "day,userId,x\n" + days(*cells))["userId"].role == "left out"
    alone = "day,userId\n" + days(*(cell.split(",")[0] for cell in cells))
    assert profiles(tmp_path, alone)["userId"].role == "value"
    fractions = "day,x,userId\n" + days(*cells)
    assert profiles(tmp_path, fractions)["userId"].role == "value"


@pytest.mark.parametrize(
    ("name", "grades", "left_out"),
    [
        *((name, 4, True) for name in ("QN_9", "qn3", "temp_qc", "dataQuality", "x flag")),
        *((name, 4, True) for name in ("QX", "Qualitätsniveau", "Flags", "quality_flag")),
        *((name, 4, False) for name in ("Q1", "Q", "Q_X", "qx", "Qy", "quality", "air_quality")),
        *((name, 4, False) for name in ("qa_hours", "quality_complaints", "flags_raised")),
        ("temp_qc", 13, False),
        ("QX", 13, False),
    ],
)
def test_flags_of_quality_are_no_series(
    tmp_path: Path, name: str, grades: int, left_out: bool
) -> None:
    cells = [f"{i % 3 + 0.5},{i % grades}" for i in range(ROWS)]
    found = profiles(tmp_path, f"day,X,{name}\n" + days(*cells))[name]
    expected = ("left out", "holds flags, no quantities") if left_out else ("value", "numbers")
    assert (found.role, found.why) == expected


def test_flags_of_fractions_alone_or_in_a_few_rows_are_values(tmp_path: Path) -> None:
    fractions = [f"{i},{i % 4 + 0.5}" for i in range(ROWS)]
    assert profiles(tmp_path, "day,x,qc\n" + days(*fractions))["qc"].role == "value"
    alone = [str(i % 4) for i in range(ROWS)]
    assert profiles(tmp_path, "day,qc\n" + days(*alone))["qc"].role == "value"
    third = [f"{i * i},{i % 4}" for i in range(12)]
    assert profiles(tmp_path, "day,x,qc\n" + days(*third))["qc"].role == "left out"
    assert profiles(tmp_path, "day,x,qc\n" + days(*third[:11]))["qc"].role == "value"


def test_flags_of_yes_and_no_may_be_known_ahead(tmp_path: Path) -> None:
    for grades, hint in ((2, "; --known reads what is known ahead"), (3, "")):
        cells = [f"{i * i},{i % grades}" for i in range(ROWS)]
        (tmp_path / "f.csv").write_text("day,x,holiday_flag\n" + days(*cells))
        decisions = read_table(tmp_path / "f.csv", Columns()).report.decisions
        said = f"column 'holiday_flag' left out: holds flags, no quantities{hint}"
        assert said in decisions


@pytest.mark.parametrize(
    ("others", "named"),
    [([5.0, -7.0], ["-200"]), ([-200.0, -300.0, 500.0], []), ([-900.0, 0.0], [])],
)
def test_a_code_is_proposed_unless_another_column_has_it_as_a_value(
    tmp_path: Path, others: list[float], named: list[str]
) -> None:
    cells = [f"{-200 if i % 9 == 0 else i % 4},{others[i % len(others)]}" for i in range(ROWS)]
    found = profiles(tmp_path, "day,a,b\n" + days(*cells))
    assert [(each.value, each.count) for each in found["a"].suspects] == [(-200.0, 5)]
    assert codes_to_name([*found.values()]) == named


def test_a_code_of_each_column_is_proposed_though_a_greater_one_is_in_another(
    tmp_path: Path,
) -> None:
    cells = [f"{9999.9 if i % 9 == 4 else i % 7},{999.9 if i % 8 == 2 else i}" for i in range(ROWS)]
    found = profiles(tmp_path, "day,a,b\n" + days(*cells))
    assert codes_to_name([*found.values()]) == ["999.9", "9999.9"]
    assert found["a"].usual == (0.0, 6.0)


def test_a_far_number_that_programs_do_not_write_is_suspected_but_not_proposed(
    tmp_path: Path,
) -> None:
    cells = [str(5000 if i % 9 == 0 else i % 4) for i in range(ROWS)]
    found = profiles(tmp_path, "day,a\n" + days(*cells))
    assert [each.value for each in found["a"].suspects] == [5000.0]
    assert codes_to_name([*found.values()]) == []


def test_a_code_that_is_named_is_missing_in_the_profile(tmp_path: Path) -> None:
    cells = [str(-200 if i % 8 == 0 else i % 8) for i in range(ROWS)]
    found = profiles(tmp_path, "day,a\n" + days(*cells), Columns(missing=("-200",)))["a"]
    assert (found.minimum, found.median, found.maximum, found.missing) == (1.0, 4.0, 7.0, 0.125)
    assert found.suspects == ()
