"""What goes between client, front and model: kinds of bodies, and answers."""

import http
import json
from collections.abc import Sequence

from forecaster.serving.limits import RefusedError

CSV, JSON, PARQUET = b"c", b"j", b"p"
_KINDS = {"text/csv": CSV, "application/json": JSON, "application/vnd.apache.parquet": PARQUET}
# the names of MLflow's protocol
_CODES = {400: "INVALID_PARAMETER_VALUE", 500: "INTERNAL_ERROR"}


def kind_of(types: Sequence[str]) -> bytes:
    """The kind of a body by its ``Content-Type``; raises RefusedError for an unknown one."""
    name, *parameters = (part.strip().lower() for part in ",".join(types).split(";"))
    if name not in _KINDS:
        raise RefusedError(415, f"Content-Type has to be one of {', '.join(_KINDS)}")
    if any(part not in {"", "charset=utf-8", 'charset="utf-8"'} for part in parameters):
        raise RefusedError(415, f"Content-Type: write {name} alone, or with charset=utf-8")
    return _KINDS[name]


def error_body(status: int, line: str) -> bytes:
    """The body of an answer that says what is wrong."""
    code = _CODES.get(status) or http.HTTPStatus(status).name
    return json.dumps({"error_code": code, "message": line}, ensure_ascii=False).encode()


def pack(head: bytes, body: bytes | bytearray) -> bytes:
    """A message over the pipe: a kind of body, or a status, and the body."""
    return b"\n".join((head, body))


def split(message: bytes) -> tuple[bytes, bytes]:
    """The head and the body of a message."""
    head, _, body = message.partition(b"\n")
    return head, body
