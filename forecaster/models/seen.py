"""Intervals of a forecast from a short or holed history: how much larger its errors are.

They are measured on validation windows of which values were taken away in three ways: the oldest,
the newest, and some here and there. Each way has its factor, 1 for a history as complete as those
of validation, and a history has the product of its three.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from forecaster.config.schema import TrainerConfig
from forecaster.data.holes import fill
from forecaster.data.problem import Problem
from forecaster.data.windows import Batch, evenly_spaced, loader_of
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster
from forecaster.models.outlook import Outlook
from forecaster.models.seeds import window_seeds

# the largest number of windows, of those whose forecast is drawn, and of numbers in them
_WINDOWS, _DRAWN_WINDOWS, _NUMBERS = 256, 8, 2**24
# sample paths of a forecast that is drawn
_PATHS = 20
_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
# the time constant of the weights of values in the share missing, in that of the history
_RECENT = 0.25
# the share of the horizon over which the factors of lead times are averaged
_SMOOTHED = 0.25
# an error that is next to none, in z-scores, and the largest factor
_EXACT, _LARGEST = 1e-6, 100.0
_WAYS = ("length", "share", "age")
# from random numbers (B, K, L), which values remain
_Pattern = Callable[[Tensor], Bool[Tensor, "*shape"]]


@dataclass(frozen=True)
class Curve:
    """Factors (n, H) of the errors by lead time at ``knots`` (n,), ascending; between, linear."""

    knots: Float[Tensor, " n"]
    factors: Float[Tensor, "n H"]

    def at(self, x: Float[Tensor, "B K"]) -> Float[Tensor, "B K H"]:
        """The factors at x, beyond the knots those of the last."""
        right = torch.searchsorted(self.knots, x.contiguous()).clamp(1, len(self.knots) - 1)
        left, here = self.knots[right - 1], self.knots[right]
        share = ((x - left) / (here - left)).clamp(0, 1)[..., None]
        return self.factors[right - 1] * (1 - share) + self.factors[right] * share


@dataclass(frozen=True)
class Seen:
    """The factors by ``length`` of the history, ``share`` missing of it, and ``age`` of its end.

    ``length`` and ``age`` are logarithms of 1 plus a number of steps, the length's negative, so
    that factors rise along each. Before the oldest value there is no history, and after the newest
    one nothing is missing but the age.
    """

    length: Curve
    share: Curve
    age: Curve

    def factors(self, observed: Float[Tensor, "B K L"]) -> Float[Tensor, "B K H"]:
        """How much larger errors are than those of the validation's histories."""
        found = _described(observed)
        factor = torch.ones_like(self.length.factors[0]).expand(*observed.shape[:2], -1)
        for name, x in zip(_WAYS, found, strict=True):
            factor = factor * getattr(self, name).at(x)
        return factor

    def to(self, device: torch.device | str) -> "Seen":
        """The same on another device."""
        return Seen(
            *(
                Curve(curve.knots.to(device), curve.factors.to(device))
                for curve in (getattr(self, name) for name in _WAYS)
            )
        )

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, as they are saved."""
        return {
            f"seen.{name}.{part}": value
            for name in _WAYS
            for part, value in vars(getattr(self, name)).items()
        }

    @classmethod
    def of(cls, saved: dict[str, Tensor], horizon: int) -> "Seen | None":
        """From saved tensors; None of a model saved without. Raises RuntimeError if damaged."""
        if not any(key.startswith("seen.") for key in saved):
            return None
        curves = []
        for name in _WAYS:
            knots, factors = (saved[f"seen.{name}.{part}"] for part in ("knots", "factors"))
            if knots.ndim != 1 or len(knots) < 2 or factors.shape != (len(knots), horizon):
                raise RuntimeError("factors of holed histories of another shape")
            if not (knots.isfinite().all() and factors.isfinite().all()):
                raise RuntimeError("a factor of holed histories is not finite")
            if (knots.diff() <= 0).any() or (factors < 1).any():
                raise RuntimeError("factors of holed histories that are none")
            curves.append(Curve(knots, factors))
        return cls(*curves)


def _described(observed: Float[Tensor, "B K L"]) -> tuple[Float[Tensor, "B K"], ...]:
    """Length, share missing and age of histories, as in ``Seen``; without a value all is length."""
    length = observed.shape[2]
    steps = torch.arange(length, device=observed.device)
    any_value = observed.amax(2) > 0
    first = torch.where(observed > 0, steps, length).amin(2)
    newest = torch.where(observed > 0, steps, -1).amax(2)
    weights = ((steps - length) / (_RECENT * length)).exp()
    span = (steps >= first[..., None]) & (steps <= newest[..., None])
    share = 1 - (observed * weights).sum(2) / (span * weights).sum(2)
    share = torch.where(any_value, share, 0.0)
    age = torch.where(any_value, length - 1 - newest, 0)
    return -(length - first).float().log1p(), share, age.float().log1p()


@torch.no_grad()
def measured(model: Forecaster, problem: Problem, settings: TrainerConfig) -> Seen:
    """The factors of a model's errors on validation windows."""
    windows, data = problem.windows("validation"), problem.config
    most = _DRAWN_WINDOWS if model.draws_centre else _WINDOWS
    each = problem.channels * (data.lookback + data.horizon)
    numbers = evenly_spaced(len(windows), max(min(most, _NUMBERS // each), 2))
    generator = torch.Generator().manual_seed(settings.seed)
    batches = [
        _Windows(
            batch.to(model.device),
            window_seeds(problem, windows, batch.index, settings.seed),
            torch.rand(batch.past.shape, generator=generator).to(model.device),
        )
        for batch in loader_of(windows, numbers, 64)
    ]
    trial = _Trial(model, batches, problem.seasons)
    length, seasons = data.lookback, [s for s in problem.seasons if 1 < s <= data.lookback]
    steps = torch.arange(length, device=model.device)
    kept = _halves(length) | {each for s in seasons for each in (s, s - 1)}
    ages = {0} | _halves(length // 2) | {s for s in seasons if s <= length // 2}
    return Seen(
        trial.curve(0, [_last(steps, n) for n in sorted(kept | {0, length}, reverse=True)]),
        trial.curve(1, [_here_and_there(share) for share in _SHARES]),
        trial.curve(2, [_until(steps, length - n) for n in sorted(ages - {length})]),
    )


def _last(steps: Int[Tensor, " L"], count: int) -> _Pattern:
    return lambda chances: steps >= len(steps) - count


def _until(steps: Int[Tensor, " L"], end: int) -> _Pattern:
    return lambda chances: steps < end


def _here_and_there(share: float) -> _Pattern:
    return lambda chances: chances >= share


def _halves(length: int) -> set[int]:
    """The length, its half, and so on down to 1."""
    return {length >> i for i in range(length.bit_length())}


@dataclass(frozen=True)
class _Windows:
    """Windows, a seed for each, and numbers (B, K, L) from 0 to 1 by which values are taken."""

    batch: Batch
    seeds: Sequence[int]
    chances: Float[Tensor, "B K L"]


@dataclass(frozen=True)
class _Trial:
    """A model, and validation windows of which values are taken away."""

    model: Forecaster
    batches: Sequence[_Windows]
    seasons: Sequence[int]

    def curve(self, way: int, patterns: Sequence[_Pattern]) -> Curve:
        """The factors along one way; ``patterns``: what remains, all with the first."""
        knots, sizes = zip(*(self._errors(way, pattern) for pattern in patterns), strict=True)
        errors = torch.stack(sizes)  # (n, K, H)
        units = errors[0].nanmean(1, keepdim=True).clamp(min=_EXACT)
        smooth = _smoothed((errors / units).nanmean(1).nan_to_num(1.0)).clamp(min=_EXACT)
        factors = (smooth / smooth[0]).cummax(0).values.clamp(1, _LARGEST)
        return _ascending(torch.stack(knots).cpu(), factors.cpu())

    def _errors(self, way: int, pattern: _Pattern) -> tuple[Tensor, Tensor]:
        """The mean place of the histories along the way, and their mean errors (K, H)."""
        errors, places = [], []
        for windows in self.batches:
            batch = windows.batch
            observed = batch.observed * pattern(windows.chances).to(batch.observed)
            past, mask = fill(batch.past * observed, observed, self.seasons)
            holed = replace(batch, past=past, past_mask=mask, seen=observed)
            point = self.model.centred(holed, Draws(_PATHS, list(windows.seeds))).point
            missed = (point - batch.future).abs()
            errors.append(torch.where(batch.future_mask > 0, missed, torch.nan))
            places.append(_described(observed)[way])
        return torch.cat(places).mean(), torch.cat(errors).nanmean(0)


def _smoothed(errors: Float[Tensor, "n H"]) -> Float[Tensor, "n H"]:
    """A centred moving average over the lead times, of fewer at the ends."""
    half = round(_SMOOTHED * errors.shape[1] / 2)
    window = torch.ones(1, 1, 2 * half + 1).to(errors)
    totals, counts = (
        torch.nn.functional.conv1d(each[:, None], window, padding=half)[:, 0]
        for each in (errors, torch.ones_like(errors))
    )
    return totals / counts


def _ascending(knots: Float[Tensor, " n"], factors: Float[Tensor, "n H"]) -> Curve:
    """A curve of the knots that lie beyond all before, with the last factors up to the next."""
    knots = knots.cummax(0).values
    last = torch.cat([knots.diff() > 0, torch.tensor([True])])
    knots, factors = knots[last], factors[last]
    if len(knots) == 1:
        return Curve(torch.stack([knots[0], knots[0] + 1]), factors.repeat(2, 1))
    return Curve(knots, factors)


class Widened(Forecaster):
    """A model, its samples or quantiles as far from its forecast as the history makes them."""

    def __init__(self, model: Forecaster, seen: Seen) -> None:
        super().__init__()
        self.model, self.seen = model, seen
        self.distribution, self.centre = model.distribution, model.centre

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.predict(batch, steps)

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        return self._widened(self.model.centred(batch, draws), batch)

    def outlook(self, batch: Batch, draws: Draws, levels: Sequence[float]) -> Outlook:
        return self._widened(self.model.outlook(batch, draws, levels), batch)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        outlook = replace(self.model.centred(batch, draws), paths=self.model.sample(batch, draws))
        paths = self._widened(outlook, batch).paths
        assert paths is not None
        return paths

    def check_steps(self, steps: int | None) -> None:
        self.model.check_steps(steps)

    def has_spread(self, steps: int | None) -> bool:
        return self.model.has_spread(steps)

    def _widened(self, outlook: Outlook, batch: Batch) -> Outlook:
        if bool((batch.observed > 0).all()):
            return outlook
        point = outlook.point
        factors = self.seen.to(point.device).factors(batch.observed)

        def wider(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            return point[:, None] + factors[:, None] * (values - point[:, None])

        mean = point + factors * (outlook.mean - point)
        return Outlook(mean, outlook.median, wider(outlook.paths), wider(outlook.quantiles))
