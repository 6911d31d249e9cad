"""The settings of a diffusion forecaster, and validation of their combinations."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from forecaster.config.parts import (
    ConditionPart,
    ForecasterPart,
    NetworkPart,
    ObjectivePart,
    SchedulePart,
    build,
    implementation,
)
from forecaster.config.sections import PartConfig, Positive, Section
from forecaster.diffusion.denoiser import Predicts
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import step_grid
from forecaster.diffusion.schedules import BridgeConfig
from forecaster.errors import UserError
from forecaster.models.diffusion.consistency import ConsistencyObjectiveConfig
from forecaster.models.diffusion.objectives import PathObjectiveConfig
from forecaster.models.linear import LinearConfig
from forecaster.models.prior import check_prior
from forecaster.networks.conditions import EncodedConfig
from forecaster.networks.norms import Norm
from forecaster.networks.residual import ResidualNetworkConfig


class SamplerConfig(Section):
    """Reverse sampling.

    ``s``: the variance parameter, 0 (deterministic) to 2 (the exact posterior; η = 1 in DDIM's
    terms); ``steps``: the number of network calls for samples, evenly spaced, or the steps
    themselves, descending from T; ``point_steps``: likewise for the point forecast, which takes one
    in the residual's coordinates. ``first_step``: inject the full b_u at the step out of a pinned
    end y_T, or σ alone. Between the steps of a model that predicts an end all noise is drawn anew:
    s = 2.
    """

    s: Annotated[float, Field(ge=0, le=2)] = 1.0
    steps: Positive | tuple[Positive, ...] = 50
    point_steps: Positive | tuple[Positive, ...] = 50
    first_step: Literal["full", "sigma"] = "sigma"


class DiffusionConfig(PartConfig):
    """A diffusion forecaster: schedule, prior, condition, network, objective and sampler.

    The defaults are S²DBM's as published (arXiv 2411.04491). ``label``: P, the last steps of the
    history that the path spans too. ``norm``: window normalisation, inverted on y, h and samples
    alike. ``given_prior``: h is an input of the network. ``predicts``, the network's target:
    ``data`` ŷ_0, ``correction`` ŷ_0 − h, ``noise`` ε̂, or ``innovation``, what y_0 adds to what
    would be expected of it given y_t if y_0 − h were white noise. ``prior_training``: the prior is
    trained ``joint``-ly, through the network's loss, or ``first``, by itself, and then frozen.
    ``coordinates``: those of the path: the ``series``' own, or of the ``residual`` of the prior, a
    ``residual-copula``, in which it is white noise and h is 0. There ``predicts`` may be, with the
    objective ``consistency``, ``end``, that of the path without noise in its steps, which starts at
    noise: one call a sample. ``prior_folds``: there the network learns from forecasts of training
    windows by priors that are trained on the windows of other times, of which this is the number
    (1: from those of the prior itself).
    """

    name: Literal["diffusion"] = "diffusion"
    schedule: SchedulePart = BridgeConfig()
    prior: ForecasterPart | None = LinearConfig(norm="none", loss="l1")
    prior_training: Literal["joint", "first"] = "joint"
    prior_folds: Annotated[int, Field(ge=1, le=20)] = 1
    condition: ConditionPart | None = EncodedConfig()
    given_prior: bool = False
    network: NetworkPart = ResidualNetworkConfig()
    predicts: Predicts = "data"
    coordinates: Literal["series", "residual"] = "series"
    label: Annotated[int, Field(ge=0)] = 48
    norm: Norm = "none"
    objective: ObjectivePart = PathObjectiveConfig()
    sampler: SamplerConfig = SamplerConfig()

    @property
    def distilled(self) -> bool:
        """Whether a bridge of many steps, trained first, is its teacher."""
        return isinstance(self.objective, ConsistencyObjectiveConfig) and self.objective.distilled

    def process(self) -> Process:
        """The diffusion process. Raises UserError if the schedule leaves nothing of the data."""
        try:
            return Process(build(self.schedule))
        except ValueError as error:
            raise UserError(f"model.schedule: {error}; lower steps or last") from error

    def has_spread(self, process: Process, steps: int | Sequence[int]) -> bool:
        """Whether samples differ: by noise at y_T or in the steps, or by draws from the prior."""
        step_noise = self.sampler.s > 0 and len(step_grid(process.steps, steps)) > 2
        if self.predicts == "end":
            return True
        if self.coordinates == "residual":
            last_draw = self.sampler.s > 0 and self.predicts == "innovation"
            return float(process.b[-1]) > 0 or step_noise or last_draw
        prior_draws = _trait(self.prior, "distribution", "none") != "none"
        return float(process.b[-1]) > 0 or step_noise or prior_draws

    @model_validator(mode="after")
    def _check(self) -> "DiffusionConfig":
        process = self.process()
        _check_steps(self.sampler, process)
        _check_coordinates(self)
        _check_consistency(self)
        if self.prior is None:
            _check_without_prior(self, process)
        else:
            check_prior(self.prior, "model.prior", point=False)
            if self.coordinates == "series":
                _check_prior_is_used(self, process)
        _check_condition(self)
        _check_own_paths(self)
        if _trait(self.objective, "needs_spread", False):
            _check_spread(self, process)
        return self


def _implementation(part: PartConfig | None) -> Any:
    return None if part is None else implementation(part)


def _trait(part: PartConfig | None, name: str, default: Any) -> Any:
    """A class attribute of a part's implementation."""
    return getattr(_implementation(part), name, default)


def _check_steps(sampler: SamplerConfig, process: Process) -> None:
    for key in ("steps", "point_steps"):
        try:
            step_grid(process.steps, getattr(sampler, key))
        except ValueError as error:
            raise UserError(
                f"model.sampler.{key}: {error}, which is model.schedule.steps; correct it"
            ) from error


def _check_coordinates(config: DiffusionConfig) -> None:
    if config.coordinates == "series":
        if config.prior_folds > 1:
            raise UserError(
                "model.prior_folds: what is learnt from are residuals of the prior in the "
                "residual's coordinates alone; give model.coordinates residual, or leave it out"
            )
        return
    if not hasattr(_implementation(config.prior), "chart"):
        raise UserError(
            "model.coordinates: residual needs a prior that knows the distribution of its "
            "residuals; name residual-copula, or give series"
        )
    if config.prior_training != "first":
        raise UserError(
            "model.prior_training: residuals are known once the prior is trained; set it to first"
        )
    if _trait(config.condition, "needs_future", False):
        raise UserError(
            "model.condition: mixup mixes in the series itself, which is not what the path is made "
            "of in the residual's coordinates; take another condition"
        )


def _check_consistency(config: DiffusionConfig) -> None:
    learnt = isinstance(config.objective, ConsistencyObjectiveConfig)
    if learnt != (config.predicts == "end"):
        raise UserError(
            "model.objective, model.predicts: consistency is what an end is learnt by, and no "
            "other prediction; give both consistency and end, or neither"
        )
    if config.predicts != "end":
        return
    if config.coordinates != "residual":
        raise UserError(
            "model.predicts: a path to an end starts at white noise; give model.coordinates "
            "residual, or predict data, correction or noise"
        )
    if config.sampler.s != 2:
        raise UserError(
            "model.sampler.s: between the steps to an end all noise is drawn anew; give 2"
        )
    if config.distilled and config.prior_folds > 1:
        raise UserError(
            "model.prior_folds: the teacher learns from residuals of the prior itself; give 1, or "
            "model.objective.distilled false"
        )


def _check_without_prior(config: DiffusionConfig, process: Process) -> None:
    if float(process.g[-1]) != 0:
        raise UserError(
            "model.prior: this schedule ends at the prior forecast, so it needs one; name a model"
        )
    if config.given_prior or config.predicts == "correction":
        raise UserError(
            "model.given_prior, model.predicts: without a prior there is none to see or to "
            "correct; name one"
        )
    if config.condition is None:
        raise UserError(
            "model.condition: without a prior or a condition nothing is known of the history; name "
            "one"
        )


def _check_prior_is_used(config: DiffusionConfig, process: Process) -> None:
    if not process.g.any() and not config.given_prior and config.predicts != "correction":
        raise UserError(
            "model.prior: this schedule, this network and what it predicts make no use of it; give "
            "model.given_prior true, or leave it out (null)"
        )


def _check_condition(config: DiffusionConfig) -> None:
    holds_history = _trait(config.condition, "holds_history", False)
    if holds_history and config.label:
        raise UserError(
            "model.label: a network that is given the history itself has its label there; set it "
            "to 0"
        )
    if holds_history and _trait(config.network, "one_time_each", False):
        raise UserError(
            "model.network: this network sees one time at a time, and the history of "
            "model.condition stands at other times; take another network or another condition"
        )
    if _trait(config.condition, "needs_future", False) and not _trait(
        config.objective, "shows_future", True
    ):
        raise UserError(
            "model.condition: mixup needs the future, and this objective walks as in forecasting, "
            "without it; take another condition, or the path objective"
        )


def _check_own_paths(config: DiffusionConfig) -> None:
    if not getattr(config.objective, "noise_free", 0):
        return
    if config.predicts == "noise":
        raise UserError(
            "model.objective.noise_free: noise is not what leads from the model's own forecast to "
            "the data; set it to 0, or predict data"
        )
    if _trait(config.condition, "needs_future", False):
        raise UserError(
            "model.objective.noise_free: mixup would show the future to the model's own forecast; "
            "set it to 0, or take another condition"
        )


def _check_spread(config: DiffusionConfig, process: Process) -> None:
    if not config.has_spread(process, config.sampler.steps):
        raise UserError(
            "model.objective: all draws would be the same, since this path starts without noise "
            "and draws none; give model.sampler more steps and s > 0, or a prior with a spread "
            "(residual-bootstrap)"
        )
