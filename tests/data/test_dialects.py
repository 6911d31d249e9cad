"""Whatever dialect a table is written in, it is read as it is meant, or refused with both readings."""

from pathlib import Path

import numpy as np
import pytest
from dialects import Writer, Written

from forecaster.config.schema import Columns
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

OPEN = ("can be read as", "can be dates")


def meant(file: Written, message: str) -> dict[str, str]:
    """The options that a refusal names, as the file means them."""
    given = {}
    if "--date-format" in message:
        given["date_format"] = file.order
    if "--decimal" in message or "--thousands" in message:
        given["decimal"] = file.marks.decimal
    return given


def read(path: Path, file: Written) -> Table:
    """The table, without options, or else with those that tell which of two readings is meant."""
    given: dict[str, str] = {}
    while True:
        try:
            return read_table(path, Columns.model_validate(given))
        except UserError as error:
            message = str(error)
        more = meant(file, message)
        assert "can be read as" in message, (file.seed, message, file.about)
        assert more, (file.seed, message, file.about)
        assert not more.items() <= given.items(), (file.seed, message, file.about)
        given |= more


def check(folder: Path, seed: int) -> None:
    file = Writer(seed).draw()
    path = folder / file.name
    path.write_bytes(file.content)
    table = read(path, file)
    assert list(table.names) == file.names, (seed, table.names, file.about)
    assert {s.item_id for s in table.series} == file.values.keys(), (seed, file.about)
    for series in table.series:
        values = file.values[series.item_id]
        given = np.flatnonzero(~np.isnan(values).all(axis=1))
        end = int(given[-1]) + 1  # blank rows at the end are no history
        found = table.interval.stamps(series.first, len(series.values))
        assert found.equals(file.times[:end]), (seed, found[:3], file.times[:3], file.about)
        np.testing.assert_array_equal(series.values, values[:end], err_msg=f"{seed} {file.about}")
    path.unlink()


def test_fifty_files_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for seed in range(50):
        check(tmp_path, seed)


@pytest.mark.slow
def test_five_thousand_files_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for seed in range(1000, 6000):
        check(tmp_path, seed)
