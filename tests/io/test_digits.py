"""Forecasts keep every digit, in each form in which they are written."""

import json

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.digits import shortest
from forecaster.inference.streaming import as_csv, as_json
from forecaster.io.output_tables import read_table_bytes, table_bytes
from forecaster.reporting.numbers import distinct

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_every_number_is_read_back_as_it_was(values: list[float]) -> None:
    frame = pd.DataFrame(
        {"item_id": "a", "timestamp": [f"{k}" for k in range(len(values))], "mean": values}
    )
    for kind in (".csv", ".parquet"):
        assert list(read_table_bytes(table_bytes(frame, kind), kind)["mean"]) == values
    rows = frame.assign(origin="0")[["origin", *frame.columns]]
    text = as_csv(rows, first=True)
    assert [float(line.rsplit(",", 1)[1]) for line in text.splitlines()[1:]] == values
    assert json.loads(as_json(rows, first=True))["forecast"]["a"]["mean"] == values


@given(FLOATS)
def test_the_shortest_decimal_is_the_number(value: float) -> None:
    assert float(shortest(value)) == value


def test_whole_numbers_have_no_point() -> None:
    assert [shortest(v) for v in (2345885581.0, -200.0, 0.1)] == ["2345885581", "-200", "0.1"]


@given(st.lists(FLOATS, min_size=1, max_size=8))
def test_ticks_of_different_values_differ(values: list[float]) -> None:
    values = [float(np.float64(v)) + 0.0 for v in values]
    assert len(set(distinct(values))) == len(set(values))


def test_ticks_are_short_where_they_can_be() -> None:
    assert distinct([2345679500.0, 2345679600.0]) == ["2,345,679,500", "2,345,679,600"]
    assert distinct([0.1234, 5.0]) == ["0.1234", "5"]
