"""The encoding of a file, and its bytes in UTF-8."""

import codecs
import re

from forecaster.errors import UserError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_AT_ONCE = 1 << 20
_SAMPLE = 1 << 16
_ZEROS = 0.7  # of every other byte of digits and delimiters in UTF-16
_DAMAGED = 0.2  # of the letters beyond ASCII in a file in UTF-8
_RUN = re.compile(rb"[\xc0-\xff][\x80-\xff]{2}")  # western text has no three such letters in a row
_CONTROLS = re.compile(rb"[\x80-\x9f]")
_WIDE = ["utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
_WINDOWS = "€‚„…†‡ŠšŽž‘’“”•–—™œŒŸ"


def decode(path: object, content: bytes) -> tuple[bytes, str]:
    """A file's bytes in UTF-8 without a byte-order mark, and the encoding they had.

    Raises UserError for what is no text.
    """
    if content.isascii() and b"\x00" not in content:
        return content, "utf-8"
    content = _without_padding(content)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    encoding = encoding or _encoding_of(content)
    if encoding == "utf-8" and _is_utf8(content):
        return content, encoding
    try:
        text = "\x00" if encoding is None else content.decode(encoding)
    except UnicodeDecodeError:
        text, encoding = _repaired(content)
    if "\x00" in text:
        raise UserError(
            f"{path}: not a text file; give a table as CSV, or a file of a kind that its name tells"
        )
    return text.encode(errors="replace"), str(encoding)


def _without_padding(content: bytes) -> bytes:
    """The bytes without the zeros behind them, which a program that was cut off leaves."""
    text = content.rstrip(b"\x00")
    return content if b"\x00" in text else text


def _encoding_of(content: bytes) -> str | None:
    if b"\x00" in content:
        return _wide(content)
    if _is_utf8(content) or _repaired(content)[1]:
        return "utf-8"
    if _RUN.search(content) is None:
        if _CONTROLS.search(content) is None:
            return "latin-1"
        if {*_CONTROLS.findall(content)} <= {sign.encode("cp1252") for sign in _WINDOWS}:
            return "cp1252"
    return _guessed(content)


def _is_utf8(content: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(content), _AT_ONCE):
            decoder.decode(content[begin : begin + _AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _wide(content: bytes) -> str | None:
    """UTF-16 without a mark."""
    head = content[:_SAMPLE]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) > _ZEROS * len(zeros):
            return encoding
    return None


def _repaired(content: bytes) -> tuple[str, str]:
    """UTF-8 with damaged letters replaced, and a description; or else a zero."""
    text = content.decode(errors="replace")
    damaged, letters = text.count("\ufffd"), sum(not letter.isascii() for letter in text)
    if damaged > _DAMAGED * letters:
        return "\x00", ""
    return text, f"utf-8 ({damaged} damaged letters replaced)"


def _guessed(content: bytes) -> str | None:
    """The likeliest encoding by the lines that have other letters than ASCII."""
    from charset_normalizer import from_bytes

    lines = [line for line in content.splitlines() if not line.isascii()]
    best = from_bytes(b"\n".join(lines)[:_SAMPLE], cp_exclusion=_WIDE).best()
    return None if best is None else best.encoding
