"""The log of requests: a line each on standard error, without queries, bodies and headers."""

import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from forecaster.serving.messages import Answer

_LONGEST = 200  # letters of a path
_log = logging.getLogger("forecaster.requests")


def to_standard_error() -> None:
    """Write the log of this process to standard error."""
    _log.addHandler(logging.StreamHandler())
    _log.setLevel(logging.INFO)
    _log.propagate = False


def write(scope: MutableMapping[str, Any], answer: Answer, seconds: float) -> None:
    """Log one request: time, client, method, path, status, bytes, milliseconds, model."""
    client, _ = scope.get("client") or ("-", 0)
    size = 0 if scope["method"] == "HEAD" else len(answer.body)
    _log.info(
        "%s %s %s %s %d %d %.1f %s",
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        client,
        scope["method"][:_LONGEST],
        quote(scope["path"], safe="/")[:_LONGEST],
        answer.status,
        size,
        seconds * 1000,
        quote(answer.model, safe="/:") or "-",
    )
