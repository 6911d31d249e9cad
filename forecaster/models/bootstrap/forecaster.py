"""A point forecast plus whole residual paths, drawn with replacement."""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor

from forecaster.config.parts import ForecasterPart, build, register
from forecaster.config.sections import PartConfig, Positive
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster, Precursor, Shape, with_label
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.bootstrap.calibrator import Calibrator, Choices, Widening
from forecaster.models.legacy_weights import load_legacy_names
from forecaster.models.linear import LinearConfig
from forecaster.models.out_of_sample import excess
from forecaster.models.prior import PointForecaster, check_prior


class ResidualBootstrapConfig(PartConfig):
    """A point model plus whole residual paths of the training or validation windows, or of both.

    ``paths``: the largest number of stored paths. ``phase_window``: draw only paths whose phase in
    the season differs from the window's by at most this number of steps (None: any; ``auto``: 1,
    in seasons of less than 24 steps 0). ``scale`` of a window: the ``deviation`` of its history, or
    ``learnt`` by regression of the residuals on four statistics of the history. ``scale_power``:
    residuals grow with the ratio of the two windows' scales to this power: 0 not at all, 1 in
    proportion. ``spread``: a factor of all residuals. ``bias``: the share of the eligible
    residuals' mean, by lead time and channel, that is added to the point forecast, around which the
    samples are centred. Of these three ``auto`` is selected by validation score.
    """

    name: Literal["residual-bootstrap"] = "residual-bootstrap"
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


@register("forecaster", ResidualBootstrapConfig)
class ResidualBootstrap(Forecaster):
    """The base's point forecast plus residual paths, all channels of one window together."""

    distribution = "samples"
    spread: Tensor
    bias: Tensor

    def __init__(self, config: ResidualBootstrapConfig, shape: Shape) -> None:
        super().__init__()
        base = build(config.base, shape)
        assert isinstance(base, PointForecaster)
        self.config, self.base, self.label = config, base, shape.label
        self.bank = ResidualBank(config.scale, config.phase_window, shape)
        self.choices = Choices.of(config.scale_power, config.spread, config.bias)
        self.register_buffer("spread", torch.tensor(self.choices.spreads[0]))
        self.register_buffer("bias", torch.tensor(self.choices.biases[0]))
        self.bank.power.fill_(self.choices.powers[0])
        names = ("residuals", "times", "validated", "scales", "exponents", "power")
        load_legacy_names(self, {name: f"bank.{name}" for name in names})

    def stages(self) -> list[Forecaster]:
        return [*self.base.stages(), self.base]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.loss(batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        return self.base.score(batch)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The centre of the samples: the base's forecast and a share of its mean residual."""
        return self._widening().centre(self.base.predict_with_label(batch), self.bank.mean(batch))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.predict_with_label(batch)[..., self.label :]

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Store evenly spaced residual paths, and select their widening on validation windows."""
        self._fill_bank(train, validation)
        calibrator = Calibrator(self.base, self.bank, self.label, validation)
        if max(map(len, self.choices)) > 1:
            chosen = calibrator.choose(self.choices)
            self.spread.fill_(chosen.spread)
            self.bias.fill_(chosen.bias)

    @torch.no_grad()
    def calibrate_after(self, precursor: Precursor) -> None:
        """The precursor's widening, and residuals of this model in their size out of sample.

        Those of the precursor would be about another centre, and would hold what this model has
        since learnt.
        """
        model, validation = precursor.model, precursor.validation
        assert isinstance(model, ResidualBootstrap)
        ours, theirs = (each._residuals(validation, 1.0, True)[0] for each in (self, model))
        size = excess(ours, theirs.to(ours))
        self._fill_bank(precursor.train, validation, precursor.test, size=size)
        self.bank.scale_by(float(model.bank.power))
        self.spread.copy_(model.spread)
        self.bias.copy_(model.bias)

    def _fill_bank(self, train: Windows, *others: Windows, size: float = 1.0) -> None:
        """Store paths of training and other windows; ``size``: a factor of those of the latter."""
        splits = {"train": [train], "validation": [*others], "both": [train, *others]}
        used = splits[self.config.residuals]
        share = min(self.config.paths / sum(map(len, used)), 1.0)
        stored = [self._residuals(windows, share, windows is not train) for windows in used]
        paths, times, validated, logs, owners = map(torch.cat, zip(*stored, strict=True))
        sizes = 1 + (size - 1) * validated[:, None, None]
        self.bank.fill(paths * sizes, times, validated, logs, owners)

    def _residuals(self, windows: Windows, share: float, validated: bool) -> tuple[Tensor, ...]:
        """Paths of a share of the windows, evenly spaced, and what the bank stores with them."""
        device, paths, times, logs, owners = self.bank.residuals.device, [], [], [], []
        for cpu_batch in ordered_loader(windows, 256, max(round(share * len(windows)), 1)):
            batch = cpu_batch.to(device)
            target, mask = with_label(batch, self.label)
            residual = target - self.base.predict_with_label(batch)
            paths.append(torch.where(mask > 0, residual, torch.nan))
            times.append(batch.time)
            logs.append(self.bank.log_scales(batch))
            owners.append(batch.series)
        flags = torch.full((sum(map(len, paths)),), float(validated), device=device)
        return torch.cat(paths), torch.cat(times), flags, torch.cat(logs), torch.cat(owners)

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        paths, mean = self.bank.draw(batch, draws)
        return self._widening().samples(self.base.predict_with_label(batch), mean, paths)

    def _widening(self) -> Widening:
        return Widening(float(self.bank.power), float(self.spread), float(self.bias))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Samples that were saved without a bias have the whole mean of their paths."""
        if prefix + "spread" in state_dict:
            state_dict.setdefault(prefix + "bias", state_dict[prefix + "spread"])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.sample_with_label(batch, draws)[..., self.label :]
