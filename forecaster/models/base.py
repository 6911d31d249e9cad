"""What every forecaster is: a loss over windows, and forecasts from them. It knows nothing of
Lightning or of files.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.levels import LEVELS, draw

Distribution = Literal["none", "samples", "quantiles"]
Loss = Literal["l1", "mse"]


@dataclass(frozen=True)
class Shape:
    """What a forecaster is built for: ``channels`` K, ``lookback`` L, ``horizon`` H, the length of
    the ``season`` in steps, and the ``label`` P that a bridge's prior gives, too (M = P + H).
    """

    channels: int
    lookback: int
    horizon: int
    season: int
    label: int = 0


class Forecaster(nn.Module):
    """Base of all models, built from its settings and a ``Shape``: ``loss`` and ``predict``, and
    either ``sample`` or ``quantiles`` for a probabilistic forecast.

    ``distribution``: what the probabilistic forecast consists of. A subclass that defines
    ``quantiles`` or ``sample`` has it set by that, unless it says otherwise.
    """

    distribution: Distribution = "none"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "distribution" not in vars(cls):
            if "quantiles" in vars(cls):
                cls.distribution = "quantiles"
            elif "sample" in vars(cls):
                cls.distribution = "samples"

    @property
    def device(self) -> torch.device:
        """Where the weights are, or else what was taken from the data."""
        return next(
            (t.device for t in itertools.chain(self.parameters(), self.buffers())),
            torch.device("cpu"),
        )

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The training loss of a batch."""
        raise NotImplementedError

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """What early stopping watches, lower is better: the loss, unless a model knows better."""
        return self.loss(batch)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The deterministic forecast, in z-scores."""
        raise NotImplementedError

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Sample paths, in z-scores, where there is a distribution; of quantiles, draws from the
        marginals, independent in time and channel.
        """
        if self.distribution != "quantiles":
            raise UserError("this model gives a point forecast only, no samples")
        return draw(self.quantiles(batch, LEVELS), LEVELS, draws)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Quantiles, in z-scores, where ``distribution`` is ``quantiles``."""
        raise UserError(
            "this model gives no quantiles of its own (its probabilistic forecast: "
            f"{self.distribution})"
        )

    def mean(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The mean of quantile models: the average over the deciles' midpoints, as good as their
        levels allow.
        """
        return self.quantiles(batch, [round(0.05 + 0.1 * i, 2) for i in range(10)]).mean(1)

    def stages(self) -> list["Forecaster"]:
        """Parts that are trained first, each by itself, and then frozen."""
        return []

    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Take what is needed from the data after training, for example residuals."""

    def check_steps(self, steps: int | None) -> None:
        """Refuse a number of sampling steps that the model cannot walk."""
        if steps is not None:
            raise UserError("--steps: this model does not sample in steps; leave it out")

    def has_spread(self, steps: int | None) -> bool:
        """Whether samples of so many steps differ from each other."""
        return self.distribution != "none"


class StreamingState(Forecaster):
    """A model with a memory of what it has read: its forecasts follow from that, whatever the
    history in a batch.
    """

    def update(self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"]) -> None:
        """Read one more row."""
        raise NotImplementedError


@runtime_checkable
class Streamable(Protocol):
    """A forecaster that reads a history once and then row after row, at any sampling interval."""

    def stream(
        self, past: Float[Tensor, "B K L"], past_mask: Float[Tensor, "B K L"]
    ) -> StreamingState:
        """This model after a history, to be given further rows one at a time."""

    def resample(self, rate: int) -> None:
        """From now on, read series sampled ``rate`` times more coarsely than the training's."""


def masked_mean(
    errors: Float[Tensor, "*shape"], mask: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """The mean of the observed entries; 0 where none is observed."""
    return (errors * mask).sum() / mask.sum().clamp(min=1)


def path_errors(kind: Loss, forecast: Tensor, target: Tensor) -> Tensor:
    """Elementwise absolute (``l1``) or squared (``mse``) errors."""
    return (forecast - target).abs() if kind == "l1" else (forecast - target) ** 2


def empty_future(
    past: Float[Tensor, "B K L"],
    past_mask: Float[Tensor, "B K L"],
    horizon: int,
    time: Int[Tensor, " B"],
) -> Batch:
    """Windows to be forecast: the future is unknown."""
    future = past.new_zeros((*past.shape[:2], horizon))
    return Batch(past, past_mask, future, future, torch.arange(len(past), device=past.device), time)


def with_label(batch: Batch, label: int) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
    """y* and its mask: the last ``label`` steps of the history, then the future (M = P + H)."""
    start = batch.past.shape[2] - label
    target = torch.cat([batch.past[..., start:], batch.future], dim=2)
    return target, torch.cat([batch.past_mask[..., start:], batch.future_mask], dim=2)
