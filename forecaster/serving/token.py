"""The token by which the clients of a server are known (RFC 6750)."""

import hmac
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forecaster.errors import UserError

VARIABLE = "FORECASTER_TOKEN"
OPEN = "/ping"  # for a load balancer, which knows no token; it tells nothing of the model
_LONGEST = 4096  # letters
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class Token:
    """A token, which is never printed."""

    value: str = field(repr=False)

    def allows(self, authorizations: Sequence[str]) -> bool:
        """Whether the ``Authorization`` headers of a request are one with this token."""
        if len(authorizations) != 1:
            return False
        scheme, _, given = authorizations[0].partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.value.encode())
        return right and scheme.lower() == "bearer"


def read_token(file: Path | None, notify: Callable[[str], object]) -> Token | None:
    """The token of ``file`` or of the environment, which is cleared of it; None without either.

    ``notify`` is called with a warning. Raises UserError for what is no token.
    """
    variable = os.environ.pop(VARIABLE, None)
    if file is None:
        return None if variable is None else _token(variable, VARIABLE)
    if variable is not None:
        raise UserError(f"there are --token-file and {VARIABLE}; leave one of them out")
    with file.open("rb") as opened:
        mode, content = os.fstat(opened.fileno()).st_mode, opened.read(_LONGEST + 2)
    if mode & stat.S_IROTH:
        notify(f"note: {file}: every user can read the token; run: chmod 600 {file}")
    return _token(content.decode("latin-1"), str(file))


def _token(text: str, where: str) -> Token:
    text = text.strip()
    if not text:
        raise UserError(f"{where}: an empty token; make one with: openssl rand -hex 32")
    if len(text) > _LONGEST or not _FORM.fullmatch(text):
        raise UserError(
            f"{where}: not a token (letters, digits and - . _ ~ + / alone, {_LONGEST} at most); "
            "make one with: openssl rand -hex 32"
        )
    return Token(text)
