"""What a posted table may hold, and what it is answered with beyond that."""

import io
import json
import resource
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import forecaster
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.serving import limits, parquet, server
from forecaster.serving.limits import CELLS, COLUMNS, ROWS, TABLES
from forecaster.serving.messages import CSV, JSON, PARQUET

DAYS = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
TABLE = pd.DataFrame({"date": DAYS, "a": np.arange(60) % 7 + 0.5, "b": np.arange(60) % 5})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    folder = tmp_path_factory.mktemp("limits") / "model"
    model = forecaster.train(TABLE, model="seasonal-naive", horizon=3, lookback=14, tracking=False)
    model.save(folder)
    return load_model(folder)


@pytest.fixture
def ask(saved: SavedModel) -> Callable[[bytes, bytes], tuple[int, Any]]:
    def answered(kind: bytes, body: bytes) -> tuple[int, Any]:
        answer = server.respond(saved, kind, body, lambda line: None)
        assert b"\n" not in answer.body
        return answer.status, json.loads(answer.body)

    return answered


def posted(frame: pd.DataFrame = TABLE, **params: Any) -> bytes:
    table = json.loads(frame.to_json(orient="split", index=False))
    return json.dumps({"dataframe_split": table, "params": params}).encode()


def nested(count: int, **params: Any) -> bytes:
    rows = [{name: TABLE[name].tolist() for name in TABLE}] * count
    return json.dumps({"dataframe_records": rows, "params": params}).encode()


def as_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", **options)
    return sink.getvalue()


def test_all_kinds_of_bodies_are_answered_alike(ask: Any) -> None:
    status, expected = ask(JSON, posted())
    assert status == 200
    assert len(expected["predictions"]) == 6
    assert ask(CSV, TABLE.to_csv(index=False).encode()) == (200, expected)
    assert ask(CSV, TABLE.to_csv(sep=";", decimal=",").encode()) == (200, expected)
    assert ask(PARQUET, as_parquet(pa.Table.from_pandas(TABLE))) == (200, expected)
    indexed = pa.Table.from_pandas(TABLE.set_index("date"))
    assert ask(PARQUET, as_parquet(indexed)) == (200, expected)


def test_a_row_of_arrays_is_a_table_in_parquet_too(ask: Any) -> None:
    frame = pd.DataFrame([{name: TABLE[name].tolist() for name in TABLE}])
    assert ask(PARQUET, as_parquet(pa.Table.from_pandas(frame))) == ask(JSON, nested(1))


@pytest.mark.parametrize("names", ["a,b", "a, b", ["a", "b"]])
def test_one_text_or_a_list_names_the_columns(ask: Any, names: Any) -> None:
    wider = TABLE.assign(c=1.0)
    status, told = ask(JSON, posted(wider))
    assert status == 400
    assert told["message"].endswith("leave it out with --target a,b")
    assert ask(JSON, posted(wider, target=names)) == ask(JSON, posted())


TOO_MANY_COLUMNS = f"a table of more than {COLUMNS} columns; send less of it at a time"
TOO_MANY_ROWS = f"a table of more than {ROWS} rows; send less of it at a time"
TOO_MANY_CELLS = f"a table of more than {CELLS} cells; send less of it at a time"
NO_JSON = "the body is not valid JSON in UTF-8; correct it"
ODD = "the table: a cell is an object, or a list of lists; write plain values"
ATTACKS: dict[str, tuple[bytes, Callable[[], bytes], int, str]] = {
    "commas": (CSV, lambda: b"," * COLUMNS, 413, TOO_MANY_COLUMNS),
    "commas in a later line": (CSV, lambda: b"a,b\n" + b"," * COLUMNS, 413, TOO_MANY_COLUMNS),
    "commas over lines in quotes": (CSV, lambda: b'"a\n",' * COLUMNS, 413, TOO_MANY_COLUMNS),
    "semicolons": (CSV, lambda: b";" * COLUMNS, 413, TOO_MANY_COLUMNS),
    "a delimiter by its name": (CSV, lambda: b"sep=~\n" + b"~" * COLUMNS, 413, TOO_MANY_COLUMNS),
    "commas in UTF-16": (CSV, lambda: ("," * COLUMNS).encode("utf-16"), 413, TOO_MANY_COLUMNS),
    "lines": (CSV, lambda: b"a,b\n" * ROWS, 413, TOO_MANY_ROWS),
    "lines of old machines": (CSV, lambda: b"a,b\r" * ROWS, 413, TOO_MANY_ROWS),
    "cells": (CSV, lambda: (b"," * 999 + b"\n") * (CELLS // 1000), 413, TOO_MANY_CELLS),
    "an empty body": (
        CSV,
        lambda: b" \n",
        400,
        "the table: it is empty; it needs a header line and rows of data",
    ),
    "no text": (
        CSV,
        lambda: b"\xff" * 1000,
        400,
        "the table, line 1: only one column; the file needs a time column and a value column, "
        "separated by comma, semicolon, tab or bar",
    ),
    "no UTF-8": (JSON, lambda: b"\xff" * 1000, 400, NO_JSON),
    "half a letter": (JSON, lambda: b'{"params": {"mode": "\\ud800"}}', 400, NO_JSON),
    "a number of too many digits": (JSON, lambda: b"9" * 5000, 400, NO_JSON),
    "a number above all others": (
        JSON,
        lambda: posted().replace(b"0.5", b"9" * 400),
        400,
        "the table: a whole number is above 1e308; correct it",
    ),
    "nested lists": (
        JSON,
        lambda: b"[" * 100_000 + b"]" * 100_000,
        400,
        "not JSON that holds a table (nested too deeply); correct it",
    ),
    "empty lists": (
        JSON,
        lambda: b'{"dataframe_split": [' + b"[]," * (2 * CELLS) + b"[]]}",
        413,
        f"JSON of more than {2 * CELLS} values; send less of it at a time",
    ),
    "a new name in every row": (
        JSON,
        lambda: json.dumps({"dataframe_records": [{f"k{i}": 1} for i in range(9000)]}).encode(),
        413,
        TOO_MANY_COLUMNS,
    ),
    "tables": (
        JSON,
        lambda: nested(TABLES + 1),
        413,
        f"more than {TABLES} tables; send fewer at a time",
    ),
    "an object in a cell": (JSON, lambda: posted().replace(b"0.5", b'{"x": 1}'), 400, ODD),
    "a list of lists in a cell": (JSON, lambda: posted().replace(b"0.5", b"[[1]]"), 400, ODD),
    "a list among plain values": (
        JSON,
        lambda: nested(1).replace(b"}]", b'}, {"date": "x", "a": 1, "b": 2}]'),
        400,
        "the table in row 2: no column is an array, as others are; correct it",
    ),
    "rows of other widths": (
        JSON,
        lambda: b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}',
        400,
        "dataframe_split: a row of data without a cell for each column; correct it",
    ),
    "names that are lists": (
        JSON,
        lambda: b'{"dataframe_split": {"columns": [["a"]], "data": [[1]]}}',
        400,
        "dataframe_split: columns and data have to be lists; correct it",
    ),
    "an index of another length": (
        JSON,
        lambda: b'{"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [1, 2]}}',
        400,
        "dataframe_split: index is not a plain value for each row; correct it",
    ),
    "two tables": (
        JSON,
        lambda: b'{"dataframe_split": {}, "dataframe_records": []}',
        400,
        "not a table: post it as dataframe_split or dataframe_records",
    ),
    "quantiles": (
        JSON,
        lambda: posted(quantiles=[0.5 + i / 1000 for i in range(201)]),
        422,
        "params: 'quantiles': more than 200; ask for fewer",
    ),
    "samples of many tables": (
        JSON,
        lambda: nested(67, samples=10_000),  # of 2 columns at 3 times
        422,
        "series × samples × horizon × columns × steps is above 4000000; ask for fewer samples, or "
        "send fewer series at a time",
    ),
    "no Parquet": (
        PARQUET,
        lambda: b"PAR1" + b"\xff" * 100 + b"PAR1",
        400,
        "the table: not a readable Parquet file; write it again",
    ),
    "rows in Parquet": (
        PARQUET,
        lambda: as_parquet(pa.table({"date": np.zeros(ROWS + 1)})),
        413,
        TOO_MANY_ROWS,
    ),
    "columns in Parquet": (
        PARQUET,
        lambda: as_parquet(pa.table({str(i): [1] for i in range(COLUMNS + 1)})),
        413,
        TOO_MANY_COLUMNS,
    ),
    "a list in Parquet": (
        PARQUET,
        lambda: as_parquet(
            pa.table({"a": pa.ListArray.from_arrays([0, CELLS + 1], np.zeros(CELLS + 1, np.int8))})
        ),
        413,
        "a table that unpacks to more than 128 MiB; send less of it",
    ),
    "an object in Parquet": (PARQUET, lambda: as_parquet(pa.table({"a": [{"x": 1}]})), 400, ODD),
}


@pytest.mark.parametrize("name", list(ATTACKS))
def test_an_attack_is_refused_in_one_line(ask: Any, name: str) -> None:
    kind, body, status, line = ATTACKS[name]
    found, told = ask(kind, body())
    assert (found, told["message"]) == (status, line)


def test_a_text_that_a_dictionary_repeats_counts_as_often_as_it_stands(ask: Any) -> None:
    """Of 26 kB, which would unpack to 400 MB."""
    words = pa.DictionaryArray.from_arrays(np.zeros(400, np.int32), ["x" * 1_000_000])
    body = as_parquet(pa.table({"date": range(400), "a": words}))
    assert len(body) < 30_000
    assert ask(PARQUET, body)[0] == 413
    few = as_parquet(pa.table({"date": range(100), "a": words[:100]}))
    assert ask(PARQUET, few)[0] == 400  # as a table without the model's columns


def test_memory_grows_by_so_much_and_no_more() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with parquet.bounded_memory(1 << 30):
        np.empty(1 << 28, np.uint8)
        with pytest.raises(MemoryError):
            np.empty(1 << 31, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    np.empty(1 << 31, np.uint8)


@pytest.mark.parametrize(
    ("work", "refused"),
    [
        ((10, 100, 4_000, 1, 3), False),
        ((10, 100, 4_001, 1, 3), True),
        ((10, 100, 800, 5, 3), False),
        ((10, 100, 801, 5, 3), True),
        ((1, 400_000, 100, 50, 0), False),  # one series with the usual samples
        ((2, 400_000, 100, 50, 0), True),
        ((2_000, 1, 1, 1, 200), False),
        ((2_001, 1, 1, 1, 1), True),
        ((1, 1, 1, 1, 201), True),
        ((1, 10_000, 1, 1, 198), False),
        ((1, 10_001, 1, 1, 198), True),
    ],
)
def test_work_is_refused_just_beyond_its_limits(work: tuple[int, ...], refused: bool) -> None:
    if refused:
        with pytest.raises(limits.TooMuchError):
            limits.check_work(*work)
    else:
        limits.check_work(*work)


def test_what_takes_too_long_is_ended_whatever_it_catches(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any) -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:  # as code that tries one thing after another does
                continue

    monkeypatch.setattr(server, "forecast_request", endless)
    monkeypatch.setattr(server, "SECONDS", 0.1)
    before = signal.getsignal(signal.SIGALRM)
    status, told = ask(JSON, posted())
    assert (status, told["message"]) == (
        422,
        "it takes more than 0.1 seconds; ask for less at a time",
    )
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_fault_of_the_program_is_logged_and_not_answered(
    ask: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(server, "forecast_request", broken)
    assert ask(JSON, posted()) == (
        500,
        {
            "error_code": "INTERNAL_ERROR",
            "message": "the forecast failed; see the server's log for the cause",
        },
    )
    assert "secret" in caplog.text
