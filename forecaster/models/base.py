"""The interface of all forecasters: a loss over windows, and forecasts from them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from forecaster.config.parts import base_of
from forecaster.config.schema import DataConfig
from forecaster.data.encoding import NO_SIZES, Encoding, Sizes
from forecaster.data.holes import fill
from forecaster.data.intervals import Interval
from forecaster.data.problem import Problem
from forecaster.data.seasons import seasons_of
from forecaster.data.splits import Scaling
from forecaster.data.windows import Batch, BatchCovariates, Windows
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.levels import LEVELS, draw
from forecaster.models.outlook import Centre, Outlook, centred_on

Distribution = Literal["none", "samples", "quantiles"]
Loss = Literal["l1", "mse"]


@dataclass(frozen=True)
class Shape:
    """Sizes of a forecaster: ``channels`` K, ``lookback`` L, ``horizon`` H, ``season`` in steps.

    ``label``: P, the last steps of the history that a bridge's prior forecasts, too (M = P + H).
    ``seasons``: all seasons in steps, ascending (empty: ``season`` alone). ``series``: the number
    of series that are learnt from. ``covariates``: the numbers of their features. ``zeros``: the
    z-scores (N, K) of values of 0 in those series (None: unknown).
    """

    channels: int
    lookback: int
    horizon: int
    season: int
    label: int = 0
    seasons: tuple[int, ...] = ()
    series: int = 1
    covariates: Sizes = NO_SIZES
    zeros: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


def shape_of(
    data: DataConfig,
    interval: Interval,
    channels: int,
    series: int,
    encoding: Encoding | None = None,
    scaling: Iterable[Scaling] = (),
) -> Shape:
    """The shape of a forecaster for this data, without label; ``scaling``: that of each series."""
    seasons = seasons_of(data, interval)
    return Shape(
        channels,
        data.lookback,
        data.horizon,
        seasons[0],
        seasons=tuple(sorted(seasons)),
        series=series,
        covariates=NO_SIZES if encoding is None else encoding.sizes,
        zeros=np.stack(zeros) if (zeros := [scale.zeros for scale in scaling]) else None,
    )


def problem_shape(problem: Problem) -> Shape:
    """The shape of a forecaster for a problem, without label."""
    table = problem.table
    count = len(table.series)
    return shape_of(
        problem.config, table.interval, problem.channels, count, problem.encoding, problem.scaling
    )


@base_of("forecaster")
class Forecaster(nn.Module):
    """Base of all models, built from settings and a ``Shape``.

    A subclass defines ``loss`` and ``predict``, and ``sample`` or ``quantiles`` for a probabilistic
    forecast. ``distribution`` is the form of that forecast; by default it follows from which of
    the two methods is defined. ``centre``: what the point forecast is by intent; by default the
    median of a model that defines quantiles, else the mean. ``teaches``: as a stage, it is trained
    as the model that follows is.
    """

    distribution: Distribution = "none"
    centre: Centre = "mean"
    teaches = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "distribution" not in vars(cls):
            if "quantiles" in vars(cls):
                cls.distribution = "quantiles"
            elif "sample" in vars(cls):
                cls.distribution = "samples"
        if "centre" not in vars(cls) and vars(cls).get("distribution") == "quantiles":
            cls.centre = "median"

    @property
    def device(self) -> torch.device:
        """The device of the weights, or of the buffers of a model without weights."""
        return next(
            (t.device for t in itertools.chain(self.parameters(), self.buffers())),
            torch.device("cpu"),
        )

    @property
    def fits_histories(self) -> bool:
        """Whether it, or a part, is fitted to the history of each window, which takes its time."""
        parts = (part for part in self.modules() if part is not self)
        return any(part.fits_histories for part in parts if isinstance(part, Forecaster))

    @property
    def calls(self) -> int:
        """How often a network is called for a forecast, which its time is proportional to."""
        return 1

    @property
    def measured_by(self) -> "Forecaster":
        """What tells how its errors grow with what is missing: itself, or a part that is quick."""
        return self

    @property
    def learns(self) -> bool:
        """Whether a training changes it: it has weights, or is calibrated on the data."""
        calibrated = type(self).calibrate is not Forecaster.calibrate
        return calibrated or next(self.parameters(), None) is not None

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The training loss of a batch."""
        raise NotImplementedError

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The early-stopping metric, lower is better: the loss, unless overridden."""
        return self.loss(batch)

    def channel_scores(self, batch: Batch, learnt: bool) -> Float[Tensor, "2 K"] | None:
        """Of a model that learns for each channel whether what it learns is of use there: the
        score of each, with what it has learnt or without, summed over windows, and their number;
        else None.

        The mean of the better of both is then the early-stopping metric.
        """
        return None

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The deterministic forecast, in z-scores."""
        raise NotImplementedError

    @property
    def draws_centre(self) -> bool:
        """Whether the point forecast is the median of sample paths, and not ``predict``."""
        return self.centre == "median" and self.distribution == "samples"

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        """The point forecast alone, in z-scores."""
        if self.draws_centre:
            return centred_on(self.sample(batch, draws))
        point = self.predict(batch, draws.steps)
        return Outlook(point) if self.centre == "mean" else Outlook(self.mean(batch), point)

    def outlook(self, batch: Batch, draws: Draws, levels: Sequence[float]) -> Outlook:
        """The point forecast and the distribution: quantiles at ``levels``, or sample paths."""
        centred = self.centred(batch, draws)
        if self.distribution == "quantiles":
            return replace(centred, quantiles=self.quantiles(batch, levels))
        if centred.paths is None:
            return replace(centred, paths=self.sample(batch, draws))
        return centred

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Sample paths, in z-scores, if the model has a distribution.

        From quantiles, draws from the marginals, independent in time and channel.
        """
        if self.distribution != "quantiles":
            raise UserError("this model gives a point forecast only, no samples")
        return draw(self.quantiles(batch, LEVELS), LEVELS, draws)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Quantiles, in z-scores, if ``distribution`` is ``quantiles``."""
        raise UserError(
            "this model gives no quantiles of its own (its probabilistic forecast: "
            f"{self.distribution})"
        )

    def mean(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The mean of a quantile model: the average of its ten evenly spaced quantiles."""
        return self.quantiles(batch, [round(0.05 + 0.1 * i, 2) for i in range(10)]).mean(1)

    @property
    def point_model(self) -> "Forecaster | None":
        """What gives its point forecast: itself, or a stage before it; None: only it, at length."""
        return self

    def stages(self) -> list["Forecaster"]:
        """Submodels that are trained first, one after the other, and then frozen."""
        return []

    def prepare(self) -> None:
        """Take over what the stages before it have learnt, before its own training."""

    def calibrate_steps(self, validation: Windows) -> None:
        """Take a network's mean errors at the steps of a path out of its output, if it has any."""

    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Compute what the model needs from the data after training, for example residuals."""

    def calibrate_after(self, precursor: "Precursor") -> None:
        """In place of ``calibrate``, for a model that is trained on all rows.

        By default the precursor's buffers, but those of its stages, are copied, if it is calibrated
        at all.
        """
        if type(self).calibrate is not Forecaster.calibrate:
            calibrated = dict(precursor.model.named_buffers())
            staged = {id(buffer) for stage in self.stages() for buffer in stage.buffers()}
            for name, buffer in self.named_buffers():
                if id(buffer) not in staged:
                    buffer.copy_(calibrated[name])

    def check_steps(self, steps: int | None) -> None:
        """Raise UserError if the model cannot sample in this number of steps."""
        if steps is not None:
            raise UserError("--steps: this model does not sample in steps; leave it out")

    def has_spread(self, steps: int | None) -> bool:
        """Whether samples drawn in this number of steps differ from each other."""
        return self.distribution != "none"


@dataclass(frozen=True)
class Precursor:
    """A held-out model, or a stage of it, and its windows, of which it learnt ``train`` alone."""

    model: Forecaster
    train: Windows
    validation: Windows
    test: Windows

    def stage(self, number: int) -> "Precursor":
        """The stage of this number; the model itself is the last."""
        return replace(self, model=[*self.model.stages(), self.model][number])


class StreamingState(Forecaster):
    """A model with a recurrent state: forecasts depend on it, not on the values in a batch.

    The covariates of a batch, of its history and its future, are those of the forecast.
    """

    def update(self, batch: Batch) -> None:
        """Update the state with one row, the last one of the batch's histories."""
        raise NotImplementedError


@runtime_checkable
class Streamable(Protocol):
    """A forecaster that can be updated row by row, at any sampling interval."""

    def stream(self, batch: Batch) -> StreamingState:
        """The model's state after the histories of a batch."""

    def check_causal(self, option: str) -> None:
        """Raise UserError, on the option, if forecasts need more than the values so far."""

    def resample(self, rate: int) -> None:
        """Set the sampling interval to ``rate`` times that of the training data."""


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
    series: Int[Tensor, " B"] | None = None,
    seasons: Sequence[int] = (),
    covariates: BatchCovariates | None = None,
) -> Batch:
    """A batch of windows whose future is unknown: all zeros, and masked.

    ``series``: see ``Batch`` (None: series that were not in the training). ``seasons``: those by
    which missing values of the history are put in.
    """
    future = past.new_zeros((*past.shape[:2], horizon))
    index = torch.arange(len(past), device=past.device)
    known = torch.full_like(index, -1) if series is None else series
    whole, mask = fill(past, past_mask, seasons)
    return Batch(whole, mask, future, future, index, time, known, past_mask, covariates)


def with_label(batch: Batch, label: int) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
    """y* and its mask: the last ``label`` steps of the history, then the future (M = P + H)."""
    start = batch.past.shape[2] - label
    target = torch.cat([batch.past[..., start:], batch.future], dim=2)
    return target, torch.cat([batch.observed[..., start:], batch.future_mask], dim=2)
