"""Selection of the residuals' scaling and widening by validation score."""

import itertools
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Windows, ordered_loader
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import with_label
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.prior import Prior
from forecaster.models.scoring_rules import sample_score

# the grid; no spread below 1, since too narrow intervals cost more
POWERS, SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0), (1.0, 1.1, 1.2, 1.35, 1.5)
# number of validation windows, evenly spaced, and of draws a window
_WINDOWS, _DRAWS = 256, 32


class Widening(NamedTuple):
    """Residuals are multiplied by ratio^``power`` · ``spread`` (the ratio of scales)."""

    power: float
    spread: float

    def apply(
        self, residuals: Float[Tensor, "B S K M"], ratio: Float[Tensor, "B S K 1"]
    ) -> Float[Tensor, "B S K M"]:
        """The widened residuals."""
        return residuals * ratio**self.power * self.spread


def candidates(power: float | str, spread: float | str) -> list[Widening]:
    """All pairs of the configured values; ``auto`` stands for the whole grid."""
    powers = POWERS if isinstance(power, str) else (power,)
    spreads = SPREADS if isinstance(spread, str) else (spread,)
    return [Widening(*pair) for pair in itertools.product(powers, spreads)]


def best_widening(
    pairs: list[Widening], base: Prior, bank: ResidualBank, label: int, validation: Windows
) -> Widening:
    """The pair with the best score on evenly spaced validation windows, with common draws."""
    totals = dict.fromkeys(pairs, 0.0)
    for cpu_batch in ordered_loader(validation, 64, _WINDOWS):
        batch = cpu_batch.to(bank.residuals.device)
        target, mask = with_label(batch, label)
        point = base.predict_with_label(batch)[:, None]
        residuals, ratio = bank.draw(batch, Draws(_DRAWS, batch.index.tolist()))
        for pair in pairs:
            paths = point + pair.apply(residuals, ratio)
            totals[pair] += float(sample_score(paths, target, mask)) * len(batch)
    return min(totals, key=lambda pair: totals[pair])
