"""What a server tells on standard error: a line a request, and a line of whatever happens to it.

Of a request there are no queries, bodies and headers.
"""

import json
import logging
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from forecaster.serving.messages import Answer

Form = Literal["text", "json"]

_LONGEST = 200  # letters of a path
_TEXT = "%(time)s %(client)s %(method)s %(path)s %(status)d %(bytes)d %(milliseconds).1f %(model)s"
_log = logging.getLogger("forecaster")
_requests = logging.getLogger("forecaster.requests")


class _AsJson(logging.Formatter):
    """An object a line: the fields of a request, or ``time`` and ``message`` of all else."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, Mapping):
            fields = {name: None if field == "-" else field for name, field in record.args.items()}
        else:
            fields = {"time": _now(), "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def to_standard_error(form: Form) -> None:
    """Write the log of this process to standard error."""
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(_AsJson())
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def tell(line: str) -> None:
    """Log what happens to the server."""
    _log.info("%s", line)


def request(scope: MutableMapping[str, Any], answer: Answer, seconds: float) -> None:
    """Log one request: time, client, method, path, status, bytes, milliseconds, model."""
    client, _ = scope.get("client") or ("-", 0)
    _requests.info(
        _TEXT,
        {
            "time": _now(),
            "client": client,
            "method": scope["method"][:_LONGEST],
            "path": quote(scope["path"], safe="/")[:_LONGEST],
            "status": answer.status,
            "bytes": 0 if scope["method"] == "HEAD" else len(answer.body),
            "milliseconds": round(seconds * 1000, 1),
            "model": quote(answer.model, safe="/:") or "-",
        },
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
