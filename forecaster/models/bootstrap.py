"""Any point model with its own residuals: the honest baseline of every sampler, and a bridge's
start that has a spread.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.config.model_config import ResidualBootstrapConfig, SamplesObjective
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.models.base import Draws, Forecaster, generator, with_label
from forecaster.models.scales import exponents, log_scales
from forecaster.models.scores import sample_score
from forecaster.networks.norms import frame

# what ``auto`` chooses from; never less than the residuals were, since intervals that are too
# narrow cost more
_POWERS, _SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0), (1.0, 1.1, 1.2, 1.35, 1.5)


class ResidualBootstrap(Forecaster):
    """A point forecast plus whole residual paths, all channels of one window together, drawn with
    replacement.

    A path is never drawn for a window whose future overlaps its own: it would tell the answer. Nor
    is a validation path for a window of training or validation, so that what is trained or chosen
    there sees what it will see on the test. ``season``: the length of the season in steps, for
    ``phase_window``.
    """

    distribution = "samples"
    residuals: Tensor
    times: Tensor
    validated: Tensor
    scales: Tensor
    exponents: Tensor
    power: Tensor
    spread: Tensor

    def __init__(
        self,
        config: ResidualBootstrapConfig,
        base: Forecaster,
        channels: int,
        horizon: int,
        season: int,
        label: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.base, self.season, self.label, self.horizon = (
            config,
            base,
            season,
            label,
            horizon,
        )
        self.register_buffer("residuals", torch.zeros(0, channels, label + horizon))
        self.register_buffer("times", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("validated", torch.zeros(0))
        self.register_buffer("scales", torch.zeros(0, channels, 1))
        if config.scale == "learnt":
            self.register_buffer("exponents", torch.zeros(channels, 4))
        self.register_buffer(
            "power", torch.tensor(0.0 if config.scale_power == "auto" else config.scale_power)
        )
        self.register_buffer(
            "spread", torch.tensor(1.0 if config.spread == "auto" else config.spread)
        )

    def stages(self) -> list[Forecaster]:
        """The point model, if there is anything to train in it."""
        return [*self.base.stages(), self.base]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The base's own."""
        return self.base.loss(batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The base's own."""
        return self.base.score(batch)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The base's."""
        return self.base.predict_with_label(batch)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The base's forecast."""
        return self.base.predict(batch, steps)

    @torch.no_grad()
    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Keep evenly spaced residual paths of the configured split, learn their scale, choose what
        validation likes best.

        A missing entry takes the residual of the nearest kept window at the same channel and lead
        time.
        """
        chosen = {"train": [train], "validation": [validation], "both": [train, validation]}[
            self.config.residuals
        ]
        total, paths, times, logs, validated = sum(map(len, chosen)), [], [], [], []
        device = self.residuals.device
        for windows in chosen:
            share = max(round(min(self.config.paths / total, 1) * len(windows)), 1)
            for cpu_batch in ordered_loader(windows, 256, share):
                batch = cpu_batch.to(device)
                target, mask = with_label(batch, self.label)
                paths.append(
                    torch.where(mask > 0, target - self.predict_with_label(batch), torch.nan)
                )
                times.append(batch.time)
                logs.append(self._log_scales(batch))
                validated.append(
                    torch.full((len(batch),), float(windows is validation), device=device)
                )
        self.residuals, self.times, self.validated = (
            _fill(torch.cat(paths)),
            torch.cat(times),
            torch.cat(validated),
        )
        self._learn(torch.cat(logs))
        powers = _POWERS if self.config.scale_power == "auto" else (self.config.scale_power,)
        spreads = _SPREADS if self.config.spread == "auto" else (self.config.spread,)
        if len(powers) * len(spreads) > 1:
            self._choose(list(itertools.product(powers, spreads)), validation)

    def _learn(self, logs: Float[Tensor, "R K F"]) -> None:
        """The scale of the kept paths; a learnt one from those of training, where there are any."""
        if self.config.scale == "learnt":
            trained = self.validated == 0
            rows = trained if trained.any() else ~trained
            self.exponents.copy_(exponents(logs[rows], self.residuals[rows]))
        self.scales = self._of_logs(logs)

    def _choose(self, pairs: Sequence[tuple[float, float]], validation: Windows) -> None:
        """The power and spread that score best on evenly spaced validation windows, with the same
        draws for all.
        """
        totals = dict.fromkeys(pairs, 0.0)
        for cpu_batch in ordered_loader(validation, 64, 256):
            batch = cpu_batch.to(self.residuals.device)
            target, mask = with_label(batch, self.label)
            middle = self.predict_with_label(batch)[:, None]
            residuals, ratio = self._drawn(batch, Draws(32, batch.index.tolist()))
            for power, spread in pairs:
                paths = middle + residuals * ratio**power * spread
                totals[power, spread] += float(
                    sample_score(paths, target, mask, SamplesObjective())
                ) * len(batch)
        power, spread = min(totals, key=lambda pair: totals[pair])
        self.power.fill_(power)
        self.spread.fill_(spread)

    def _scale(self, batch: Batch) -> Float[Tensor, "B K 1"]:
        """How large the errors of each window are, up to a factor: the deviation of its history, or
        as learnt.
        """
        return self._of_logs(self._log_scales(batch))

    def _log_scales(self, batch: Batch) -> Float[Tensor, "B K F"]:
        if self.config.scale == "learnt":
            return log_scales(batch, self.season)
        return frame(batch.past, batch.past_mask, "standard").scale.log()

    def _of_logs(self, logs: Float[Tensor, "n K F"]) -> Float[Tensor, "n K 1"]:
        weighted = logs * self.exponents if self.config.scale == "learnt" else logs
        return weighted.sum(2, keepdim=True).exp()

    def eligible(self, time: Int[Tensor, " B"]) -> Float[Tensor, "B R"]:
        """1 for the paths that may be drawn for windows at these times, else 0.

        Where all overlap the window, all are 0; any other rule that leaves none is given up.
        """
        apart = self.times - time[:, None]
        known = (self.validated == 0) | (time > self.times.max())[:, None]
        phase = apart % self.season
        width = self.season if self.config.phase_window is None else self.config.phase_window
        near = torch.minimum(phase, self.season - phase) <= width
        allowed = apart.abs() >= self.horizon + self.label
        for rule in (known, near):
            stricter = allowed & rule
            allowed = torch.where(stricter.any(1, keepdim=True), stricter, allowed)
        return allowed.float()

    def _drawn(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B S K 1"]]:
        """Residual paths by each window's own seed, and the scale of the window over that of the
        path's.
        """
        chances = self.eligible(batch.time)
        any_path = chances.any(1)  # without a path that may be drawn the forecast has no spread
        chances = torch.where(any_path[:, None], chances, 1.0)
        chosen = [
            torch.multinomial(chance, draws.samples, True, generator=generator(seed, "residuals"))
            for chance, seed in zip(chances.cpu(), draws.seeds, strict=True)
        ]
        index = torch.stack(chosen).to(self.residuals.device)
        # a window or a path of a nearly constant channel does not blow the other up
        ratio = (self._scale(batch)[:, None] / self.scales[index]).clamp(0.1, 10)
        return self.residuals[index] * any_path[:, None, None, None], ratio

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """The base's path with residual paths added."""
        residuals, ratio = self._drawn(batch, draws)
        return self.predict_with_label(batch)[:, None] + residuals * ratio**self.power * self.spread

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Paths of the point forecast with residuals added."""
        return self.sample_with_label(batch, draws)[..., self.label :]

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:  # type: ignore[no-untyped-def]
        """The number of paths is the saved model's."""
        for name in ("residuals", "times", "validated", "scales"):
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            if saved is not None and saved.ndim == own.ndim:
                setattr(self, name, own.new_zeros(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _fill(paths: Float[Tensor, "R K M"]) -> Float[Tensor, "R K M"]:
    """Missing entries ← the nearest path that has them: the one before, else the one after, else
    0.
    """
    rows = torch.arange(len(paths), device=paths.device)[:, None, None]
    known = ~paths.isnan()
    before = torch.where(known, rows, -1).cummax(0).values
    after = torch.where(known, rows, len(paths)).flip(0).cummin(0).values.flip(0)
    source = torch.where(before >= 0, before, after)
    filled = paths.gather(0, source.clamp(max=len(paths) - 1))
    return torch.nan_to_num(filled)
