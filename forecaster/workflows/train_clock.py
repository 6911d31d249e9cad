"""How a training shares out a limit of time."""

import math
from dataclasses import dataclass, replace

from forecaster.training.limit import Limit, in_words
from forecaster.workflows.train_bounds import FLOOR, Budget

# shares of the time without saving: the training, its scoring, and a training on all rows, which
# takes 10/7 of the steps, as there are more windows; that of some of the models trained before
_TRAINING, _SCORING, _REFIT, _REFIT_OF_SOME = 4, 1, 6, 3
# the share of the forecast past the end in the time of scoring
_FORECAST = 1 / 4
# for saving: a share of the whole, so many seconds at least, but no more than a quarter
_SAVING, _SAVING_SECONDS = 1 / 20, 4.0


@dataclass(frozen=True)
class Clock:
    """The limit of time of a training, if any; ``refits``: it trains on all rows after scoring.

    ``some``: only some of the models that are trained are then trained on all rows.
    """

    limit: Limit | None = None
    refits: bool = False
    some: bool = False

    @property
    def _refit(self) -> int:
        return (_REFIT_OF_SOME if self.some else _REFIT) * self.refits

    def training(self) -> Limit | None:
        """The limit of the held-out training. One that suspends leaves all of the time to it."""
        return self._share(_TRAINING, (_SCORING, self._refit))

    def refit(self) -> Limit | None:
        """The limit of the training on all rows, which is used if it makes all its steps."""
        limit = self._share(1, ())
        return None if limit is None else replace(limit, whole=True)

    def scoring(self, trained: float, whole: bool = False) -> Budget:
        """The time for the scoring: with the forecast at the end no longer than the training, which
        ``trained`` so many seconds, if not ``whole``.
        """
        most = math.inf if whole else (1 - _FORECAST) * max(trained, FLOOR)
        limit = self._share(_SCORING, (self._refit,))
        if limit is None or limit.suspends or limit.left() >= most:
            reason = "as scoring takes no longer than the training did"
            return Budget(most, reason)
        remedy = "a longer --time-limit scores more"
        return Budget(limit.left(), f"as the {self.words()} left no time for more", remedy)

    def forecasting(self, trained: float) -> float:
        """The seconds for a forecast at the end."""
        if self.limit is None or self.limit.suspends:
            return _FORECAST * max(trained, FLOOR)
        return max(self.limit.left(), _saving(self.limit))

    def words(self) -> str:
        """The limit in words."""
        return "" if self.limit is None else f"time limit of {in_words(self.limit.seconds)}"

    def _share(self, own: int, others: tuple[int, ...]) -> Limit | None:
        """The part of what is left, without saving, of ``own`` in it and the ``others`` to come."""
        limit = self.limit
        if limit is None or limit.suspends:
            return limit
        return limit.used(_saving(limit)).share(own / (own + sum(others)))


def _saving(limit: Limit) -> float:
    return min(max(_SAVING * limit.seconds, _SAVING_SECONDS), limit.seconds / 4)
