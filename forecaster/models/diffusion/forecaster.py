"""The diffusion forecaster, composed of schedule, prior, condition and network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from forecaster.config.parts import build, register
from forecaster.data.windows import Batch, Windows
from forecaster.diffusion.consistency import Arc, sample_ends
from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.drawing import Draws, WindowNoise, draw_in_chunks
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.errors import UserError
from forecaster.models.base import Distribution, Forecaster, Precursor, Shape, with_label
from forecaster.models.bootstrap.calibrator import SPREADS, Calibrator, Choices, calibration_batches
from forecaster.models.copula.forecaster import ResidualCopula
from forecaster.models.diffusion.calibration import StepErrors, StepShifts, noise_of, step_shifts
from forecaster.models.diffusion.config import DiffusionConfig, SamplerConfig
from forecaster.models.diffusion.coordinates import Frame, ResidualFrame, SeriesFrame
from forecaster.models.diffusion.objectives import SCORE_DRAWS, Ends, Objective, PathObjectiveConfig
from forecaster.models.diffusion.walk import Walk
from forecaster.models.folds import Folds
from forecaster.models.prior import Prior
from forecaster.models.scoring_rules import is_kept, scores_by_channel
from forecaster.networks.base import NetworkShape
from forecaster.networks.conditions import Condition, ConditionShape, CovariateInputs, Nothing
from forecaster.networks.norms import WindowScale, window_scale

# output and target of a network at steps t with noise
Step = Callable[[Int[Tensor, " B"], Float[Tensor, "B K M"]], tuple[Tensor, Tensor]]


@register("forecaster", DiffusionConfig)
class Diffusion(Forecaster):
    """A diffusion forecaster; h is the prior's forecast, or 0 without a prior.

    ``folds``: what the residuals of training windows are of, while it learns, in place of the
    prior's point model; they are no part of what is saved. ``step_shifts``: what
    ``calibrate_steps`` found. ``teacher``: a bridge of many steps with the prior, trained before.
    ``learnt`` (K,): 1 for the channels in which the network is kept, 0 for those that are walked
    as untrained; None if all are walked with it.
    """

    distribution: Distribution = "samples"
    spread: Tensor
    learnt: Tensor | None
    prior: Prior | None

    def __init__(self, config: DiffusionConfig, shape: Shape) -> None:
        super().__init__()
        if config.label > shape.lookback:
            raise UserError(
                f"model.label: {config.label} is more than the lookback of {shape.lookback}; lower "
                "it"
            )
        self.config, self.label, self.horizon = config, config.label, shape.horizon
        self.length = config.label + shape.horizon
        self.process = config.process()
        self.teacher = _build_teacher(config, shape) if config.distilled else None
        prior = _build_prior(config, shape) if self.teacher is None else self.teacher.prior
        if self.teacher is None:
            self.prior = prior
        else:
            vars(self)["prior"] = prior  # the teacher's part, and saved as such
        if not config.has_spread(self.process, config.sampler.steps):
            self.distribution = "none"  # reverse sampling is deterministic
        elif prior is None:
            self.centre = "median"  # without a prior the walk without noise is no forecast
        self.condition = _build_condition(config, ConditionShape(shape.lookback, self.length))
        self.covariates = _covariate_inputs(shape, self.condition.length)
        features = 1 + self.condition.features + config.given_prior
        features += 0 if self.covariates is None else self.covariates.features
        self.given_own = bool(shape.covariates.own) and prior is None
        features += self.given_own
        size = NetworkShape(self.steps, shape.channels, self.condition.length, features)
        network = build(config.network, size)
        self.row_bytes = 4 * network.memory * shape.channels * self.condition.length
        if config.coordinates == "residual":
            self.register_buffer("spread", torch.tensor(1.0))
        self.denoiser = Denoiser(network, config.predicts, self.process)
        self.arc = Arc(self.process) if config.predicts == "end" else None
        self.objective: Objective = build(config.objective)
        in_residual = config.coordinates == "residual" and config.predicts == "innovation"
        contests = in_residual and self.objective.selects_samples
        self.register_buffer("learnt", torch.ones(shape.channels) if contests else None)
        self.folds: Folds | None = None
        self.step_shifts: StepShifts | None = None

    @property
    def steps(self) -> int:
        """The number of diffusion steps T."""
        return self.process.steps

    def stages(self) -> list[Forecaster]:
        """The prior and its stages, unless it is trained jointly, and the teacher."""
        if self.teacher is not None:
            return [*self.teacher.stages(), self.teacher]
        if not isinstance(self.prior, Forecaster) or self.config.prior_training == "joint":
            return []
        return [*self.prior.stages(), self.prior]

    @property
    def point_model(self) -> Forecaster | None:
        """The prior, if that is trained first."""
        if self.teacher is not None:
            return self.teacher.point_model
        return next(reversed(self.stages()), None)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of the configured objective, with random draws."""
        return self.objective.loss(self, batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The score of the objective, with the same draws in every epoch."""
        return self.objective.score(self, batch)

    def channel_scores(self, batch: Batch, learnt: bool) -> Float[Tensor, "2 K"] | None:
        """Those of samples of the network, or of the untrained bridge."""
        if self.learnt is None:
            return None
        target, mask = with_label(batch, self.label)
        draws = Draws(SCORE_DRAWS, batch.index.tolist())
        paths = self._paths(batch, draws, torch.full_like(self.learnt, float(learnt)))
        return torch.stack(scores_by_channel(paths, target, mask))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """Reverse sampling with s = 0 from the mean of y_T: deterministic."""
        return self.reverse_point(batch, steps)[..., self.label :]

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.reverse_samples(batch, draws)[..., self.label :]

    def check_steps(self, steps: int | None) -> None:
        """Raise UserError unless 1 ≤ steps ≤ T."""
        if steps is not None and not 1 <= steps <= self.steps:
            raise UserError(
                f"--steps {steps}: has to lie between 1 and the model's {self.steps} diffusion "
                "steps"
            )

    def has_spread(self, steps: int | None) -> bool:
        default = self.config.sampler.steps
        return self.config.has_spread(self.process, default if steps is None else steps)

    def sample_with(self, s: float) -> None:
        """Sample with the variance parameter ``s``, 0 to 2, in place of the configured one."""
        if self.config.predicts == "end":
            raise UserError(
                "s: a model that predicts an end has no variance parameter; leave it out"
            )
        sampler = self.config.sampler.model_copy(update={"s": s})
        self.config = self.config.model_copy(update={"sampler": sampler})

    @property
    def calls(self) -> int:
        return max(map(len, self.step_grids())) - 1

    def step_grids(self) -> tuple[list[int], list[int]]:
        """The step grids of the point forecast and of samples, each from T down to 0."""
        sampler = self.config.sampler
        return step_grid(self.steps, sampler.point_steps), step_grid(self.steps, sampler.steps)

    def step_errors(
        self,
        batch: Batch,
        t: Int[Tensor, " B"],
        noise: Float[Tensor, "B K M"],
        seeds: list[int],
        own: Bool[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """Prediction and target of the network at steps t, and the weight of each entry."""
        step, frame, weight = self._walked(batch, seeds, own)
        out, wanted = step(t, noise)
        if self.config.predicts == "noise":
            return out, wanted, weight
        if self.config.predicts == "innovation" and self.config.coordinates == "series":
            size = self.denoiser.size(t, out)  # what counts are errors of ŷ_0
            out, wanted = size * out, size * wanted
        return frame.weigh(out), frame.weigh(wanted), weight

    def _walked(
        self, batch: Batch, seeds: list[int], own: Bool[Tensor, " B"] | None = None
    ) -> tuple[Step, Frame, Float[Tensor, "B K M"]]:
        """What gives output and target of the network at steps t with noise, for known futures.

        The path of ``own`` windows leads, without noise, to what the model itself forecasts in one
        call: the target is the known future there, too.
        """
        window, past = self._normalise(batch)
        frame = self._frame(batch, window, seeds)
        y_0, weight = frame.enter(*with_label(batch, self.label), seeds)
        given = self._inputs(self._condition(batch, window, past, y_0), frame.seen)

        def step(t: Int[Tensor, " B"], noise: Float[Tensor, "B K M"]) -> tuple[Tensor, Tensor]:
            if own is not None and own.any():
                noise = noise.clone()
                noise[own] = self._own_noise(y_0[own], frame.h[own], given[own], t[own])
            out = self.denoiser.output(self.process.mix(y_0, frame.h, noise, t), frame.h, given, t)
            return out, self.denoiser.target(y_0, frame.h, noise, t)

        return step, frame, weight

    @torch.no_grad()
    def _own_noise(
        self,
        y_0: Float[Tensor, "n K M"],
        h: Float[Tensor, "n K M"],
        given: Float[Tensor, "n K S G"],
        t: Int[Tensor, " n"],
    ) -> Float[Tensor, "n K M"]:
        """The noise with which paths from y_0 are at steps t where those from the model's own
        forecast in one call are without noise.
        """
        start = self.process.start(h, torch.zeros_like(h))
        forecast = self.denoiser(start, h, given, torch.full_like(t, self.steps))
        a, b = (c[t].to(y_0.dtype)[:, None, None] for c in (self.process.a, self.process.b))
        pinned = b == 0  # at h, whatever the noise
        return torch.where(pinned, 0.0, a * (forecast - y_0) / torch.where(pinned, 1.0, b))

    def prepare(self) -> None:
        """Begin with the weights of the teacher."""
        if self.teacher is not None:
            for part in ("denoiser", "condition", "covariates"):
                own, its = getattr(self, part), getattr(self.teacher, part)
                if own is not None:
                    weights = dict(its.named_parameters())
                    for name, weight in own.named_parameters():
                        weight.data.copy_(weights[name])

    def ends(self, batch: Batch, seeds: list[int]) -> Ends:
        """The deterministic paths of known futures in the residual's coordinates."""
        window, past = self._normalise(batch)
        frame = self._frame(batch, window, seeds)
        y_0, weight = frame.enter(*with_label(batch, self.label), seeds)
        given = self._inputs(self._condition(batch, window, past), frame.seen)
        teach: Callable[[Tensor, Tensor], Tensor] | None = None
        teacher, arc = self.teacher, self.arc
        assert arc is not None
        if teacher is not None:
            shown = teacher._inputs(teacher._condition(batch, window, past), frame.seen)

            def teach(x_t: Tensor, t: Tensor) -> Tensor:
                y_t = arc.size(t, x_t) * x_t  # at a pinned end 0, all that the teacher has seen
                return teacher.denoiser.output(y_t, frame.h, shown, t)

        return Ends(arc, y_0, weight, self._end(given), teach, frame.weigh)

    @torch.no_grad()
    def calibrate_steps(self, validation: Windows) -> None:
        """Take the network's mean error at each step out of its output, where that helps."""
        self.denoiser.shifts = None
        if self.config.predicts == "end":  # no regression, whose errors have a mean of 0
            return

        def walked(cpu_batch: Batch) -> StepErrors:
            batch = cpu_batch.to(self.device)
            step, frame, weight = self._walked(batch, batch.index.tolist())

            def errors(step_number: Int[Tensor, " B"]) -> tuple[Tensor, Tensor]:
                t = step_number.to(self.device).expand(len(batch))
                out, wanted = step(t, noise_of(batch, frame.h, t))
                return out - wanted, weight

            return errors

        self.step_shifts = step_shifts(walked, validation, self.steps)
        if self.step_shifts is not None and bool(self.step_shifts.kept.any()):
            self.denoiser.shifts = self.step_shifts.means

    def calibrate_after(self, precursor: Precursor) -> None:
        """As of any model; the mean errors, too, are those that the precursor had."""
        assert isinstance(precursor.model, Diffusion)
        shifts = precursor.model.denoiser.shifts
        self.denoiser.shifts = None if shifts is None else shifts.to(self.device).clone()
        super().calibrate_after(precursor)

    def reverse_point(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K M"]:
        """Reverse sampling without noise from the prior's point forecast, in z-scores.

        In the residual's coordinates it stays where its first call leads: without noise y_t says
        nothing that the history does not, and what is right of Gaussian residuals would return that
        end at each further step.
        """
        window, past = self._normalise(batch)
        frame = self._frame(batch, window)
        given = self._inputs(self._condition(batch, window, past), frame.seen)
        count: int | Sequence[int] = 1
        if self.config.coordinates == "series" or self.arc is not None:
            count = self.config.sampler.point_steps if steps is None else steps
        h = frame.h

        def walked(network: bool) -> Tensor:
            start = torch.zeros_like(h)
            return frame.point(self._reverse(h, given, lambda _: start, count, 0.0, network))

        return _merged(walked, self.learnt)

    def reverse_samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """Reverse sampling with noise, in z-scores."""
        paths = self._paths(batch, draws, self.learnt)
        return self._widened(paths, batch) if self.config.coordinates == "residual" else paths

    def _paths(
        self, batch: Batch, draws: Draws, learnt: Float[Tensor, " K"] | None
    ) -> Float[Tensor, "B S K M"]:
        """Reverse sampling with noise, in z-scores, in chunks that fit the memory.

        ``learnt``: 1 for the channels that the network walks, None for all.
        """
        window, past = self._normalise(batch)
        condition, sampler = self._condition(batch, window, past), self.config.sampler
        steps = sampler.steps if draws.steps is None else draws.steps
        frame = self._frame(batch, window)
        in_series = self.config.coordinates == "series"

        def reverse(rows: Tensor, h: Tensor, noise: WindowNoise) -> Tensor:
            given = self._inputs(condition[rows], h if in_series else frame.seen[rows])
            once = cache(noise)

            def walked(network: bool) -> Tensor:
                return frame.leave(self._reverse(h, given, once, steps, sampler.s, network), rows)

            return _merged(walked, learnt)

        if in_series:
            starts = self._prior_samples(batch, window, draws)
        else:
            starts = frame.h[:, None].expand(-1, draws.samples, -1, -1)
        return draw_in_chunks(draws, starts, self.row_bytes, reverse)

    def _widened(self, paths: Float[Tensor, "B S K M"], batch: Batch) -> Float[Tensor, "B S K M"]:
        """The paths, ``spread`` times as far from the point forecast."""
        if float(self.spread) == 1.0:
            return paths
        point = self.reverse_point(batch)[:, None]
        return point + self.spread * (paths - point)

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """In the residual's coordinates, select the channels that the network walks, and the
        spread, on validation windows.
        """
        if self.config.coordinates == "residual":
            if self.learnt is not None:
                own, without = (self._channel_sums(validation, learnt) for learnt in (True, False))
                self.learnt.copy_(is_kept(own, without))
            walk = Walk(self)
            calibrator = Calibrator(walk, walk, self.label, validation)
            self.spread.fill_(1.0)
            self.spread.fill_(calibrator.choose(Choices((0.0,), SPREADS, (0.0,))).spread)

    def _channel_sums(self, windows: Windows, learnt: bool) -> Float[Tensor, " K"]:
        """The score of each channel, summed over the windows that calibrate."""
        scores = [
            self.channel_scores(batch.to(self.device), learnt)
            for batch in calibration_batches(windows)
        ]
        return torch.stack([each[0] for each in scores if each is not None]).sum(0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A model saved before channels were selected walks all with the network."""
        if self.learnt is not None:
            state_dict.setdefault(prefix + "learnt", torch.ones_like(self.learnt))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _reverse(
        self,
        h: Float[Tensor, "n K M"],
        given: Float[Tensor, "n K S G"],
        noise: Callable[[int], Tensor],
        steps: int | Sequence[int],
        s: float,
        network: bool = True,
    ) -> Float[Tensor, "n K M"]:
        """A walk down the steps; without the ``network``, one of the untrained bridge."""
        if self.arc is not None:
            return sample_ends(self.arc, self._end(given), noise, step_grid(self.steps, steps))
        return sample(
            self.process,
            (lambda y_t, t: self.denoiser(y_t, h, given, t))
            if network
            else (lambda y_t, t: self.denoiser.untrained(y_t, h, t)),
            h,
            noise,
            step_grid(self.steps, steps),
            s,
            full_first=self.config.sampler.first_step == "full",
            deviation=self.denoiser.deviation if self.config.coordinates == "residual" else _none,
        )

    def _end(self, given: Float[Tensor, "n K S G"]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x_t, t: self.denoiser.end(x_t, given, t)

    def _frame(
        self, batch: Batch, window: WindowScale, seeds: Sequence[int] | None = None
    ) -> Frame:
        """The coordinates of a batch; with ``seeds`` h is a draw of the prior, if it has any."""
        if self.config.coordinates == "residual":
            assert isinstance(self.prior, ResidualCopula)
            base = self.folds if self.training else None
            with torch.no_grad():
                return ResidualFrame(self.prior.chart(batch, base), window)
        if seeds is None:
            return SeriesFrame(window, self._point_prior(batch, window))
        return SeriesFrame(window, self._prior_samples(batch, window, Draws(1, list(seeds)))[:, 0])

    def _normalise(self, batch: Batch) -> tuple[WindowScale, Float[Tensor, "B K L"]]:
        """The window's level and scale, and the normalised history, 0 where missing."""
        window = window_scale(batch.past, batch.past_mask, self.config.norm)
        return window, window.apply(batch.past) * batch.past_mask

    def _point_prior(self, batch: Batch, window: WindowScale) -> Float[Tensor, "B K M"]:
        """h, the prior's point forecast, in the window's units."""
        if self.prior is None:
            return batch.past.new_zeros(*batch.past.shape[:2], self.length)
        h = window.apply(self.prior.predict_with_label(batch))
        return h.detach() if self.config.prior_training == "first" else h

    def _prior_samples(
        self, batch: Batch, window: WindowScale, draws: Draws
    ) -> Float[Tensor, "B S K M"]:
        """One h a sample: paths of a probabilistic prior, else its point forecast repeated."""
        if self.prior is None:
            return self._point_prior(batch, window)[:, None].expand(-1, draws.samples, -1, -1)
        paths = self.prior.sample_with_label(batch, draws)
        h = (paths - window.level[:, None]) / window.scale[:, None]
        return h.detach() if self.config.prior_training == "first" else h

    def _condition(
        self,
        batch: Batch,
        window: WindowScale,
        past: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None = None,
    ) -> Float[Tensor, "B K S G"]:
        """The features of the normalised history, of the covariates, and, without a prior, of a
        forecast of one's own.
        """
        parts: list[Tensor] = [self.condition(past, batch.past_mask, y_0)]
        given = batch.covariates
        if self.covariates is not None:
            assert given is not None
            features = self.covariates(given.known, given.past, given.static)[:, None]
            parts.append(features.expand(-1, past.shape[1], -1, -1))
        if self.given_own:
            assert given is not None
            own = window.apply(given.own[..., -self.condition.length :])
            parts.append(own[..., None])
        return torch.cat(parts, dim=3)

    def _inputs(
        self, condition: Float[Tensor, "n K S C"], h: Float[Tensor, "n K M"]
    ) -> Float[Tensor, "n K S G"]:
        """The network's inputs besides y_t: the condition, and h if configured."""
        if not self.config.given_prior:
            return condition
        aligned = F.pad(h, (condition.shape[2] - h.shape[2], 0))
        return torch.cat([condition, aligned[..., None]], dim=3)


def walked_as_untrained(model: nn.Module) -> list[int]:
    """The channels in which the network of a bridge is not kept, though it is in others."""
    learnt = next((part.learnt for part in model.modules() if isinstance(part, Diffusion)), None)
    if learnt is None or not bool(learnt.any()):
        return []
    return [k for k, own in enumerate(learnt.tolist()) if not own]


def _merged(
    walked: Callable[[bool], Float[Tensor, "n K M"]], learnt: Float[Tensor, " K"] | None
) -> Float[Tensor, "n K M"]:
    """What is walked with the network, in channels where it is ``learnt``, and without."""
    if learnt is None or bool(learnt.all()):
        return walked(True)
    if not bool(learnt.any()):
        return walked(False)
    return torch.where(learnt[:, None] > 0, walked(True), walked(False))


def _none(t: int) -> float:
    """The deviation that steps leave out: in the series' own units it is not known."""
    return 0.0


def _build_prior(config: DiffusionConfig, shape: Shape) -> Prior | None:
    if config.prior is None:
        return None
    prior = build(config.prior, replace(shape, label=config.label))
    assert isinstance(prior, Forecaster)
    assert isinstance(prior, Prior)
    if config.prior_training == "joint" and prior.stages():
        raise UserError(
            "model.prior_training: residuals are known once the prior is trained; set it to first"
        )
    return prior


def _build_teacher(config: DiffusionConfig, shape: Shape) -> Diffusion:
    """The bridge that a one-step model is distilled from, trained as the model is."""
    changed = {
        "predicts": "innovation",
        "objective": PathObjectiveConfig(loss="mse", select_by="samples"),
        "sampler": SamplerConfig(s=2.0, steps=min(5, config.process().steps), point_steps=1),
    }
    teacher = Diffusion(config.model_copy(update=changed), shape)
    teacher.teaches = True
    return teacher


def _covariate_inputs(shape: Shape, length: int) -> CovariateInputs | None:
    sizes = shape.covariates
    if not sizes.learnt:
        return None
    return CovariateInputs(shape.lookback, length, sizes.known, sizes.past, sizes.static)


def _build_condition(config: DiffusionConfig, shape: ConditionShape) -> Condition:
    if config.condition is None:
        return Nothing(shape)
    condition = build(config.condition, shape)
    assert isinstance(condition, Condition)
    return condition
