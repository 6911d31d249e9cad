"""The parts of a work, what is done of them, and the time left at the measured pace."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from forecaster.training.limit import Limit, in_words


@dataclass
class Part:
    """A part of a work, of ``units`` steps or windows.

    ``expected``: the seconds it is expected to take until its pace is measured (None: at most as
    long as the trainings, if it has no units). ``epochs``: those of a training.
    """

    title: str
    units: int = 0
    epochs: int = 0
    expected: float | None = None
    begun_at: int = 0
    done: int = 0
    started: float | None = None
    seconds: float = 0.0
    over: bool = False

    @property
    def measured(self) -> bool:
        """Whether its pace is known."""
        return self.done > self.begun_at and self.seconds > 0

    @property
    def pace(self) -> float:
        """Seconds a unit."""
        return self.seconds / (self.done - self.begun_at)


class Plan:
    """The parts of a work in their order, one of which is being done at a time."""

    def __init__(
        self,
        parts: Iterable[Part] = (),
        limit: Limit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.parts, self.limit, self.clock = list(parts), limit, clock
        self.began, self._share = clock(), 0.0
        self.now: Part | None = None
        self.detail = ""

    def add(self, parts: Iterable[Part]) -> None:
        """Plan parts that are not planned yet, before those that are not begun."""
        known = {part.title for part in self.parts}
        place = sum(part.over or part is self.now for part in self.parts)
        self.parts[place:place] = [part for part in parts if part.title not in known]

    def start(self, title: str, units: int = 0, epochs: int = 0, done: int = 0) -> None:
        """Begin a part; one that is not planned is added. ``done``: units of an earlier process."""
        self.end()
        self.add([Part(title)])
        self.now = next(part for part in self.parts if part.title == title)
        self.now.units, self.now.epochs, self.now.over = units, epochs, False
        self.now.begun_at, self.now.done, self.now.started = done, done, self.clock()
        self.now.seconds = 0.0

    def advance(self, done: int, detail: str = "") -> None:
        """So many units of the part are done."""
        if self.now is not None and self.now.started is not None:
            self.now.done, self.now.seconds = done, self.clock() - self.now.started
            self.detail = detail

    def end(self) -> None:
        """The part that is being done is over, even if not all of it was necessary."""
        if self.now is not None:
            self.advance(self.now.done)
            self.now.over = True
        self.now, self.detail = None, ""

    def skip(self, title: str) -> None:
        """A part needs not be done: an earlier process did it."""
        for part in self.parts:
            part.over = part.over or part.title == title

    def left(self) -> float | None:
        """The seconds left at most, None as long as no pace is measured."""
        measured = [part for part in self.parts if part.measured]
        pace = measured[-1].pace if measured else None
        total, trainings = 0.0, 0.0
        for part in self.parts:
            left = self._left_of(part, pace, trainings)
            if left is None:
                return None if self.limit is None else max(self.limit.left(), 0.0)
            total += left
            trainings += left + part.seconds if part.epochs else 0.0
        return total if self.limit is None else min(total, max(self.limit.left(), 0.0))

    def _left_of(self, part: Part, pace: float | None, trainings: float) -> float | None:
        if part.over:
            return 0.0
        if part.measured:
            return (part.units - part.done) * part.pace
        if part.expected is not None:
            return part.expected
        if not part.units:
            return trainings
        return None if pace is None else (part.units - part.done) * pace

    def share(self) -> float:
        """The share done: the time so far in that of the whole, which does not fall."""
        left, so_far = self.left(), self.clock() - self.began
        if left and so_far > 0:  # without any, what follows is not known yet
            self._share = max(self._share, so_far / (so_far + left))
        return self._share

    def words(self) -> str:
        """The part, the epoch, its validation, the share done and the time left."""
        share, left = self.share(), self.left()
        title = self.now.title if self.now is not None else ""
        about = ", ".join(text for text in (title, self.detail) if text)
        time_left = "" if left is None else f", at most {in_words(left)} left"
        return f"{about}: {int(100 * share)} % done{time_left}"
