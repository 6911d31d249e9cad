"""How many windows can be scored in a given time, by the time of a few."""

from collections.abc import Callable, Sequence

# the fewest windows of a split that are scored, whatever they take
FEWEST = 4
# the share of the time that may be spent on trying
_TRIAL = 1 / 8


def seconds_a_window(
    seconds_of: Callable[[int], float], count: int, budget: float, batch: int
) -> float:
    """The seconds a window, measured on one, then two, then four …

    Many take less each than one alone, up to a batch. Ends as soon as ``count`` windows surely fit
    into ``budget`` seconds, or where a larger trial would take too much of them.
    """
    size, spent = 1, 0.0
    while True:
        seconds = seconds_of(size)
        spent += seconds
        fits = seconds / size * count <= budget / 2
        if fits or 2 * size > min(count, batch) or spent + 2 * seconds > _TRIAL * budget:
            return seconds / size
        size *= 2


def most_windows(counts: Sequence[int], seconds: float, budget: float) -> int | None:
    """The most windows to score of each split, in which there are ``counts``; None for all.

    It is a power of two, and ``FEWEST`` at least.
    """
    if sum(counts) * seconds <= budget:
        return None
    most = FEWEST
    while sum(min(2 * most, count) for count in counts) * seconds <= budget:
        most *= 2
    return most if most < max(counts, default=0) else None


def divided(budget: float, first: float, second: float) -> tuple[float, float]:
    """The seconds for two works that would take ``first`` and ``second``: half of them each, and
    what the other one leaves over.
    """
    return max(budget / 2, budget - second), max(budget / 2, budget - first)
