"""When a training ends: its score on validation is neither better nor on its way there."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

# so many falls one after the other say that the score is on its way down; scores without a trend
# have them once in 24 epochs
_FALLS = 3


class Patience(EarlyStopping):
    """Early stopping that does not count an epoch in which the score goes on falling.

    A score may rise for the first epochs and fall from there to far below its first value: counted
    from the best epoch alone, ``patience`` would end such a training in the middle of its fall.
    """

    def __init__(self, monitor: str, patience: int) -> None:
        super().__init__(monitor, patience=patience, check_on_train_epoch_end=False)
        self.last, self.falls = float("nan"), 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics[self.monitor])
        self.falls = self.falls + 1 if score < self.last else 0
        self.last = score
        if self.falls >= _FALLS:
            self.wait_count -= 1  # what the line below adds unless this epoch is the best so far
        super().on_validation_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "last": self.last, "falls": self.falls}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.last, self.falls = state_dict["last"], state_dict["falls"]
