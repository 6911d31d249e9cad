"""A point forecast plus whole residual paths, drawn with replacement."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.sections import PartConfig, Positive
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Shape, with_label
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.bootstrap.calibrator import best_widening, candidates
from forecaster.models.legacy_weights import load_legacy_names
from forecaster.models.linear import LinearConfig
from forecaster.models.prior import PointForecaster, check_prior


class ResidualBootstrapConfig(PartConfig):
    """A point model plus whole residual paths of the training or validation windows, or of both.

    ``paths``: the largest number of stored paths. ``phase_window``: draw only paths whose phase in
    the season differs from the window's by at most this number of steps (None: any). ``scale`` of a
    window: the ``deviation`` of its history, or ``learnt`` by regression of the residuals on four
    statistics of the history. ``scale_power``: residuals grow with the ratio of the two windows'
    scales to this power: 0 not at all, 1 in proportion. ``spread``: a factor of all residuals.
    ``auto``: selected by validation score.
    """

    name: Literal["residual-bootstrap"] = "residual-bootstrap"
    base: ForecasterPart = LinearConfig(norm="standard", loss="l1")
    residuals: Literal["train", "validation", "both"] = "validation"
    paths: Positive = 500
    phase_window: Annotated[int, Field(ge=0)] | None = None
    scale: Literal["deviation", "learnt"] = "deviation"
    scale_power: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = 0.0
    spread: Annotated[float, Field(gt=0)] | Literal["auto"] = 1.0

    @field_validator("base")
    @classmethod
    def _check_base(cls, base: PartConfig) -> PartConfig:
        check_prior(base, "model.base", point=True)
        return base


@register("forecaster", ResidualBootstrapConfig)
class ResidualBootstrap(Forecaster):
    """The base's point forecast plus residual paths, all channels of one window together."""

    distribution = "samples"
    power: Tensor
    spread: Tensor

    def __init__(self, config: ResidualBootstrapConfig, shape: Shape) -> None:
        super().__init__()
        base = build(config.base, shape)
        assert isinstance(base, PointForecaster)
        self.config, self.base, self.label = config, base, shape.label
        self.bank = ResidualBank(config.scale, config.phase_window, shape)
        initial = candidates(config.scale_power, config.spread)[0]
        self.register_buffer("power", torch.tensor(initial.power))
        self.register_buffer("spread", torch.tensor(initial.spread))
        names = ("residuals", "times", "validated", "scales", "exponents")
        load_legacy_names(self, {name: f"bank.{name}" for name in names})

    def stages(self) -> list[Forecaster]:
        return [*self.base.stages(), self.base]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.loss(batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.score(batch)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        return self.base.predict_with_label(batch)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.base.predict(batch, steps)

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Store evenly spaced residual paths, and select their widening on validation windows."""
        self._fill_bank(train, validation)
        pairs = candidates(self.config.scale_power, self.config.spread)
        if len(pairs) > 1:
            best = best_widening(pairs, self.base, self.bank, self.label, validation)
            self.power.fill_(best.power)
            self.spread.fill_(best.spread)

    def _fill_bank(self, train: Windows, validation: Windows) -> None:
        splits = {"train": [train], "validation": [validation], "both": [train, validation]}
        used, device = splits[self.config.residuals], self.bank.residuals.device
        total = sum(map(len, used))
        paths, times, validated, logs = [], [], [], []
        for windows in used:
            count = max(round(min(self.config.paths / total, 1) * len(windows)), 1)
            for cpu_batch in ordered_loader(windows, 256, count):
                batch = cpu_batch.to(device)
                target, mask = with_label(batch, self.label)
                residual = target - self.predict_with_label(batch)
                paths.append(torch.where(mask > 0, residual, torch.nan))
                times.append(batch.time)
                validated.append(torch.full((len(batch),), float(windows is validation)))
                logs.append(self.bank.log_scales(batch))
        flags = torch.cat(validated).to(device)
        self.bank.fill(torch.cat(paths), torch.cat(times), flags, torch.cat(logs))

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        residuals, ratio = self.bank.draw(batch, draws)
        widened = residuals * ratio**self.power * self.spread
        return self.predict_with_label(batch)[:, None] + widened

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.sample_with_label(batch, draws)[..., self.label :]
