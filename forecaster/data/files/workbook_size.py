"""How many cells the sheets of a workbook span, before they are laid out in memory."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from forecaster.data.files.containers import LARGEST, Opened, too_large

_MOST_CELLS = 2**25
_AT_ONCE = 1 << 20
_REFERENCE = re.compile(rb'<c [^>]*?r="([A-Z]{1,3})(\d{1,7})"')
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


def check_size(opened: Opened) -> None:
    """Raise UserError for a workbook that unpacks to too many bytes, or spans too many cells.

    A cell in the last row and column of an otherwise empty sheet spans 17 billion.
    """
    if not opened.content.startswith(b"PK"):
        return  # the older format has bounds of its own
    with zipfile.ZipFile(io.BytesIO(opened.content)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > LARGEST:
            raise too_large(opened.name)
        for entry in entries:
            if entry.filename.startswith("xl/worksheets/") or entry.filename == "content.xml":
                with archive.open(entry) as stream:
                    spans = _spans_ods if entry.filename == "content.xml" else _spans_xlsx
                    if any(cells > _MOST_CELLS for cells in spans(stream)):
                        raise too_large(opened.name)


def _spans_xlsx(stream: IO[bytes]) -> Iterator[int]:
    """The cells that a sheet spans, as far as it is read."""
    rest, rows, columns = b"", 0, set[bytes]()
    while part := stream.read(_AT_ONCE):
        text = rest + part
        cut = text.rfind(b"<")
        for letters, row in _REFERENCE.findall(text[:cut]):
            columns.add(letters)
            rows = max(rows, int(row))
        rest = text[cut:]
        yield rows * max(map(_number, columns), default=0)


def _number(letters: bytes) -> int:
    """The number of a column: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def _spans_ods(stream: IO[bytes]) -> Iterator[int]:
    """The cells up to the last value of each row, as often as they are repeated."""
    cells = place = last = 0
    for _, element in ElementTree.iterparse(stream):  # noqa: S314  expat bounds what entities become
        if element.tag == f"{_TABLE}table-cell":
            place += int(element.get(f"{_TABLE}number-columns-repeated", "1"))
            last = place if f"{_OFFICE}value-type" in element.attrib else last
        elif element.tag == f"{_TABLE}table-row":
            cells += last * int(element.get(f"{_TABLE}number-rows-repeated", "1"))
            place = last = 0
            element.clear()
            yield cells
