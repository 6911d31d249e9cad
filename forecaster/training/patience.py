"""When a training ends: its score on validation is neither better nor on its way there."""

import math
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

# a score below those of so many epochs before it is on its way down; scores without a trend are
# so once in five epochs
_RECENT = 4
# of averaged weights, a score is below another one if it is so by this share: it goes on falling by
# less for as many epochs again
_LEAST = 1e-3


class Patience(EarlyStopping):
    """Early stopping that does not count an epoch whose score is below all recent ones.

    A score may rise for the first epochs and fall from there to far below its first value: counted
    from the best epoch alone, ``patience`` would end such a training in the middle of its fall.
    Of ``averaged`` weights, what is below a score by less than a thousandth is not below it; the
    weights that are kept are of the best score all the same.
    """

    def __init__(self, monitor: str, patience: int, averaged: bool) -> None:
        super().__init__(monitor, patience=patience, check_on_train_epoch_end=False)
        self.least = _LEAST if averaged else 0.0
        self.recent: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics[self.monitor])
        if len(self.recent) == _RECENT and score < self._below(min(self.recent)):
            self.wait_count -= 1  # what the line below adds unless this epoch is the best so far
        self.recent = [*self.recent, score][-_RECENT:]
        best = float(self.best_score)
        self.min_delta = self._below(best) - best if math.isfinite(best) else 0.0
        super().on_validation_end(trainer, pl_module)

    @property
    def state_key(self) -> str:
        """That of ``EarlyStopping``, by which an interrupted fit of earlier code goes on."""
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "recent": self.recent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.recent = state_dict.get("recent", [])

    def _below(self, score: float) -> float:
        """What is below a score is below this, too."""
        return score - self.least * abs(score)
