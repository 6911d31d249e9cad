"""Intervals of a forecast from a short or holed history: how much larger its errors are.

They are measured on validation windows of which values were taken away in three ways: the oldest,
the newest, and some here and there. Each way has its factor, 1 for a history as complete as those
of validation, and a history has the product of its three. What a model's own samples or quantiles
do by themselves, as they may be narrower around a history that is mostly estimated, is measured
alike, and made good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from forecaster.config.schema import TrainerConfig
from forecaster.data.holes import fill
from forecaster.data.problem import Problem
from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import Batch, evenly_spaced, loader_of
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Forecaster
from forecaster.models.outlook import Outlook
from forecaster.models.seeds import window_seeds

# the largest number of windows, of those whose forecast is drawn, and of numbers in them
_WINDOWS, _DRAWN_WINDOWS, _NUMBERS = 256, 4, 2**24
# that of windows that a model is fitted to anew
_FITTED_WINDOWS = 4
# the most network calls of a forecast that is made for so many; of more there are fewer windows
_CALLS = 5
# sample paths, those of a forecast that is drawn, and the windows in which their width is measured,
# the fewest of a wide table
_PATHS, _DRAWN_PATHS, _WIDTH_WINDOWS, _FEWEST_WIDTHS = 20, 10, 16, 2
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
    """Factors (n, H) by lead time at ``knots`` (n,), ascending; linear between them.

    ``factors``: of the errors, ``widths``: of the model's own samples or quantiles.
    """

    knots: Float[Tensor, " n"]
    factors: Float[Tensor, "n H"]
    widths: Float[Tensor, "n H"]

    def at(self, x: Float[Tensor, "B K"]) -> Float[Tensor, "B K H"]:
        """The factors of the errors at x, beyond the knots those of the last."""
        return self._between(self.factors, x)

    def width_at(self, x: Float[Tensor, "B K"]) -> Float[Tensor, "B K H"]:
        """Those of the widths."""
        return self._between(self.widths, x)

    def _between(
        self, values: Float[Tensor, "n H"], x: Float[Tensor, "B K"]
    ) -> Float[Tensor, "B K H"]:
        right = torch.searchsorted(self.knots, x.contiguous()).clamp(1, len(self.knots) - 1)
        left, here = self.knots[right - 1], self.knots[right]
        share = ((x - left) / (here - left)).clamp(0, 1)[..., None]
        return values[right - 1] * (1 - share) + values[right] * share


@dataclass(frozen=True)
class Seen:
    """The factors by ``length`` of the history, ``share`` missing of it, and ``age`` of its end.

    ``length``, from the oldest value to the newest, and ``age`` are logarithms of 1 plus a number
    of steps, the length's negative, so that factors rise along each. The share is that between the
    two values, of which the newer ones count for more.
    """

    length: Curve
    share: Curve
    age: Curve

    def factors(self, observed: Float[Tensor, "B K L"]) -> Float[Tensor, "B K H"]:
        """How much larger errors are than those of the validation's histories."""
        places = _described(observed)
        return self.length.at(places[0]) * self.share.at(places[1]) * self.age.at(places[2])

    def own_factors(self, observed: Float[Tensor, "B K L"]) -> Float[Tensor, "B K H"]:
        """By how much the model's own samples or quantiles are too narrow for that."""
        length, share, age = _described(observed)
        widths = self.length.width_at(length) * self.share.width_at(share) * self.age.width_at(age)
        return (self.factors(observed) / widths).clamp(min=1)

    def to(self, device: torch.device | str) -> "Seen":
        """The same on another device."""
        return Seen(
            *(
                Curve(*(tensor.to(device) for tensor in vars(getattr(self, name)).values()))
                for name in _WAYS
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
            parts = ("knots", "factors", "widths")
            knots, factors, widths = (saved[f"seen.{name}.{part}"] for part in parts)
            sizes = (len(knots), horizon)
            if knots.ndim != 1 or len(knots) < 2 or not factors.shape == widths.shape == sizes:
                raise RuntimeError("factors of holed histories of another shape")
            if not all(bool(each.isfinite().all()) for each in (knots, factors, widths)):
                raise RuntimeError("a factor of holed histories is not finite")
            if (knots.diff() <= 0).any() or (factors < 1).any() or (widths <= 0).any():
                raise RuntimeError("factors of holed histories that are none")
            curves.append(Curve(knots, factors, widths))
        return cls(*curves)


def _described(observed: Float[Tensor, "B K L"]) -> tuple[Float[Tensor, "B K"], ...]:
    """Length, share missing and age of histories, as in ``Seen``; of no value the length is 0."""
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
    covered = torch.where(any_value, newest - first + 1, 0)
    return -covered.float().log1p(), share, age.float().log1p()


@torch.no_grad()
def measured(model: Forecaster, problem: Problem, settings: TrainerConfig) -> Seen:
    """The factors of a model's errors on validation windows."""
    model = model.measured_by
    windows, data = problem.windows("validation"), problem.config
    slow = max(model.calls // _CALLS, 1)
    many = max(_WINDOWS // slow, _DRAWN_WINDOWS)
    most = min(_DRAWN_WINDOWS, settings.score_windows) if model.draws_centre else many
    most = min(most, _FITTED_WINDOWS) if model.fits_histories else most
    each = problem.channels * (data.lookback + data.horizon)
    numbers = evenly_spaced(len(windows), max(min(most, _NUMBERS // each), 1))
    generator = torch.Generator().manual_seed(settings.seed)

    def cut(numbers: Int[Tensor, " n"]) -> list[_Windows]:
        return [
            _Windows(
                batch.to(model.device),
                window_seeds(problem, windows, batch.index, settings.seed),
                torch.rand(batch.past.shape, generator=generator).to(model.device),
            )
            for batch in loader_of(windows, numbers, 64)
        ]

    width_windows = of_a_wide_table(_WIDTH_WINDOWS, problem.channels, _FEWEST_WIDTHS)
    width_windows = max(width_windows // slow, _FEWEST_WIDTHS)
    few = evenly_spaced(len(windows), min(len(numbers), width_windows))
    trial = _Trial(model, cut(numbers), cut(few), problem.seasons)
    length, seasons = data.lookback, [s for s in problem.seasons if 1 < s <= data.lookback]
    steps = torch.arange(length, device=model.device)
    kept = _halves(length) | {each for s in seasons for each in (s, s - 1)}
    half = length // 2
    ages = {0} | _halves(half) | {s for s in seasons if s <= half} | {half + half // 2, length - 1}
    by_length = trial.curve(
        0, [_last(steps, n) for n in sorted(kept | {0, length}, reverse=True)], {}
    )
    by_age = trial.curve(
        2, [_until(steps, length - n) for n in sorted(ages - {length})], {0: by_length}
    )
    shares = [_here_and_there(share) for share in _SHARES]
    return Seen(by_length, trial.curve(1, shares, {0: by_length, 2: by_age}), by_age)


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
    few: Sequence[_Windows]
    seasons: Sequence[int]

    def curve(self, way: int, patterns: Sequence[_Pattern], known: Mapping[int, Curve]) -> Curve:
        """The factors along one way; ``patterns``: what remains, all with the first.

        ``known``: the curves of ways that the patterns take values away in, too, by number.
        """
        knots, errors, widths = [], [], []
        for pattern in patterns:
            found, places = self._mean(self.batches, pattern, self._errors)
            own, few = self._mean(self.few, pattern, self._widths)
            for other, curve in known.items():
                found = found / curve.at(places[other].cpu()).mean((0, 1)).to(found)
                own = own / curve.width_at(few[other].cpu()).mean((0, 1)).to(own)
            knots.append(places[way].mean())
            errors.append(found)
            widths.append(own)
        factors = _ratios(torch.stack(errors)).cummax(0).values.clamp(1, _LARGEST)
        own = _ratios(torch.stack(widths)).clamp(1 / _LARGEST, _LARGEST)
        return _ascending(torch.stack(knots).cpu(), factors.cpu(), own.cpu())

    def _mean(
        self,
        windows: Sequence[_Windows],
        pattern: _Pattern,
        measure: Callable[[Batch, Draws], Tensor],
    ) -> tuple[Float[Tensor, "K H"], tuple[Float[Tensor, "B K"], ...]]:
        """The mean of a measure (B, K, H), and the places of the histories along the ways."""
        found, places = [], []
        for each in windows:
            batch = each.batch
            observed = batch.observed * pattern(each.chances).to(batch.observed)
            past, mask = fill(batch.past * observed, observed, self.seasons)
            holed = replace(batch, past=past, past_mask=mask, seen=observed)
            count = _DRAWN_PATHS if self.model.draws_centre else _PATHS
            found.append(measure(holed, Draws(count, list(each.seeds))))
            places.append(_described(observed))
        return torch.cat(found).nanmean(0), tuple(map(torch.cat, zip(*places, strict=True)))

    def _errors(self, batch: Batch, draws: Draws) -> Float[Tensor, "B K H"]:
        missed = (self.model.centred(batch, draws).point - batch.future).abs()
        return torch.where(batch.future_mask > 0, missed, torch.nan)

    def _widths(self, batch: Batch, draws: Draws) -> Float[Tensor, "B K H"]:
        """How far the model's own samples or quantiles are apart.

        It is 1 of a point forecast, and of one that is drawn, for which it would take too long.
        """
        if self.model.distribution == "quantiles":
            low, high = self.model.quantiles(batch, [0.05, 0.95]).unbind(1)
            return high - low
        if self.model.distribution == "samples" and not self.model.draws_centre:
            paths = self.model.sample(batch, draws)
            return (paths - paths.mean(1, keepdim=True)).abs().mean(1)
        return torch.ones_like(batch.future)


def _ratios(sizes: Float[Tensor, "n K H"]) -> Float[Tensor, "n H"]:
    """Mean sizes of all channels in those of the first row, over neighbouring lead times."""
    units = sizes[0].nanmean(1, keepdim=True).clamp(min=_EXACT)
    smooth = _smoothed((sizes / units).nanmean(1).nan_to_num(1.0)).clamp(min=_EXACT)
    return smooth / smooth[0]


def _smoothed(errors: Float[Tensor, "n H"]) -> Float[Tensor, "n H"]:
    """A centred moving average over the lead times, of fewer at the ends."""
    half = round(_SMOOTHED * errors.shape[1] / 2)
    window = torch.ones(1, 1, 2 * half + 1).to(errors)
    totals, counts = (
        torch.nn.functional.conv1d(each[:, None], window, padding=half)[:, 0]
        for each in (errors, torch.ones_like(errors))
    )
    return totals / counts


def _ascending(
    knots: Float[Tensor, " n"], factors: Float[Tensor, "n H"], widths: Float[Tensor, "n H"]
) -> Curve:
    """A curve of the knots that lie beyond all before, with the last factors up to the next."""
    knots = knots.cummax(0).values
    last = torch.cat([knots.diff() > 0, torch.tensor([True])])
    knots, factors, widths = knots[last], factors[last], widths[last]
    if len(knots) == 1:
        return Curve(
            torch.stack([knots[0], knots[0] + 1]), factors.repeat(2, 1), widths.repeat(2, 1)
        )
    return Curve(knots, factors, widths)


def _is_whole(batch: Batch) -> bool:
    return bool((batch.observed > 0).all())


class Widened(Forecaster):
    """A model, its samples or quantiles as far from its forecast as the history makes them.

    ``own``: whether they are those of the model that was measured, and not made of its errors.
    """

    def __init__(self, model: Forecaster, seen: Seen, own: bool) -> None:
        super().__init__()
        self.model, self.seen, self.own = model, seen, own
        self.distribution, self.centre = model.distribution, model.centre

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.predict(batch, steps)

    def centred(self, batch: Batch, draws: Draws) -> Outlook:
        return self._widened(self.model.centred(batch, draws), batch)

    def outlook(self, batch: Batch, draws: Draws, levels: Sequence[float]) -> Outlook:
        return self._widened(self.model.outlook(batch, draws, levels), batch)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        paths = self.model.sample(batch, draws)
        if _is_whole(batch):
            return paths
        outlook = replace(self.model.centred(batch, draws), paths=paths)
        wider = self._widened(outlook, batch).paths
        assert wider is not None
        return wider

    def check_steps(self, steps: int | None) -> None:
        self.model.check_steps(steps)

    def has_spread(self, steps: int | None) -> bool:
        return self.model.has_spread(steps)

    def _widened(self, outlook: Outlook, batch: Batch) -> Outlook:
        if _is_whole(batch):
            return outlook
        point = outlook.point
        seen = self.seen.to(point.device)
        factors = (seen.own_factors if self.own else seen.factors)(batch.observed)
        whole = (factors == 1)[:, None]

        def wider(values: Tensor | None) -> Tensor | None:
            if values is None:
                return None
            moved = point[:, None] + factors[:, None] * (values - point[:, None])
            return torch.where(whole, values, moved)

        mean = torch.where(factors == 1, outlook.mean, point + factors * (outlook.mean - point))
        return Outlook(mean, outlook.median, wider(outlook.paths), wider(outlook.quantiles))
