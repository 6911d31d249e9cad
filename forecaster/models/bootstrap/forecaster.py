"""A point forecast plus whole residual paths, drawn with replacement."""

from typing import Any, Literal

from torch import Tensor

from forecaster.config.parts import register
from forecaster.models.base import Shape
from forecaster.models.bootstrap.bank import ResidualBank
from forecaster.models.bootstrap.base import ResidualModel, ResidualModelConfig
from forecaster.models.legacy_weights import load_legacy_names


class ResidualBootstrapConfig(ResidualModelConfig):
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


@register("forecaster", ResidualBootstrapConfig)
class ResidualBootstrap(ResidualModel):
    """Residual paths drawn with replacement: see ``ResidualBank``."""

    def __init__(self, config: ResidualBootstrapConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.bank = ResidualBank(config.scale, config.phase_window, shape)
        self.bank.power.fill_(self.choices.powers[0])
        names = ("residuals", "times", "validated", "scales", "exponents", "power")
        load_legacy_names(self, {name: f"bank.{name}" for name in names})

    @property
    def law(self) -> ResidualBank:
        return self.bank

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Samples that were saved without a bias have the whole mean of their paths."""
        if prefix + "spread" in state_dict:
            state_dict.setdefault(prefix + "bias", state_dict[prefix + "spread"])
        super()._load_from_state_dict(state_dict, prefix, *args)
