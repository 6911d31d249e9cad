"""The model section of the configuration: plain forecasters, and the parts of a diffusion
forecaster.
"""

from typing import Annotated, Literal

from pydantic import Field

from forecaster.config.sections import Even, Fraction, Positive, Section, Weight

Norm = Literal["none", "last", "mean", "standard"]
Loss = Literal["l1", "mse"]


class SeasonalNaiveConfig(Section):
    """The value one season ago. ``season`` in steps; by default the interval's own."""

    name: Literal["seasonal-naive"] = "seasonal-naive"
    season: Positive | None = None


class LinearConfig(Section):
    """One linear layer over time, shared by the channels (NLinear: ``norm: last``; RLinear: ``norm:
    standard``).
    """

    name: Literal["linear"] = "linear"
    norm: Norm = "last"
    loss: Loss = "mse"


class TransformerConfig(Section):
    """A transformer over patches of the lookback, shared by the channels (PatchTST, arXiv
    2211.14730).
    """

    name: Literal["transformer"] = "transformer"
    norm: Norm = "standard"
    loss: Loss = "mse"
    patch: Positive = 16
    stride: Positive = 8
    width: Positive = 16
    layers: Positive = 2
    heads: Positive = 4
    feed_forward: Positive = 64
    dropout: Fraction = 0.2


# the levels of a quantile forecast
_LEVELS = (0.005, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.995)


class StateSpaceConfig(Section):
    """A residual stack of state-space layers over the lookback; a head on the last position emits
    all steps at once.

    ``layer``: one of LSSL, S4, S4D and S5, with their perturbed starts; ``width`` features with
    ``state`` numbers each. ``output``: a ``point`` forecast trained by ``loss``, ``quantiles`` at
    ``levels``, or ``student-t``. ``mix``: all channels enter together; else they share one
    channel's model. ``norm``: ``running`` level and scale, with a time constant of ``memory``
    lookbacks, can be streamed; ``standard``, over the whole window, cannot. ``dt_min``, ``dt_max``:
    the steps Δ at the start.
    """

    name: Literal["state-space"] = "state-space"
    layer: Literal["lssl", "lssl-fixed", "s4", "s4d", "s5", "s4-ptd", "s5-ptd"] = "s4d"
    output: Literal["point", "quantiles", "student-t"] = "point"
    loss: Loss = "l1"
    levels: tuple[float, ...] = _LEVELS
    norm: Literal["running", "standard"] = "running"
    memory: Annotated[float, Field(gt=0)] = 0.5
    mix: bool = False
    width: Positive = 32
    layers: Positive = 2
    state: Positive = 32
    dropout: Fraction = 0.1
    dt_min: Annotated[float, Field(gt=0)] = 1e-3
    dt_max: Annotated[float, Field(gt=0)] = 1e-1


class QuantileLinearConfig(Section):
    """A linear layer per quantile, without crossing."""

    name: Literal["quantile-linear"] = "quantile-linear"
    norm: Norm = "standard"
    levels: tuple[float, ...] = _LEVELS


class AverageConfig(Section):
    """The plain average of several point models, each trained by itself."""

    name: Literal["average"] = "average"
    members: Annotated[
        tuple[Annotated[LinearConfig | TransformerConfig, Field(discriminator="name")], ...],
        Field(min_length=1),
    ] = (LinearConfig(norm="standard", loss="l1"), LinearConfig(norm="last", loss="l1"))


PointConfig = (
    LinearConfig | TransformerConfig | StateSpaceConfig | AverageConfig | SeasonalNaiveConfig
)


class ResidualBootstrapConfig(Section):
    """A point model plus whole residual paths of one split or of both; ``paths`` kept with the
    model at most.

    ``phase_window``: draw only paths whose place in the season is at most so many steps from the
    window's (None: any). ``scale``: that of a window is the ``deviation`` of its history, or
    ``learnt`` from how the residuals grew with four measures of the history. ``scale_power``:
    residuals grow with the ratio of the two windows' scales to this power: 0 not at all, 1 in
    proportion. ``spread``: all residuals are multiplied by it. ``auto`` takes what scores best on
    validation.
    """

    name: Literal["residual-bootstrap"] = "residual-bootstrap"
    base: Annotated[PointConfig, Field(discriminator="name")] = LinearConfig(
        norm="standard", loss="l1"
    )
    residuals: Literal["train", "validation", "both"] = "validation"
    paths: Positive = 500
    phase_window: Annotated[int, Field(ge=0)] | None = None
    scale: Literal["deviation", "learnt"] = "deviation"
    scale_power: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = 0.0
    spread: Annotated[float, Field(gt=0)] | Literal["auto"] = 1.0


class BridgeConfig(Section):
    """S²DBM's Brownian bridge from the prior forecast to the data, in ``steps`` = T steps."""

    name: Literal["bridge"] = "bridge"
    steps: Positive = 50


class DDPMConfig(Section):
    """The ordinary diffusion of DDPM; ``pull_to_prior`` ends it at the prior forecast (TMDM)
    instead of at 0.

    ``first`` and ``last`` are the noise rates at both ends of the ``linear`` and ``quadratic``
    rules; ``cosine`` has its own.
    """

    name: Literal["ddpm"] = "ddpm"
    steps: Positive = 50
    betas: Literal["quadratic", "linear", "cosine"] = "quadratic"
    first: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    last: Annotated[float, Field(gt=0, lt=1)] = 0.5
    pull_to_prior: bool = False


class EncodedConfig(Section):
    """E(x): one linear layer from the lookback to the path's length, shared by the channels
    (S²DBM).
    """

    name: Literal["linear"] = "linear"


class HistoryConfig(Section):
    """The last ``steps`` values of the history stand in the network's input before the path, with
    their mask (CSDI).
    """

    name: Literal["history"] = "history"
    steps: Positive = 96


class MixupConfig(Section):
    """E(x), mixed elementwise with the true future while training (TimeDiff's future mixup)."""

    name: Literal["mixup"] = "mixup"


class ResidualNetworkConfig(Section):
    """CSDI's gated residual stack; ``time`` is the layer over time (SSSD: ``s4``), one over the
    channels may follow it.
    """

    name: Literal["residual"] = "residual"
    time: Literal["attention", "s4"] = "attention"
    attend_channels: bool = True
    layers: Positive = 4
    channels: Positive = 8
    heads: Positive = 2
    state: Positive = 16
    step_embedding: Even = 128
    time_embedding: Even = 128
    channel_embedding: Positive = 16
    feed_forward: Positive = 64
    dropout: Fraction = 0.0


class ConvolutionConfig(Section):
    """TimeDiff's network: convolutions over time that mix all channels."""

    name: Literal["convolution"] = "convolution"
    width: Positive = 64
    layers: Positive = 4
    kernel: Positive = 5
    step_embedding: Even = 128
    dropout: Fraction = 0.1


class PerceptronConfig(Section):
    """TMDM's network: dense layers over the channels of one time step, each gated by the diffusion
    step.
    """

    name: Literal["perceptron"] = "perceptron"
    width: Positive = 128
    layers: Positive = 3


class MixerConfig(Section):
    """Dense layers over the whole path of a channel and over the channels, in turn: cheap, and
    linear in its length.
    """

    name: Literal["mixer"] = "mixer"
    width: Positive = 128
    layers: Positive = 2
    step_embedding: Even = 32
    dropout: Fraction = 0.5


class PathObjective(Section):
    """The error of what the network predicts, at a random step of the path (S²DBM: L1; the others:
    squared).
    """

    name: Literal["path"] = "path"
    loss: Loss = "l1"


class SamplesObjective(Section):
    """The score of the sampler's own draws: it is trained as it is used, ``draws`` paths a window.

    ``energy``, ``crps``, ``crps_sum`` weigh the energy score of whole windows, the CRPS of the
    marginals and that of the sum over the channels; ``point`` weighs the absolute error of the
    deterministic forecast.
    """

    name: Literal["samples"] = "samples"
    draws: Annotated[int, Field(ge=2)] = 4
    energy: Weight = 1.0
    crps: Weight = 1.0
    crps_sum: Weight = 1.0
    point: Weight = 1.0


class SamplerConfig(Section):
    """How the path is walked back.

    ``s``: the variance dial of all members, 0 (deterministic) to 2 (the exact posterior; η = 1 in
    DDIM's terms); ``steps``: the number of network calls for samples, evenly spaced, or the steps
    themselves, falling from T; ``point_steps``: likewise for the point forecast. ``first_step``:
    inject the full b_u at the step out of a pinned end y_T, or σ alone.
    """

    s: Annotated[float, Field(ge=0, le=2)] = 1.0
    steps: Positive | tuple[Positive, ...] = 50
    point_steps: Positive | tuple[Positive, ...] = 50
    first_step: Literal["full", "sigma"] = "sigma"


class DiffusionConfig(Section):
    """A diffusion forecaster: schedule × prior × condition × network × what it predicts × objective
    × sampler.

    The defaults are S²DBM's as published (arXiv 2411.04491). ``label``: P, the last steps of the
    history that the path spans too. ``norm``: window normalisation, inverted on y, h and samples
    alike. ``given_prior``: the network sees h. ``predicts``: ``data`` ŷ_0, ``correction`` ŷ_0 − h,
    or ``noise`` ε̂. ``prior_training``: the prior is trained ``joint``-ly, through the network's
    loss, or ``first``, by itself, and kept.
    """

    name: Literal["diffusion"] = "diffusion"
    schedule: Annotated[BridgeConfig | DDPMConfig, Field(discriminator="name")] = BridgeConfig()
    prior: Annotated[PointConfig | ResidualBootstrapConfig, Field(discriminator="name")] | None = (
        LinearConfig(norm="none", loss="l1")
    )
    prior_training: Literal["joint", "first"] = "joint"
    condition: (
        Annotated[EncodedConfig | HistoryConfig | MixupConfig, Field(discriminator="name")] | None
    ) = EncodedConfig()
    given_prior: bool = False
    network: Annotated[
        ResidualNetworkConfig | ConvolutionConfig | PerceptronConfig | MixerConfig,
        Field(discriminator="name"),
    ] = ResidualNetworkConfig()
    predicts: Literal["data", "correction", "noise"] = "data"
    label: Annotated[int, Field(ge=0)] = 48
    norm: Norm = "none"
    objective: Annotated[PathObjective | SamplesObjective, Field(discriminator="name")] = (
        PathObjective()
    )
    sampler: SamplerConfig = SamplerConfig()


ModelConfig = Annotated[
    PointConfig | QuantileLinearConfig | ResidualBootstrapConfig | DiffusionConfig,
    Field(discriminator="name"),
]
