"""A point model and the distribution of its residuals: how that is fitted, and drawn from."""

from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import Field, field_validator
from torch import Tensor

from forecaster.config.parts import ForecasterPart, build
from forecaster.config.sections import PartConfig, Positive
from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Precursor, Shape, with_label
from forecaster.models.bootstrap.calibrator import Calibrator, Choices, Drawing, Widening
from forecaster.models.linear import LinearConfig
from forecaster.models.out_of_sample import excess
from forecaster.models.prior import PointForecaster, check_prior

# the fewest windows of a wide table that tell how much larger errors are out of sample
_FEWEST_WINDOWS = 64


class ResidualModelConfig(PartConfig):
    """The settings of a point model with a distribution of its residuals.

    ``residuals``: those of the training or validation windows, or of both. ``scale`` of a window:
    the ``deviation`` of its history, or ``learnt`` by regression of the residuals on four
    statistics of the history. ``scale_power``: residuals grow with the ratio of two windows' scales
    to this power: 0 not at all, 1 in proportion. ``spread``: a factor of all residuals. ``bias``:
    the share of the mean residual at the same place in the season, by lead time and channel, that
    is added to the point forecast, around which the samples are centred. Of these three ``auto`` is
    selected by validation score.
    """

    base: ForecasterPart = LinearConfig(norm="standard", loss="l1")
    residuals: Literal["train", "validation", "both"] = "validation"
    paths: Positive = 500
    phase_window: Annotated[int, Field(ge=0)] | Literal["auto"] | None = None
    scale: Literal["deviation", "learnt"] = "deviation"
    scale_power: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = 0.0
    spread: Annotated[float, Field(gt=0)] | Literal["auto"] = 1.0
    bias: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"

    @field_validator("base")
    @classmethod
    def _check_base(cls, base: PartConfig) -> PartConfig:
        check_prior(base, "model.base", point=True)
        return base


@runtime_checkable
class Law(Drawing, Protocol):
    """The distribution of residual paths, as a ``ResidualModel`` fits it."""

    power: Tensor

    def fill(
        self,
        paths: Float[Tensor, "R K M"],
        times: Int[Tensor, " R"],
        validated: Float[Tensor, " R"],
        logs: Float[Tensor, "R K F"],
        owners: Int[Tensor, " R"],
    ) -> None:
        """Fit it on residual paths and the ``log_scales`` of their windows."""

    def log_scales(self, batch: Batch) -> Float[Tensor, "B K F"]:
        """The logarithms of the F statistics that the scale of a window's errors depends on."""

    def mean(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The expectation of the residual paths."""

    def settle(self) -> None:
        """Release what only another fit would need."""


class ResidualModel(Forecaster):
    """The base's point forecast plus residual paths, all channels of one window together."""

    distribution = "samples"
    spread: Tensor
    bias: Tensor

    def __init__(self, config: ResidualModelConfig, shape: Shape) -> None:
        super().__init__()
        self.config, self.shape, self.label = config, shape, shape.label
        self.base = self.new_base()
        self.choices = Choices.of(config.scale_power, config.spread, config.bias)
        self.register_buffer("spread", torch.tensor(self.choices.spreads[0]))
        self.register_buffer("bias", torch.tensor(self.choices.biases[0]))

    @property
    def law(self) -> Law:
        """The distribution of the residuals."""
        raise NotImplementedError

    @property
    def most_paths(self) -> int:
        """The largest number of residual paths."""
        return self.config.paths

    def new_base(self) -> PointForecaster:
        """A point model as the base was before its training."""
        base = build(self.config.base, self.shape)
        assert isinstance(base, PointForecaster)
        return base

    def stages(self) -> list[Forecaster]:
        return [*self.base.stages(), self.base]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.loss(batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.score(batch)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The centre of the samples: the base's forecast and a share of its mean residual."""
        return self.widening().centre(self.base.predict_with_label(batch), self.law.mean(batch))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.predict_with_label(batch)[..., self.label :]

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Fit the law on evenly spaced residual paths; validation selects their widening."""
        self._fill(train, validation)
        self._hold_out(validation)
        calibrator = Calibrator(self.base, self.law, self.label, validation)
        if max(map(len, self.choices)) > 1:
            chosen = calibrator.choose(self.choices)
            self.spread.fill_(chosen.spread)
            self.bias.fill_(chosen.bias)
        self.law.settle()

    def _hold_out(self, validation: Windows) -> None:
        """What the law makes of residuals that it is not fitted on; nothing, unless it says so."""

    @torch.no_grad()
    def calibrate_after(self, precursor: Precursor) -> None:
        """The precursor's widening, and residuals of this model in their size out of sample.

        Those of the precursor would be about another centre, and would hold what this model has
        since learnt.
        """
        model, validation = precursor.model, precursor.validation
        assert isinstance(model, ResidualModel)
        most = of_a_wide_table(len(validation), self.shape.channels, _FEWEST_WINDOWS)
        share = most / max(len(validation), 1)
        ours, theirs = (each._residuals(validation, share, True)[0] for each in (self, model))
        size = excess(ours, theirs.to(ours))
        self._fill(precursor.train, validation, precursor.test, size=size)
        self.law.scale_by(float(model.law.power))
        self.law.settle()
        self.spread.copy_(model.spread)
        self.bias.copy_(model.bias)

    def _fill(self, train: Windows, *others: Windows, size: float = 1.0) -> None:
        """Take paths of training and other windows; ``size``: a factor of those of the latter."""
        splits = {"train": [train], "validation": [*others], "both": [train, *others]}
        used = splits[self.config.residuals]
        share = min(self.most_paths / sum(map(len, used)), 1.0)
        found = [self._residuals(windows, share, windows is not train) for windows in used]
        paths, times, validated, logs, owners = map(torch.cat, zip(*found, strict=True))
        sizes = 1 + (size - 1) * validated[:, None, None]
        self.law.fill(paths * sizes, times, validated, logs, owners)

    def _residuals(self, windows: Windows, share: float, validated: bool) -> tuple[Tensor, ...]:
        """Paths of a share of the windows, evenly spaced, and what the law is fitted on besides."""
        device, paths, times, logs, owners = self.spread.device, [], [], [], []
        for cpu_batch in ordered_loader(windows, 256, max(round(share * len(windows)), 1)):
            batch = cpu_batch.to(device)
            target, mask = with_label(batch, self.label)
            residual = target - self.base.predict_with_label(batch)
            paths.append(torch.where(mask > 0, residual, torch.nan))
            times.append(batch.time)
            logs.append(self.law.log_scales(batch))
            owners.append(batch.series)
        flags = torch.full((sum(map(len, paths)),), float(validated), device=device)
        return torch.cat(paths), torch.cat(times), flags, torch.cat(logs), torch.cat(owners)

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        paths, mean = self.law.draw(batch, draws)
        return self.widening().samples(self.base.predict_with_label(batch), mean, paths)

    def widening(self) -> Widening:
        """How forecasts are made of the base's forecast and residual paths."""
        return Widening(float(self.law.power), float(self.spread), float(self.bias))

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.sample_with_label(batch, draws)[..., self.label :]
