"""Forecasters that keep the others honest: the value one season ago, and any point model with its own residuals."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.config import ResidualBootstrapConfig
from forecaster.data.windows import Batch
from forecaster.models.base import Draws, Forecaster


class SeasonalNaive(Forecaster):
    """The last observed value at the same place in the season; the last observed value where there is none."""

    def __init__(self, season: int, horizon: int) -> None:
        super().__init__()
        self.season, self.horizon = season, horizon

    def point(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The forecast; with a lookback shorter than the season it is the last observed value."""
        lookback = batch.past.shape[2]
        times = torch.arange(1, lookback + 1, device=batch.past.device, dtype=batch.past.dtype)
        newest = (batch.past_mask * times).argmax(2, keepdim=True)
        season = batch.past.gather(2, newest).repeat(1, 1, self.season)  # (B, K, season), by distance from the end
        for first in range(lookback % self.season, lookback, self.season):  # oldest first: newer ones lie over it
            values = batch.past[..., first : first + self.season]
            season = torch.where(batch.past_mask[..., first : first + self.season] > 0, values, season)
        return season.repeat(1, 1, -(-self.horizon // self.season))[..., : self.horizon]

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """Nothing is trained, so nothing is watched."""
        return batch.past.new_zeros(())


class ResidualBootstrap(Forecaster):
    """A point forecast plus whole residual paths, all channels of one window together, drawn with replacement."""

    distribution = "samples"
    residuals: Tensor

    def __init__(self, config: ResidualBootstrapConfig, base: Forecaster, channels: int, horizon: int) -> None:
        super().__init__()
        self.config, self.base = config, base
        self.register_buffer("residuals", torch.zeros(0, channels, horizon))

    def stages(self) -> list[Forecaster]:
        """The point model, if there is anything to train in it."""
        return [self.base]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The base's own."""
        return self.base.loss(batch)

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The base's own."""
        return self.base.score(batch)

    def point(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The base's forecast."""
        return self.base.point(batch, steps)

    @torch.no_grad()
    def finish(self, train: Iterable[Batch], validation: Iterable[Batch]) -> None:
        """Keep evenly spaced residual paths of the configured split.

        A missing entry takes the residual of the nearest kept window at the same channel and lead time.
        """
        paths = []
        for batch in train if self.config.residuals == "train" else validation:
            error = batch.future - self.base.point(batch)
            paths.append(torch.where(batch.future_mask > 0, error, torch.nan).cpu())
        found = torch.cat(paths)
        keep = torch.linspace(0, len(found) - 1, min(self.config.paths, len(found)), dtype=torch.float64).round().long()
        self.residuals = _fill(found[keep]).to(self.residuals.device)

    def samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Paths of the point forecast with residuals added."""
        chosen = [
            torch.randint(len(self.residuals), (draws.samples,), generator=torch.Generator().manual_seed(seed))
            for seed in draws.seeds
        ]
        return self.point(batch)[:, None] + self.residuals[torch.stack(chosen).to(self.residuals.device)]

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:  # type: ignore[no-untyped-def]
        """The number of paths is the saved model's."""
        saved = state_dict.get(f"{prefix}residuals")
        if saved is not None and saved.ndim == 3:
            self.residuals = self.residuals.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _fill(paths: Float[Tensor, "R K H"]) -> Float[Tensor, "R K H"]:
    """Missing entries ← the nearest path that has them: the one before, else the one after, else 0."""
    rows = torch.arange(len(paths))[:, None, None]
    known = ~paths.isnan()
    before = torch.where(known, rows, -1).cummax(0).values
    after = torch.where(known, rows, len(paths)).flip(0).cummin(0).values.flip(0)
    source = torch.where(before >= 0, before, after)
    filled = paths.gather(0, source.clamp(max=len(paths) - 1))
    return torch.nan_to_num(filled)
