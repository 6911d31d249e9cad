"""The model in service, and its exchange for the version that its alias has moved to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from time import monotonic

from forecaster.errors import one_line
from forecaster.serving.source import Served, Source, Target

POLL_SECONDS = 2.0  # between two looks at the alias
AGAIN_SECONDS = 60.0  # until a version that cannot be loaded is tried again
_LAST_SECONDS = 5.0  # for a look that is under way when the server ends


class Follower:
    """Holds the model in service. Another thread looks where the alias leads, and loads.

    What is computed meanwhile goes on with the model that it began with. ``news``: a pipe that is
    told of every exchange, and of every attempt that failed.
    """

    def __init__(self, source: Source, notify: Callable[[str], object], news: Connection) -> None:
        self.served = source.open(source.target())
        self._source, self._notify, self._news = source, notify, news
        self._lost = False  # the alias, at the last look
        self._refused: tuple[Target, float] | None = None  # the version, and when to try again
        self._end = threading.Event()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look at the alias until the end of the block."""
        thread = threading.Thread(target=self._watch, daemon=True)
        if self.served.target is not None:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            if thread.ident is not None:
                thread.join(_LAST_SECONDS)
            self.served.discard()

    def _watch(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            self.look()

    def look(self) -> None:
        """Look at the alias once, and load the version that it has moved to."""
        reference = self._source.reference
        try:
            target = self._source.target()
        except Exception as error:  # whatever it is, the present model goes on
            self._failed(self._lost, f"{reference} cannot be looked up", error)
            self._lost = True
            return
        self._lost = False
        assert target is not None
        refused, again = self._refused or (None, 0.0)
        if target == self.served.target or (target == refused and monotonic() < again):
            return
        try:
            served = self._source.open(target)
        except (Exception, SystemExit) as error:  # also of the code of a model's maker
            what = f"{reference} is version {target[0]} now, which cannot be loaded"
            self._failed(target == refused, what, error)
            self._refused = target, monotonic() + AGAIN_SECONDS
            return
        self._refused = None
        self._exchange(served)

    def _exchange(self, served: Served) -> None:
        before, self.served = self.served, served
        self._tell(served)
        self._notify(f"now serving {served.label}, before: {before.label}")
        before.discard()

    def _failed(self, known: bool, what: str, error: BaseException) -> None:
        """Tell of a failure, in one line and only once."""
        self._tell(None)
        if not known:
            reason = one_line(str(error) or type(error).__name__)
            self._notify(f"note: {what} ({reason}); {self.served.label} stays in service")

    def _tell(self, served: Served | None) -> None:
        with suppress(OSError):  # the other end has gone: then the server ends
            self._news.send_bytes(json.dumps(None if served is None else served.about).encode())
