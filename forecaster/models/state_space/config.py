"""The settings of the state-space forecasters."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forecaster.config.sections import Depth, Fraction, PartConfig, Size, StateSize
from forecaster.delta.layer import DeltaOptions, check_options
from forecaster.models.base import Loss
from forecaster.models.levels import LEVELS, Levels


class StateSpaceConfig(PartConfig):
    """A residual stack of state-space layers; a head on its last position forecasts all steps.

    ``layer``: LSSL, S4, S4D or S5, one of the perturbed initialisations (``-ptd``), or the delta
    rule, with the options in ``delta``; ``width`` features with states of size ``state``.
    ``output``: a ``point`` forecast trained by ``loss``, ``quantiles`` at ``levels``, or
    ``student-t``. ``mix``: one model of all channels together; else the channels share a univariate
    model. ``norm``: ``running`` level and scale, with a time constant of ``memory`` lookbacks, can
    be streamed; ``standard``, over the whole window, cannot. ``dt_min``, ``dt_max``: the range of
    the initial steps Δ, or of the initial decays of the delta rule's gate.
    """

    name: Literal["state-space"] = "state-space"
    layer: Literal["lssl", "lssl-fixed", "s4", "s4d", "s5", "s4-ptd", "s5-ptd", "delta"] = "s4d"
    output: Literal["point", "quantiles", "student-t"] = "point"
    loss: Loss = "l1"
    levels: Levels = LEVELS
    norm: Literal["running", "standard"] = "running"
    memory: Annotated[float, Field(gt=0)] = 0.5
    mix: bool = False
    width: Size = 32
    layers: Depth = 2
    state: StateSize = 32
    dropout: Fraction = 0.1
    dt_min: Annotated[float, Field(gt=0)] = 1e-3
    dt_max: Annotated[float, Field(gt=0)] = 1e-1
    delta: DeltaOptions = DeltaOptions()

    @model_validator(mode="after")
    def _check_steps(self) -> "StateSpaceConfig":
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min {self.dt_min:g} is more than dt_max {self.dt_max:g}")
        return self

    @model_validator(mode="after")
    def _check_delta(self) -> "StateSpaceConfig":
        check_options(self.delta, self.layer == "delta", "layer", self.width, "width")
        return self
