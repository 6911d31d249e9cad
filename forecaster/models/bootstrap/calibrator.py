"""Selection of the residuals' centre, scaling and widening by validation score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import masked_mean, with_label
from forecaster.models.scoring_rules import quantiles_of_ranked, sample_score

# the grids; no spread below 1, since too narrow intervals cost more
POWERS, SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0), (1.0, 1.1, 1.2, 1.35, 1.5)
BIASES = (0.0, 0.25, 0.5, 0.75, 1.0)
# the share of its score that a whole bias has to win
_BIAS_PRICE = 0.01
# the share of the score that a spread may cost whose 90 % intervals hold more nearly
_SPREAD_PRICE = 0.005
# number of validation windows, evenly spaced, the fewest of a wide table, and of draws a window: of
# 39 the second and the last but one bound 90 % exactly
_WINDOWS, _FEWEST, _DRAWS = 256, 32, 39


class Widening(NamedTuple):
    """How forecasts are made of a base's forecast h and residual paths of mean m.

    The centre is h + ``bias`` · m, and paths go around it ``spread`` times as far as around m;
    ``power``: see ``ResidualBank``.
    """

    power: float
    spread: float
    bias: float

    def centre(
        self, h: Float[Tensor, "B K M"], mean: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B K M"]:
        """The point forecast, which is the expectation of the samples."""
        return h + self.bias * mean

    def samples(
        self,
        h: Float[Tensor, "B K M"],
        mean: Float[Tensor, "B K M"],
        paths: Float[Tensor, "B S K M"],
    ) -> Float[Tensor, "B S K M"]:
        """The sample paths."""
        return (h + (self.bias - self.spread) * mean)[:, None] + self.spread * paths


class Choices(NamedTuple):
    """What each of the three may be: one configured value, or for ``auto`` a grid."""

    powers: Sequence[float]
    spreads: Sequence[float]
    biases: Sequence[float]

    @classmethod
    def of(cls, power: float | str, spread: float | str, bias: float | str) -> "Choices":
        """The choices that settings leave."""
        settings = (power, spread, bias)
        grids = (POWERS, SPREADS, BIASES)
        return cls(
            *(g if isinstance(s, str) else (s,) for s, g in zip(settings, grids, strict=True))
        )

    def first(self) -> Widening:
        """The first of each."""
        return Widening(*(values[0] for values in self))


@runtime_checkable
class Centred(Protocol):
    """A point forecast of label and horizon."""

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast, in z-scores."""


@runtime_checkable
class Drawing(Protocol):
    """Residual paths that are drawn for a window, in a size that goes with its scale."""

    @property
    def device(self) -> torch.device:
        """Where batches are expected."""

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B K M"]]:
        """Residual paths, by a seed for each window, and their expectation."""

    def scale_by(self, power: float) -> None:
        """Let paths grow with the ratio of scales to this power."""


@dataclass(frozen=True)
class _Drawn:
    """A batch of validation windows: truth, the base's forecast, residual paths and their mean.

    ``ranked``: the paths, each entry's in ascending order, and ``ends`` their 5 % and 95 %
    quantiles; every widening leaves them in their order.
    """

    target: Float[Tensor, "B K M"]
    mask: Float[Tensor, "B K M"]
    h: Float[Tensor, "B K M"]
    paths: Float[Tensor, "B S K M"]
    ranked: Float[Tensor, "B S K M"]
    mean: Float[Tensor, "B K M"]
    ends: Float[Tensor, "B 2 K M"]

    def score(self, widening: Widening, energy: float) -> "_Score":
        """The loss and the coverage of a widening."""
        samples, ranked = (
            widening.samples(self.h, self.mean, paths) for paths in (self.paths, self.ranked)
        )
        score = sample_score(samples, self.target, self.mask, energy, ranked=ranked)
        error = (widening.centre(self.h, self.mean) - self.target).abs()
        loss = (score + masked_mean(error, self.mask)) * (1 + _BIAS_PRICE * widening.bias)
        low, high = widening.samples(self.h, self.mean, self.ends).unbind(1)
        inside = (low <= self.target) & (self.target <= high) & (self.mask > 0)
        return _Score(float(loss) * len(self.h), float(inside.sum()), float((self.mask > 0).sum()))


class _Score(NamedTuple):
    """The score of samples and the error of the point forecast, summed over windows; and how many
    of the values observed are within the 90 % intervals.
    """

    loss: float
    inside: float
    observed: float

    def plus(self, other: "_Score") -> "_Score":
        """The score of both."""
        return _Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def miss(self) -> float:
        """How far the coverage is from 90 %."""
        return abs(self.inside / max(self.observed, 1.0) - 0.9)


@dataclass(frozen=True)
class Calibrator:
    """Chooses a widening on evenly spaced validation windows, with common draws."""

    base: Centred
    law: Drawing
    label: int
    validation: Windows

    @torch.no_grad()
    def choose(self, choices: Choices) -> Widening:
        """For each power the best bias, and with it the best spread; of those the best power.

        Of its spreads whose loss is within a half percent of the least it takes the one whose 90 %
        intervals hold most nearly. The law is left with the chosen power.
        """
        powers, spreads, biases = choices
        known, found = self._forecasts(), []
        for power in powers:
            self.law.scale_by(power)
            # the energy score says little of the centre and costs the most
            centres = [Widening(power, spreads[0], bias) for bias in biases]
            bias = _least(self._scores(known, centres, 0.0)).bias if len(centres) > 1 else biases[0]
            widenings = [Widening(power, spread, bias) for spread in spreads]
            found.append(self._scores(known, widenings, 1.0))
        scores = min(found, key=lambda each: min(score.loss for score in each.values()))
        # of errors that are all 0 the least loss is 0, up to rounding on either side
        least = min(score.loss for score in scores.values())
        most = least + abs(least) * _SPREAD_PRICE
        chosen = min(
            (widening for widening, score in scores.items() if score.loss <= most),
            key=lambda widening: scores[widening].miss,
        )
        self.law.scale_by(chosen.power)
        return chosen

    def _scores(
        self, known: list[tuple[Batch, Tensor]], candidates: list[Widening], energy: float
    ) -> dict[Widening, _Score]:
        """The score of each candidate over all windows."""
        totals = dict.fromkeys(candidates, _Score(0.0, 0.0, 0.0))
        for batch, h in known:
            paths, mean = self.law.draw(batch, Draws(_DRAWS, batch.index.tolist()))
            ranked = paths.sort(dim=1).values
            ends = quantiles_of_ranked(ranked, (0.05, 0.95))
            drawn = _Drawn(*with_label(batch, self.label), h, paths, ranked, mean, ends)
            for candidate in candidates:
                totals[candidate] = totals[candidate].plus(drawn.score(candidate, energy))
        return totals

    def _forecasts(self) -> list[tuple[Batch, Tensor]]:
        """The windows, with the base's forecasts (B, K, M), which no choice changes."""
        found = []
        for cpu_batch in calibration_batches(self.validation):
            batch = cpu_batch.to(self.law.device)
            found.append((batch, self.base.predict_with_label(batch)))
        return found


def calibration_batches(validation: Windows) -> Iterable[Batch]:
    """Evenly spaced validation windows, fewer of a wide table."""
    return ordered_loader(validation, 64, of_a_wide_table(_WINDOWS, validation.channels, _FEWEST))


def _least(scores: dict[Widening, _Score]) -> Widening:
    """The candidate of the least loss; of equal ones the first in order."""
    return min((score.loss, widening) for widening, score in scores.items())[1]
