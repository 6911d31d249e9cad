"""What goes between client, front and model: kinds of bodies, and answers."""

import http
import json
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Answer:
    """What a request is answered with. ``model``, ``run_id``: of the model that computed it.

    ``rows``: of the forecast. ``kind``: the body's content type.
    """

    status: int
    body: bytes
    model: str = ""
    run_id: str = ""
    rows: int = 0
    kind: str = "application/json"

    def to_bytes(self) -> bytes:
        """The answer as a message over the pipe."""
        head = {key: value for key, value in vars(self).items() if key != "body"}
        return pack(json.dumps(head).encode(), self.body)

    @classmethod
    def from_bytes(cls, message: bytes) -> "Answer":
        """The answer of a message."""
        head, body = split(message)
        return cls(body=body, **json.loads(head))


def refused(status: int, line: str) -> Answer:
    """The answer that says what is wrong."""
    code = _CODES.get(status) or http.HTTPStatus(status).name
    content = {"error_code": code, "message": line}
    return Answer(status, json.dumps(content, ensure_ascii=False).encode())


def pack(head: bytes, body: bytes | bytearray) -> bytes:
    """A message over the pipe: a kind of body, or what is told of an answer, and the body."""
    return b"\n".join((head, body))


def split(message: bytes) -> tuple[bytes, bytes]:
    """The head and the body of a message."""
    head, _, body = message.partition(b"\n")
    return head, body
