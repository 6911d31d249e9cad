"""What every forecaster is: a loss over windows, and forecasts from them. It knows nothing of
Lightning or of files.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.data.windows import Batch, Windows
from forecaster.errors import UserError

Distribution = Literal["none", "samples", "quantiles"]


@dataclass(frozen=True)
class Draws:
    """How samples are drawn: their number, the sampler's steps (None: the model's own), one seed a
    window.

    With its own seed, a window's samples do not depend on which windows share its batch. ``budget``
    bounds the memory of one network call, in bytes.
    """

    samples: int
    seeds: Sequence[int]
    steps: int | None = None
    budget: int = 256 * 2**20


def generator(*parts: int | str) -> torch.Generator:
    """A source of random numbers of its own for every tuple of parts (torch looks at 32 bits of a
    seed only).
    """
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


class Forecaster(nn.Module):
    """Base of all models. ``distribution`` says what the probabilistic forecast consists of."""

    distribution: Distribution = "none"

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
        """Sample paths, in z-scores, where ``distribution`` is ``samples``."""
        raise UserError(
            f"this model gives no samples (its probabilistic forecast: {self.distribution})"
        )

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Quantiles, in z-scores, where ``distribution`` is ``quantiles``."""
        raise UserError(
            "this model gives no quantiles of its own (its probabilistic forecast: "
            f"{self.distribution})"
        )

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast of a bridge's whole path, label and horizon, in z-scores; without a
        label, ``point``.
        """
        return self.predict(batch)

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """What a bridge may start from, in z-scores: sample paths, or the point forecast again and
        again.
        """
        return self.predict_with_label(batch)[:, None].expand(-1, draws.samples, -1, -1)

    def stream(
        self, past: Float[Tensor, "B K L"], past_mask: Float[Tensor, "B K L"]
    ) -> "StreamingState":
        """This model after a history, to be given further rows one at a time."""
        raise UserError(
            "this model cannot take in rows one at a time (--stream); train a state-space model, "
            "such as s4d"
        )

    def resample(self, rate: int) -> None:
        """From now on, read series sampled ``rate`` times more coarsely than the training's."""
        raise UserError(
            "this model knows one sampling interval only (--resample-rate); train a state-space "
            "model, such as s4d"
        )

    def mean(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The mean of quantile models: the average over the deciles' midpoints, as good as their
        levels allow.
        """
        return self.quantiles(batch, [round(0.05 + 0.1 * i, 2) for i in range(10)]).mean(1)

    def stages(self) -> list["Forecaster"]:
        """Parts to be trained first, each by itself, and kept as they are then."""
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


def masked_mean(
    errors: Float[Tensor, "*shape"], mask: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """The mean of the observed entries; 0 where none is observed."""
    return (errors * mask).sum() / mask.sum().clamp(min=1)


def path_errors(kind: str, forecast: Tensor, target: Tensor) -> Tensor:
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
