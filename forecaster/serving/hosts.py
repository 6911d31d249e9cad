"""The names by which a server may be asked, so that no page of another site asks it."""

import ipaddress
import socket
from collections.abc import Iterable

_LOCAL = ("localhost", "127.0.0.1", "::1")
_EVERY = {"0.0.0.0", "::"}  # noqa: S104 (compared, not listened on)


class Hosts:
    """This machine's names, that of the address listened on, and ``others``.

    A server on every address goes by the machine's name, and by any number: a page can have its
    own name lead here, but not a number.
    """

    def __init__(self, host: str, others: Iterable[str] = ()) -> None:
        self._by_number = host in _EVERY
        own = socket.gethostname() if self._by_number else host
        self._names = {_plain(name) for name in (*_LOCAL, own, *others)}

    def allow(self, header: str) -> bool:
        """Whether a ``Host`` header, with a port or without, names this server."""
        name, _, _ = header.partition("]" if header.startswith("[") else ":")
        name = name.removeprefix("[")
        return _plain(name) in self._names or (self._by_number and _is_number(name))


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
