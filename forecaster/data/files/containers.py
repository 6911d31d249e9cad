"""Files in files: compressed ones, members of archives, standard input."""

import bz2
import gzip
import hashlib
import io
import lzma
import re
import shlex
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

from forecaster.config.sections import nearest
from forecaster.errors import UserError

LARGEST = 2**31  # bytes that a file may unpack to
STANDARD_INPUT = "-"
WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
_AT_ONCE = 1 << 20
_DEEPEST = 3  # packed files in packed files
_NAMED = 5  # members that a message names
# the kinds of files whose name does not tell, by their first bytes
_MAGIC = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ\x00": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PK\x03\x04": ".zip",
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\xd0\xcf\x11\xe0": ".xls",
}
_KINDS = frozenset(_MAGIC.values()) | WORKBOOKS | {".pq", ".feather", ".ipc", ".jsonl", ".ndjson"}
_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": lambda packed: pa.CompressedInputStream(packed, "zstd"),
}
_FAULTS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)


@dataclass(frozen=True)
class Opened:
    """A table's file: its name, as in messages, and its bytes.

    ``inner``: its name when it was packed; ``part``: what is named behind ``::`` and not used yet;
    ``digest``: SHA-256 of the outer file.
    """

    name: str
    inner: str
    content: bytes
    part: str
    digest: str

    @property
    def kind(self) -> str:
        """The ending of its name, if it is a known one, or else what its first bytes tell."""
        ending = PurePosixPath(self.inner).suffix.lower()
        if ending in _KINDS or ending == ".json":
            return ending
        return next((kind for mark, kind in _MAGIC.items() if self.content.startswith(mark)), "")


def split_name(source: str | Path) -> tuple[str, str]:
    """``FILE::MEMBER`` → the file's path and the member, which is empty where none is named."""
    name = str(source)
    path, _, part = name.partition("::")
    return (name, "") if Path(name).exists() else (path, part)


def open_file(source: str | Path) -> Opened:
    """The bytes of a file, unpacked; raises UserError if that cannot be done."""
    path, part = split_name(source)
    content = _read(path)
    opened = Opened(path, path, content, part, hashlib.sha256(content).hexdigest())
    for _ in range(_DEEPEST):
        if opened.kind in _OPENERS:
            opened = _unpacked(opened)
        elif opened.kind == ".zip":
            opened = _member(opened)
        else:
            return opened
    raise UserError(f"{source}: packed more than {_DEEPEST - 1} times; unpack it")


def _read(path: str) -> bytes:
    if path == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise UserError("-: nothing comes from standard input; pipe a file into the command")
        return _bounded(sys.stdin.buffer, path)
    file = Path(path)
    if not file.exists():
        beside = [each.name for each in file.parent.iterdir()] if file.parent.is_dir() else []
        raise UserError(f"{path}: no such file{nearest(file.name, beside)}; check the path")
    if not file.is_file():
        raise UserError(f"{path}: not a file; give the path of a table")
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error


def _bounded(stream: Any, name: str) -> bytes:
    """All bytes of a stream; raises UserError beyond the bound."""
    parts, size = [], 0
    while part := stream.read(_AT_ONCE):
        size += len(part)
        if size > LARGEST:
            raise too_large(name)
        parts.append(part)
    return b"".join(parts)


def too_large(name: str) -> UserError:
    """What to say of a file that unpacks to more than the bound."""
    return UserError(
        f"{name}: unpacks to more than {LARGEST >> 30} GiB; take fewer rows or columns of it"
    )


def unreadable(name: str, kind: str, error: Exception) -> UserError:
    """What to say of a file that is not of the kind that its name tells."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"{name}: not a readable {kind} file ({reason}); write it again")


def _unpacked(opened: Opened) -> Opened:
    ending = opened.kind
    inner = re.sub(rf"\{ending}$", "", opened.inner, flags=re.IGNORECASE)
    try:
        with _OPENERS[ending](io.BytesIO(opened.content)) as stream:
            content = _bounded(stream, opened.name)
    except _FAULTS as error:
        raise unreadable(opened.name, ending, error) from error
    return replace(opened, inner=inner, content=content)


def _member(opened: Opened) -> Opened:
    """The member of an archive that is named, or its only one; a workbook is left as it is."""
    try:
        with zipfile.ZipFile(io.BytesIO(opened.content)) as archive:
            if any(_is_workbook(entry) for entry in archive.namelist()):
                return replace(opened, inner=f"{opened.inner}.xlsx")
            entry = _entry(opened, archive)
            if entry.file_size > LARGEST:
                raise too_large(f"{opened.name}::{entry.filename}")
            with archive.open(entry) as stream:
                content = _bounded(stream, entry.filename)
    except (*_FAULTS, NotImplementedError) as error:
        raise unreadable(opened.name, ".zip", error) from error
    name = f"{opened.name}::{entry.filename}"
    return replace(opened, name=name, inner=entry.filename, content=content, part="")


def _is_workbook(member: str) -> bool:
    return member.startswith("xl/workbook.") or member == "content.xml"


def _entry(opened: Opened, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    entries = {
        entry.filename: entry
        for entry in archive.infolist()
        if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")
    }
    if opened.part in entries:
        return entries[opened.part]
    if len(entries) == 1 and not opened.part:
        return next(iter(entries.values()))
    names = ", ".join(f"'{name}'" for name in [*entries][:_NAMED])
    more = ", …" if len(entries) > _NAMED else ""
    if not entries:
        raise UserError(f"{opened.name}: an empty archive; put a table into it")
    if opened.part:
        raise UserError(f"{opened.name}: no member '{opened.part}'; it has {names}{more}")
    likely = max(entries, key=lambda name: entries[name].file_size)
    raise UserError(
        f"{opened.name}: {len(entries)} files in it ({names}{more}); name one: "
        f"--csv {shlex.quote(f'{opened.name}::{likely}')}"
    )
