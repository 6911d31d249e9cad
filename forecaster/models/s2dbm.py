"""S²DBM: a Brownian bridge from a prior forecast to the future series (Yang et al., arXiv 2411.04491, section 2).

y*  last P steps of the history, then the H future ones      h = F(x), c = E(x)   linear over time, L → P + H
y_t = a_t·y* + g_t·h + b_t·ε                                 ŷ_0 = denoiser(y_t, c, h, t)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config import LinearConfig, S2DBMConfig
from forecaster.data.windows import Batch
from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.diffusion.schedules import bridge
from forecaster.errors import UserError
from forecaster.models.base import Draws, Forecaster, masked_mean, path_errors
from forecaster.models.linear import Linear, with_label
from forecaster.networks.csdi import CSDINetwork
from forecaster.networks.norms import Frame, frame


class S2DBM(Forecaster):
    """The bridge, its prior F, its condition encoder E and its network. One set of weights, both kinds of forecast."""

    distribution = "samples"

    def __init__(self, config: S2DBMConfig, channels: int, lookback: int, horizon: int) -> None:
        super().__init__()
        if config.label > lookback:
            raise UserError(f"model.label: {config.label} is more than the lookback of {lookback}; lower it")
        for key in ("steps", "point_steps"):
            if getattr(config, key) > config.diffusion_steps:
                raise UserError(f"model.{key}: more than model.diffusion_steps, {config.diffusion_steps}; lower it")
        if config.network.channels % config.network.heads:
            raise UserError("model.network.heads: has to divide model.network.channels; change one of them")
        self.config, self.horizon = config, horizon
        self.length = config.label + horizon
        self.process = Process(bridge(config.diffusion_steps))
        self.prior = Linear(LinearConfig(norm=config.norm, loss="l1"), lookback, horizon, config.label)
        self.condition = nn.Linear(lookback, self.length)
        corrects = config.predicts == "correction"
        network = CSDINetwork(config.network, config.diffusion_steps, channels, self.length, given_prior=corrects)
        self.denoiser = Denoiser(network, config.predicts)

    def stages(self) -> list[Forecaster]:
        """F alone, where it is to be a forecast of its own."""
        return [self.prior] if self.config.prior == "first" else []

    def _encode(self, batch: Batch) -> tuple[Frame, Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """The window's frame, h and c in it."""
        window = frame(batch.past, batch.past_mask, self.config.norm)
        past = window.apply(batch.past) * batch.past_mask
        h = self.prior.layer(past)
        return window, (h.detach() if self.config.prior == "first" else h), self.condition(past)

    def _errors(self, batch: Batch, t: Int[Tensor, " B"], noise: Float[Tensor, "B K M"], own: bool) -> Float[Tensor, ""]:
        """The loss at steps t, in z-scores; with ``own``, y_t is made of the network's own noise-free prediction."""
        window, h, c = self._encode(batch)
        target, mask = with_label(batch, self.config.label)
        y_0 = window.apply(target) * mask
        if own:
            with torch.no_grad():
                last = torch.full_like(t, self.process.steps)
                y_0 = self.denoiser(self.process.start(h, noise * 0), c, h, last)
            noise = noise * 0
        predicted = self.denoiser(self.process.mix(y_0, h, noise, t), c, h, t)
        return masked_mean(path_errors(self.config.loss, window.invert(predicted), target), mask)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """E over t and ε of |ŷ_0 − y*| (or its square)."""
        count, device = len(batch), batch.past.device
        t = torch.randint(1, self.process.steps + 1, (count,), device=device)
        noise = torch.randn(count, batch.past.shape[1], self.length, device=device, dtype=batch.past.dtype)
        own = bool(torch.rand(()) < self.config.self_conditioning)
        return self._errors(batch, t, noise, own)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss at the steps that the two samplers visit, with the same noise in every epoch.

        The point sampler's steps alone would stop at a network that still copies h, whose samples hardly spread.
        """
        grids = (step_grid(self.process.steps, count)[:-1] for count in (self.config.point_steps, self.config.steps))
        visited = torch.tensor([t for grid in grids for t in grid], device=batch.index.device)
        t = visited[batch.index % len(visited)]
        generator = torch.Generator().manual_seed(int(batch.index[0]))
        noise = torch.randn(len(batch), batch.past.shape[1], self.length, generator=generator)
        return self._errors(batch, t, noise.to(batch.past), own=False)

    def _walk(self, h: Tensor, c: Tensor, noise: Callable[[int], Tensor], steps: int, s: float) -> Float[Tensor, "N K M"]:
        return sample(
            self.process,
            lambda y_t, t: self.denoiser(y_t, c, h, t),
            h,
            noise,
            step_grid(self.process.steps, steps),
            s,
            full_first=self.config.first_step == "full",
        )

    def point(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """s = 0: no random number is drawn."""
        window, h, c = self._encode(batch)
        walked = self._walk(h, c, _no_noise, self.config.point_steps if steps is None else steps, s=0.0)
        return window.invert(walked)[..., self.config.label :]

    def samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """s > 0: all samples and channels of as many windows together as the memory budget allows."""
        window, h, c = self._encode(batch)
        steps = self.config.steps if draws.steps is None else draws.steps
        rows = torch.arange(len(batch) * draws.samples)
        room = max(draws.budget // (160 * h[0].numel() * self.config.network.channels), 1)
        pieces = []
        for chunk in rows.split(room):
            windows = (chunk // draws.samples).to(h.device)
            noise = _WindowNoise(draws, chunk, h)
            pieces.append(self._walk(h[windows], c[windows], noise, steps, self.config.s))
        paths = torch.cat(pieces).unflatten(0, (len(batch), draws.samples))  # (B, S, K, M)
        level, scale = window.level[:, None], window.scale[:, None]
        return (paths * scale + level)[..., self.config.label :]

    def check_steps(self, steps: int | None) -> None:
        """1 ≤ steps ≤ T."""
        if steps is not None and not 1 <= steps <= self.process.steps:
            raise UserError(f"--steps {steps}: has to lie between 1 and the model's {self.process.steps} diffusion steps")


def _no_noise(step: int) -> Tensor:
    raise AssertionError("a deterministic walk draws no noise")


class _WindowNoise:
    """Standard normal draws that depend on a window's seed, the step and the sample's number alone."""

    def __init__(self, draws: Draws, rows: Int[Tensor, " n"], like: Tensor) -> None:
        self.draws, self.rows, self.like = draws, rows, like

    def __call__(self, step: int) -> Float[Tensor, "n K M"]:
        """The draws of one step for the rows (window · samples + sample) of this chunk."""
        count, shape = self.draws.samples, self.like.shape[1:]
        windows = (self.rows // count).unique_consecutive()
        drawn = []
        for window in windows.tolist():
            generator = torch.Generator().manual_seed((self.draws.seeds[window] + step * 1_000_003) % 2**63)
            noise = torch.randn(count, *shape, generator=generator)
            mine = self.rows[(self.rows // count) == window] % count
            drawn.append(noise[mine])
        return torch.cat(drawn).to(self.like)
