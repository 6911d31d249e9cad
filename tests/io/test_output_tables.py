"""Tables of forecasts are written some rows at a time, as they are at once."""

from pathlib import Path

import pandas as pd
import pytest

from forecaster.io import output_tables
from forecaster.io.output_tables import TableWriter, table_bytes


@pytest.mark.parametrize("rows", [0, 1, 3, 7])
def test_text_in_slices_is_that_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    names = ["=a", "b\rc", "-5", 'd"', "e", "f", "g"][:rows]
    frame = pd.DataFrame({"item_id": names, "mean": [k / 3 for k in range(rows)]})
    expected = table_bytes(frame, ".csv")
    monkeypatch.setattr(output_tables, "_AT_ONCE", 3)
    with TableWriter(tmp_path / "table.csv", ".csv") as writer:
        writer.write(frame)
    assert (tmp_path / "table.csv").read_bytes() == expected
