"""A table is the same in whatever it comes: packed, in an archive, typed, from standard input."""

import bz2
import datetime
import gzip
import io
import json
import lzma
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from forecaster.config.schema import Columns
from forecaster.data.files import containers
from forecaster.data.reading import file_digest
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError

FRAME = pd.DataFrame(
    {
        "time": pd.date_range("2024-01-01", periods=50, freq="h"),
        "a": np.arange(50) % 7 + 0.125,
        "b": np.where(np.arange(50) == 3, np.nan, np.arange(50) * 1000.5),
    }
)
CSV = FRAME.to_csv(index=False).encode()


def zstd(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(content)
    return out.getvalue().to_pybytes()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def stream(frame: pd.DataFrame) -> bytes:
    out = pa.BufferOutputStream()
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()


def feather(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(frame, out)
    return out.getvalue()


def lines(frame: pd.DataFrame) -> bytes:
    return frame.to_json(
        orient="records", lines=True, date_format="iso", double_precision=15
    ).encode()


PACKED: dict[str, Callable[[], bytes]] = {
    "t.csv.gz": lambda: gzip.compress(CSV),
    "t.GZ": lambda: gzip.compress(CSV),
    "t.csv.bz2": lambda: bz2.compress(CSV),
    "t.csv.xz": lambda: lzma.compress(CSV),
    "t.csv.zst": lambda: zstd(CSV),
    "t.zip": lambda: zipped({"a/t.csv": CSV, "__MACOSX/a/._t.csv": b"x", "empty/": b""}),
    "t.csv.zip.gz": lambda: gzip.compress(zipped({"t.csv": CSV})),
    "t.data": lambda: gzip.compress(CSV),  # told by its first bytes
    "t.parquet": lambda: FRAME.to_parquet(),
    "named_by_an_index.parquet": lambda: FRAME.set_index("time").to_parquet(),
    "t.parquet.gz": lambda: gzip.compress(FRAME.to_parquet()),
    "parquet": lambda: FRAME.to_parquet(),
    "t.feather": lambda: feather(FRAME),
    "t.arrow": lambda: stream(FRAME),
    "t.jsonl": lambda: lines(FRAME),
    "t.ndjson.zst": lambda: zstd(lines(FRAME)),
    "t.json": lambda: b"[" + b",".join(lines(FRAME).splitlines()) + b"]",
    "nested.jsonl": lambda: b"\n".join(
        json.dumps({"time": row["time"], "v": {"a": row["a"], "b": row["b"]}}).encode()
        for row in map(json.loads, lines(FRAME).splitlines())
    ),
}


def same(table: Table, names: tuple[str, ...] = ("a", "b")) -> None:
    assert table.names == names
    assert len(table.series) == 1
    assert table.series[0].first == FRAME["time"][0]
    assert table.interval.alias == "h"
    np.testing.assert_array_equal(table.series[0].values, FRAME[["a", "b"]])


@pytest.mark.parametrize("name", list(PACKED))
def test_a_table_is_the_same_in_whatever_it_comes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED[name]())
    table = read_table(tmp_path / name, Columns())
    same(table, ("v.a", "v.b") if name == "nested.jsonl" else ("a", "b"))
    assert table.digest == file_digest(tmp_path / name)
    assert str(table.path).startswith(str(tmp_path / name))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO(gzip.compress(CSV))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=packed, isatty=lambda: False))
    same(read_table("-", Columns()))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UserError, match="nothing comes from standard input"):
        read_table("-", Columns())


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for month, rows in (("b", FRAME[:20]), ("c", FRAME[20:])):
        (tmp_path / "t" / month).mkdir(parents=True)
        rows.to_parquet(tmp_path / "t" / month / "part.parquet", index=False)
    (tmp_path / "t" / "README").write_text("about it")
    same(read_table(tmp_path / "t", Columns()))
    before = file_digest(tmp_path / "t")
    (tmp_path / "t" / "c").rename(tmp_path / "t" / "d")
    assert file_digest(tmp_path / "t") != before
    (tmp_path / "none").mkdir()
    with pytest.raises(
        UserError, match=r"none: a folder without Parquet files; give the path of a file$"
    ):
        read_table(tmp_path / "none", Columns())


def test_the_parts_of_a_folder_s_path_are_columns(tmp_path: Path) -> None:
    for shop in ("north", "south"):
        (tmp_path / f"shop={shop}").mkdir()
        FRAME.to_parquet(tmp_path / f"shop={shop}" / "part.parquet", index=False)
    table = read_table(tmp_path, Columns(item_id=("shop",)))
    assert [series.item_id for series in table.series] == ["north", "south"]


def test_a_member_is_named_as_the_message_says(tmp_path: Path) -> None:
    path = tmp_path / "two tables.zip"
    path.write_bytes(zipped({"readme": b"x", "t.csv": CSV, "s.csv": CSV[:500]}))
    with pytest.raises(
        UserError, match=r"3 files in it \('readme', 't.csv', 's.csv'\); name one: --csv '(.*)'$"
    ) as caught:
        read_table(path, Columns())
    named = str(caught.value).split("--csv ")[1].strip("'")
    assert named == f"{path}::t.csv"
    same(read_table(named, Columns()))
    with pytest.raises(UserError, match=r"no member 'u.csv'; it has 'readme', 't.csv', 's.csv'$"):
        read_table(f"{path}::u.csv", Columns())


def test_what_has_no_parts_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(CSV)
    with pytest.raises(UserError, match=r"holds one table; leave '::x' out$"):
        read_table(f"{tmp_path / 't.csv'}::x", Columns())
    (tmp_path / "a::b.csv").write_bytes(CSV)
    same(read_table(tmp_path / "a::b.csv", Columns()))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bomb is left when the bound is passed, not when it has been unpacked."""
    monkeypatch.setattr(containers, "LARGEST", 2**22)
    (tmp_path / "t.csv").write_bytes(pack(CSV + b"0" * 2**23))
    with pytest.raises(UserError, match=r"t.csv: unpacks to more than .* GiB"):
        read_table(tmp_path / "t.csv", Columns())
    (tmp_path / "t.zip").write_bytes(zipped({"t.csv": CSV + b"0" * 2**23}))
    with pytest.raises(UserError, match=r"t.zip::t.csv: unpacks to more than .* GiB"):
        read_table(tmp_path / "t.zip", Columns())


def test_packed_too_often_is_refused(tmp_path: Path) -> None:
    content = CSV
    for _ in range(9):
        content = gzip.compress(content)
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match="packed more than"):
        read_table(tmp_path / "t.csv", Columns())


@pytest.mark.parametrize(
    "name",
    ["t.csv.gz", "t.csv.xz", "t.csv.bz2", "t.csv.zst", "t.zip", "t.parquet", "t.feather", "t.json"],
)
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_damaged_files_are_one_line(tmp_path: Path, name: str, cut: float) -> None:
    content = PACKED[name]()
    (tmp_path / name).write_bytes(content[: int(cut * len(content))])
    with pytest.raises(UserError, match=rf"{name}.*not (a readable|JSON)"):
        read_table(tmp_path / name, Columns())


def test_json_that_is_no_list_of_objects(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines(FRAME) + b'{"time": \n')
    with pytest.raises(UserError, match=r"t.jsonl, line 51: not JSON"):
        read_table(tmp_path / "t.jsonl", Columns())
    for text in (b"[1, 2]", FRAME.to_json().encode(), json.dumps({"data": [{"a": 1}]}).encode()):
        (tmp_path / "t.json").write_bytes(text)
        with pytest.raises(UserError, match=r"t.json: not a list of objects; write a line \{…\}"):
            read_table(tmp_path / "t.json", Columns())


def test_typed_columns_keep_digits_and_zones(tmp_path: Path) -> None:
    """Whole numbers beyond float64, decimals, dates, zones, booleans, codes, in every typed kind."""
    rows = 40
    frame = pd.DataFrame(
        {
            "day": [datetime.date(2024, 1, 1) + datetime.timedelta(i) for i in range(rows)] * 2,
            "id": [2**60 + 1] * rows + [2**60 + 3] * rows,
            "price": pd.array(range(2 * rows), dtype="Int64"),
            "sort": pd.Categorical(["x", "y"] * rows),
        }
    )
    frame.loc[5, "price"] = pd.NA
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    for name in ("t.parquet", "t.feather"):
        columns = Columns(item_id=("id",), target=("price",))
        table = read_table(tmp_path / name, columns)
        assert [s.item_id for s in table.series] == [str(2**60 + 1), str(2**60 + 3)]
        assert table.series[1].values[:3, 0].tolist() == [40, 41, 42]
        assert np.flatnonzero(np.isnan(table.series[0].values[:, 0])).tolist() == [5]
    zoned = FRAME.assign(time=FRAME["time"].dt.tz_localize("Europe/Berlin"))
    pq.write_table(pa.Table.from_pandas(zoned), tmp_path / "z.parquet")
    table = read_table(tmp_path / "z.parquet", Columns())
    assert table.report.facts["from"] == "2024-01-01 00:00:00+01:00"
