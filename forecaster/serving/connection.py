"""One connection of a client, which is closed when it stalls."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

STALLED_SECONDS = 20.0  # between two looks at a connection
_AT_ONCE = 8 << 10  # bytes that are parsed before others are looked at


class WatchedConnection(H11Protocol):
    """A connection that ends when the head of a request, or the reading of an answer, stalls.

    Bodies have a limit of their own. The application is told of what is no HTTP.
    """

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        super().send_400_response(msg)
        if self.cycle is None or self.cycle.response_complete:  # else it is of a request
            application: Any = self.app
            application.unreadable(self.client)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        transport.max_size = _AT_ONCE  # type: ignore[attr-defined]
        self._look(None)

    def _look(self, before: tuple[Any, ...] | None) -> None:
        """Close what has not moved since the last look, or look again later."""
        unread = self.transport.get_write_buffer_size()
        state = (id(self.cycle), self.conn.their_state, unread)
        if state == before and (self.conn.their_state is h11.IDLE or unread):
            self.transport.abort()
        elif unread or not self.transport.is_closing():
            self.loop.call_later(STALLED_SECONDS, self._look, state)
