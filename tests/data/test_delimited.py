"""Delimited text against Python's own CSV reader, and columns of text against lists."""

import csv
import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.cells import Text
from forecaster.data.files.delimited import read_delimited

texts = st.text(st.sampled_from("ab1 ,\"'\n\r#é"), max_size=6)
cells = st.lists(st.tuples(texts, texts, st.integers(0, 3)), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(cells, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_cells_and_lines_are_those_of_python_s_reader(rows, ending: str, quoted: bool) -> None:
    """``rows``: two texts, and the number of blank lines before them."""
    out = io.StringIO(newline="")
    out.write(f"t,a,b,c{ending}")
    broken = any(mark in text for row in rows for text in row[:2] for mark in "\r\n")
    quoting = csv.QUOTE_ALL if quoted or broken else csv.QUOTE_MINIMAL
    writer = csv.writer(out, lineterminator=ending, quoting=quoting)
    for number, (first, second, blank) in enumerate(rows):
        out.write(ending * blank)
        writer.writerow([f"2024-01-{number + 1:02d}", first, second, number])
    content = out.getvalue()
    found = read_delimited("t", content.encode())
    reader = csv.reader(io.StringIO(content, newline=""))
    expected, lines, line = [], [], 1
    for row in reader:
        if row:
            expected.append([cell.strip() for cell in row])
            lines.append(line)
        line = reader.line_num + 1
    assert [found.names, *map(list, zip(*found.columns, strict=True))] == expected
    assert list(found.lines) == lines[1:]


@given(st.lists(st.sampled_from(["a", "b", "", "é"])))
def test_distinct_texts_and_their_rows(values: list[str]) -> None:
    column = Text.of(values)
    distinct, first, codes = column.distinct()
    assert list(distinct) == list(dict.fromkeys(values))
    assert [values.index(text) for text in distinct] == first.tolist()
    assert [distinct[code] for code in codes] == values == list(column)
    assert column.repeats() == (len(set(values)) < len(values))
    assert column[1:3] == values[1:3]


def test_a_long_column_is_read_in_pieces() -> None:
    values = [str(number) for number in range(150_000)]
    assert list(Text.of(values)) == values
    np.testing.assert_array_equal(Text.of(values[::-1]).distinct()[1], np.arange(150_000))
