"""The diffusion forecaster: schedule, prior, condition and network put together."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.config.model_config import (
    BridgeConfig,
    DDPMConfig,
    DiffusionConfig,
    HistoryConfig,
    MixupConfig,
    PathObjective,
    PerceptronConfig,
    SamplesObjective,
)
from forecaster.data.windows import Batch
from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.diffusion.schedules import (
    Schedule,
    bridge,
    cosine_betas,
    ddpm,
    linear_betas,
    quadratic_betas,
)
from forecaster.errors import UserError
from forecaster.models.base import (
    Distribution,
    Draws,
    Forecaster,
    generator,
    masked_mean,
    path_errors,
    with_label,
)
from forecaster.models.scores import sample_score
from forecaster.networks.build import build_network
from forecaster.networks.conditions import build_condition
from forecaster.networks.norms import Frame, frame


def build_schedule(config: BridgeConfig | DDPMConfig) -> Schedule:
    """The coefficients of a configured path."""
    if isinstance(config, BridgeConfig):
        return bridge(config.steps)
    betas = {
        "quadratic": lambda: quadratic_betas(config.steps, config.first, config.last),
        "linear": lambda: linear_betas(config.steps, config.first, config.last),
        "cosine": lambda: cosine_betas(config.steps),
    }
    return ddpm(betas[config.betas](), config.pull_to_prior)


class Diffusion(Forecaster):
    """Any member of the framework. ``prior`` gives h; without one h is 0."""

    distribution: Distribution = "samples"

    def __init__(
        self,
        config: DiffusionConfig,
        prior: Forecaster | None,
        channels: int,
        lookback: int,
        horizon: int,
    ) -> None:
        super().__init__()
        self.config, self.horizon = config, horizon
        self.length = config.label + horizon
        try:
            self.process = Process(build_schedule(config.schedule))
        except ValueError as error:
            raise UserError(f"model.schedule: {error}; lower steps or last") from error
        self.prior = prior
        _check(config, prior, self.process)
        if not _has_spread(config, prior, self.process, config.sampler.steps):
            self.distribution = "none"  # the walk is deterministic
        self.condition = build_condition(config.condition, lookback, self.length, config.label)
        features = 1 + self.condition.features + config.given_prior
        network = build_network(
            config.network, self.process.steps, channels, self.condition.length, features
        )
        self.memory = network.memory
        self.denoiser = Denoiser(network, config.predicts, self.process)

    def stages(self) -> list[Forecaster]:
        """The prior alone, where it is to be a forecast of its own."""
        if self.prior is None or self.config.prior_training == "joint":
            return []
        return [*self.prior.stages(), self.prior]

    def _frame(self, batch: Batch) -> tuple[Frame, Float[Tensor, "B K L"]]:
        """The window's frame, and the history in it, 0 where it is missing."""
        window = frame(batch.past, batch.past_mask, self.config.norm)
        return window, window.apply(batch.past) * batch.past_mask

    def _point_prior(self, batch: Batch, window: Frame) -> Float[Tensor, "B K M"]:
        """h, in the window's frame."""
        if self.prior is None:
            return batch.past.new_zeros(*batch.past.shape[:2], self.length)
        h = window.apply(self.prior.predict_with_label(batch))
        return h.detach() if self.config.prior_training == "first" else h

    def _drawn_prior(self, batch: Batch, window: Frame, draws: Draws) -> Float[Tensor, "B S K M"]:
        """h as often as samples are drawn: a draw of the prior's own distribution, where it has
        one.
        """
        if self.prior is None:
            return self._point_prior(batch, window)[:, None].expand(-1, draws.samples, -1, -1)
        h = (self.prior.sample_with_label(batch, draws) - window.level[:, None]) / window.scale[
            :, None
        ]
        return h.detach() if self.config.prior_training == "first" else h

    def _given(
        self, condition: Float[Tensor, "n K S C"], h: Float[Tensor, "n K M"]
    ) -> Float[Tensor, "n K S G"]:
        """What the network is given beside y_t: the condition, and h where it may see it."""
        if not self.config.given_prior:
            return condition
        placed = torch.nn.functional.pad(h, (condition.shape[2] - h.shape[2], 0))
        return torch.cat([condition, placed[..., None]], dim=3)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The configured objective at random steps, with random draws."""
        count, device = len(batch), batch.past.device
        seeds = torch.randint(0, 2**62, (count,)).tolist()
        if isinstance(self.config.objective, SamplesObjective):
            return self._samples_loss(
                batch, Draws(self.config.objective.draws, seeds), self.config.objective
            )
        t = torch.randint(1, self.process.steps + 1, (count,), device=device)
        noise = torch.randn(
            count, batch.past.shape[1], self.length, device=device, dtype=batch.past.dtype
        )
        return self._path_loss(batch, t, noise, seeds, self.config.objective)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The objective with the same draws in every epoch; a path's errors at the steps that the
        two samplers visit.

        The point sampler's steps alone would stop at a network that still copies h, whose samples
        hardly spread.
        """
        seeds = batch.index.tolist()
        if isinstance(self.config.objective, SamplesObjective):
            return self._samples_loss(batch, Draws(_SCORED_DRAWS, seeds), self.config.objective)
        sampler = self.config.sampler
        grids = (
            step_grid(self.process.steps, count)[:-1]
            for count in (sampler.point_steps, sampler.steps)
        )
        visited = torch.tensor([t for grid in grids for t in grid], device=batch.index.device)
        t = visited[torch.arange(len(batch), device=visited.device) % len(visited)]
        source = generator(int(batch.index[0]), "score")
        noise = torch.randn(len(batch), batch.past.shape[1], self.length, generator=source).to(
            batch.past
        )
        return self._path_loss(batch, t, noise, seeds, self.config.objective)

    def _path_loss(
        self,
        batch: Batch,
        t: Int[Tensor, " B"],
        noise: Float[Tensor, "B K M"],
        seeds: list[int],
        objective: PathObjective,
    ) -> Float[Tensor, ""]:
        """The error of what the network predicts at steps t; of data, in z-scores."""
        window, past = self._frame(batch)
        target, mask = with_label(batch, self.config.label)
        y_0 = window.apply(target) * mask
        h = self._drawn_prior(batch, window, Draws(1, seeds))[:, 0]
        given = self._given(self.condition(past, batch.past_mask, y_0), h)
        out = self.denoiser.output(self.process.mix(y_0, h, noise, t), given, t)
        want = self.denoiser.target(y_0, h, noise)
        unit = 1.0 if self.config.predicts == "noise" else window.scale
        return masked_mean(path_errors(objective.loss, out * unit, want * unit), mask)

    def _samples_loss(
        self, batch: Batch, draws: Draws, objective: SamplesObjective
    ) -> Float[Tensor, ""]:
        """The score of the sampler's draws, and the error of the deterministic walk, in
        z-scores.
        """
        target, mask = with_label(batch, self.config.label)
        loss = sample_score(self._walked_samples(batch, draws), target, mask, objective)
        if objective.point > 0:
            error = (self._walked_point(batch, self.config.sampler.point_steps) - target).abs()
            loss = loss + objective.point * masked_mean(error, mask)
        return loss

    def _walk(
        self,
        h: Tensor,
        given: Tensor,
        noise: Callable[[int], Tensor],
        steps: int | Sequence[int],
        s: float,
    ) -> Float[Tensor, "n K M"]:
        return sample(
            self.process,
            lambda y_t, t: self.denoiser(y_t, h, given, t),
            h,
            noise,
            step_grid(self.process.steps, steps),
            s,
            full_first=self.config.sampler.first_step == "full",
        )

    def _walked_point(self, batch: Batch, steps: int | Sequence[int]) -> Float[Tensor, "B K M"]:
        window, past = self._frame(batch)
        h = self._point_prior(batch, window)
        given = self._given(self.condition(past, batch.past_mask, None), h)
        return window.invert(self._walk(h, given, lambda step: torch.zeros_like(h), steps, s=0.0))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """s = 0 from the mean of the start: no random number is drawn."""
        walked = self._walked_point(
            batch, self.config.sampler.point_steps if steps is None else steps
        )
        return walked[..., self.config.label :]

    def _walked_samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """All samples and channels of as many windows together as the memory budget allows, in
        z-scores.
        """
        window, past = self._frame(batch)
        drawn = self._drawn_prior(batch, window, draws)
        condition = self.condition(past, batch.past_mask, None)
        steps = self.config.sampler.steps if draws.steps is None else draws.steps
        rows = torch.arange(len(batch) * draws.samples)
        room = max(draws.budget // (4 * self.memory * condition.shape[1] * condition.shape[2]), 1)
        pieces = []
        for chunk in rows.split(room):
            of, sample_number = (
                (chunk // draws.samples).to(drawn.device),
                (chunk % draws.samples).to(drawn.device),
            )
            h = drawn[of, sample_number]
            noise = _WindowNoise(draws, chunk, h)
            pieces.append(
                self._walk(h, self._given(condition[of], h), noise, steps, self.config.sampler.s)
            )
        paths = torch.cat(pieces).unflatten(0, (len(batch), draws.samples))
        return paths * window.scale[:, None] + window.level[:, None]

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """s > 0, or a prior with a spread of its own."""
        return self._walked_samples(batch, draws)[..., self.config.label :]

    def check_steps(self, steps: int | None) -> None:
        """1 ≤ steps ≤ T."""
        if steps is not None and not 1 <= steps <= self.process.steps:
            raise UserError(
                f"--steps {steps}: has to lie between 1 and the model's {self.process.steps} "
                "diffusion steps"
            )

    def has_spread(self, steps: int | None) -> bool:
        """Whether samples of so many steps differ from each other."""
        return _has_spread(
            self.config,
            self.prior,
            self.process,
            self.config.sampler.steps if steps is None else steps,
        )


# draws a window for the score that early stopping watches: enough that it ranks epochs, few enough
# to be cheap
_SCORED_DRAWS = 16


def _has_spread(
    config: DiffusionConfig, prior: Forecaster | None, process: Process, steps: int | Sequence[int]
) -> bool:
    """Whether samples differ: by noise at the start or on the way, or by draws of the prior."""
    on_the_way = config.sampler.s > 0 and len(step_grid(process.steps, steps)) > 2
    return (
        float(process.b[-1]) > 0
        or on_the_way
        or (prior is not None and prior.distribution != "none")
    )


def _check(config: DiffusionConfig, prior: Forecaster | None, process: Process) -> None:
    """Refuse the combinations that make no sense, each with its reason."""
    sampler = config.sampler
    for key in ("steps", "point_steps"):
        try:
            step_grid(process.steps, getattr(sampler, key))
        except ValueError as error:
            raise UserError(
                f"model.sampler.{key}: {error}, which is model.schedule.steps; correct it"
            ) from error
    if prior is None and float(process.g[-1]) != 0:
        raise UserError(
            "model.prior: this schedule ends at the prior forecast, so it needs one; name a model"
        )
    if prior is None and (config.given_prior or config.predicts == "correction"):
        raise UserError(
            "model.given_prior, model.predicts: without a prior there is none to see or to "
            "correct; name one"
        )
    if (
        prior is not None
        and not process.g.any()
        and not config.given_prior
        and config.predicts != "correction"
    ):
        raise UserError(
            "model.prior: this schedule, this network and what it predicts make no use of it; give "
            "model.given_prior "
            "true, or leave it out (null)"
        )
    if isinstance(config.condition, HistoryConfig) and isinstance(config.network, PerceptronConfig):
        raise UserError(
            "model.network: a perceptron sees one time at a time, and the history of "
            "model.condition stands at other "
            "times; take another network or another condition"
        )
    if isinstance(config.condition, MixupConfig) and isinstance(config.objective, SamplesObjective):
        raise UserError(
            "model.condition: mixup needs the future, and the samples objective walks as in "
            "forecasting, without it; take "
            "another condition, or the path objective"
        )
    if prior is not None and config.prior_training == "joint" and prior.stages():
        raise UserError(
            "model.prior_training: residuals are known once the prior is trained; set it to first"
        )
    if prior is None and config.condition is None:
        raise UserError(
            "model.condition: without a prior or a condition nothing is known of the history; name "
            "one"
        )
    objective = config.objective
    if (
        isinstance(objective, SamplesObjective)
        and objective.energy + objective.crps + objective.crps_sum == 0
    ):
        raise UserError(
            "model.objective: energy, crps and crps_sum are all 0, so samples are not scored; "
            "raise one"
        )
    if isinstance(objective, SamplesObjective) and not _has_spread(
        config, prior, process, sampler.steps
    ):
        raise UserError(
            "model.objective: all draws would be the same, since this path starts without noise "
            "and draws none; give "
            "model.sampler more steps and s > 0, or a prior with a spread (residual-bootstrap)"
        )


class _WindowNoise:
    """Standard normal draws that depend on a window's seed, the step and the sample's number
    alone.
    """

    def __init__(self, draws: Draws, rows: Int[Tensor, " n"], like: Tensor) -> None:
        self.draws, self.rows, self.like = draws, rows, like

    def __call__(self, step: int) -> Float[Tensor, "n K M"]:
        """The draws of one step for the rows (window · samples + sample) of this chunk."""
        count, shape = self.draws.samples, self.like.shape[1:]
        windows = (self.rows // count).unique_consecutive()
        drawn = []
        for window in windows.tolist():
            noise = torch.randn(
                count, *shape, generator=generator(self.draws.seeds[window], "step", step)
            )
            mine = self.rows[(self.rows // count) == window] % count
            drawn.append(noise[mine])
        return torch.cat(drawn).to(self.like)
