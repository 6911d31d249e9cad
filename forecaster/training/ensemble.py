"""The training of an ensemble: each candidate by itself, and the weights that validation gives.

A candidate is trained as if it were the only model, in its share of the time. Sample paths of all
on the same validation windows give the weights (``models.mixture``); who has none is left out. If
these windows are so few that they would be chance, the candidates are trained on half of the rows,
weighed on more windows, and who has a weight is trained again. An interrupted training goes on with
the candidate, and the epoch, that it had reached.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.problem import Problem, scaled_problem
from forecaster.data.splits import PARTS
from forecaster.data.windows import evenly_spaced, loader_of
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.ensemble import (
    Ensemble,
    EnsembleConfig,
    Member,
    member_seeds,
    member_weights,
)
from forecaster.models.held_out import HeldOut, errors_after, held_out_errors
from forecaster.models.mixture import Terms, greedy_weights, terms_of
from forecaster.models.residual_paths import FEWEST, with_paths
from forecaster.models.seeds import window_seeds
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.limit import Limit, in_words
from forecaster.training.progress import Monitor
from forecaster.training.refit import NAME, Refitted, refit
from forecaster.training.stages import TERMINAL, EpochMetrics, OutOfTimeError, stages_of

# the validation windows that the candidates are weighed on, and of which their errors are kept
_WINDOWS, _SAMPLES = 128, 100
# the largest number of values in the sample paths of a candidate
_NUMBERS = 2**24
# the share of a candidate's time for its training; the rest is for its forecasts of those windows
_TRAINING = 0.75
# the fewest horizons in the validation rows of all series that give weights, the share of the rows
# that is learnt from where there are fewer, and that of the time until the weights are known then
_HORIZONS, _EARLY, _EARLY_TIME = 5, 0.5, 0.5
# the share of the time of a model that is fitted to each history, in that of a stage of a training
_FITTING = 3
# the windows whose time tells whether a model that is fitted to each is fast enough
_TRIED = 2


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard: the CRPS of a candidate by itself on validation, in z-scores.

    ``weight``: in the ensemble; ``seconds``: of training and forecasts; ``fault``: why it was left
    out: it could not be trained, or not on the rows up to the validation rows.
    """

    name: str
    crps: float | None
    weight: float
    seconds: float
    fault: str | None = None


@dataclass(frozen=True)
class Trained:
    """A trained model with the configuration that builds it; ``stopped``: see ``fit``.

    ``leaderboard``: of an ensemble's candidates, the best first; ``crps``: of the ensemble.
    """

    config: Config
    model: Forecaster
    stopped: tuple[str, ...]
    leaderboard: tuple[Row, ...] = ()
    crps: float | None = None


@dataclass(frozen=True)
class _Candidate:
    """A trained candidate, and its errors on validation windows."""

    member: Member
    model: Forecaster
    errors: HeldOut
    seconds: float
    stopped: tuple[str, ...]


def train_model(
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
    model: Forecaster | None = None,
) -> Trained:
    """Train the configured model, from the weights of ``model`` if it is given; see ``fit``."""
    if isinstance(config.model, EnsembleConfig):
        return _train_ensemble(config, problem, folder, report, progress, limit)
    if model is None:
        model = new_model(config, problem)
    windows = window_data(config, problem)
    stopped = fit(model, windows, config.trainer, folder, report, progress, limit)
    return Trained(config, model, tuple(stopped))


def of_member(config: Config, problem: Problem, member: Member) -> tuple[Config, Problem]:
    """The configuration and problem of a member by itself."""
    data = problem.config.model_copy(
        update={"lookback": member.lookback or problem.config.lookback}
    )
    alone = Config(title=member.name, data=data, model=member.model, trainer=member.trainer)
    return alone, replace(problem, config=data)


def refit_model(
    held_out: Forecaster,
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
) -> Refitted:
    """Train on all rows what was trained with ``train_model``; see ``refit``."""
    if not isinstance(held_out, Ensemble):
        return refit(held_out, config, problem, folder, report, progress, limit)
    ensemble = new_model(config, problem)
    assert isinstance(ensemble, Ensemble)
    before, steps, stopped = list[int](), list[int](), list[str]()
    for place, member in enumerate(_members(config)):
        alone, own = of_member(config, problem, member)
        model, errors = held_out.member(place), held_out.errors[place]
        if model.learns:  # of another one the errors remain what they are
            tell = _reporter(member.name, report)
            name = f"{NAME}{member.name}, "
            found = refit(model, alone, own, folder / member.name, tell, progress, limit, name)
            model = found.model
            before += found.held_out_steps
            steps += found.steps
            stopped += found.stopped
            if stopped:
                break
            # those of an earlier split stand before
            count = min(own.count_windows("validation"), _WINDOWS)
            errors = errors_after(errors.last(count), model, own, _settings(alone.trainer))
        ensemble.put(place, model, errors, problem_shape(own))
    return Refitted(ensemble, tuple(before), tuple(steps), tuple(stopped))


def _members(config: Config) -> tuple[Member, ...]:
    assert isinstance(config.model, EnsembleConfig)
    return config.model.members


@dataclass(frozen=True)
class _Course:
    """The training of candidates, one after the other, on one split of the rows.

    ``name``: before the members' in the progress, and as a folder in the names of losses.
    ``before``: errors of the members on an earlier split, which count, too.
    """

    config: Config
    problem: Problem
    folder: Path
    report: EpochMetrics | None
    progress: Monitor
    limit: Limit | None
    name: str = ""
    before: Mapping[str, HeldOut] = field(default_factory=dict)

    def train(self, members: Sequence[Member], rows: list[Row]) -> list[_Candidate]:
        """The candidates that could be trained; of the others a row is added to ``rows``."""
        found = list[_Candidate]()
        left = [_effort(*of_member(self.config, self.problem, member)) for member in members]
        for place, member in enumerate(members):
            share = self.limit and self.limit.share(left[place] / sum(left[place:]))
            started = time.monotonic()
            try:
                found.append(self._trained(member, share))
            except OutOfTimeError:
                raise
            except UserError as error:
                rows.append(Row(member.name, None, 0.0, time.monotonic() - started, str(error)))
                self.progress.say(f"candidate {member.name}: left out: {error}")
        if not found:
            raise UserError(
                f"no candidate could be trained ({rows[0].name}: {rows[0].fault}); train one by "
                "itself"
            )
        return found

    def _trained(self, member: Member, limit: Limit | None) -> _Candidate:
        started = time.monotonic()
        alone, own = of_member(self.config, self.problem, member)
        model = new_model(alone, own)
        name = ", ".join(filter(None, (self.name, member.name)))
        if model.draws_centre:
            raise UserError("its point forecast is a median of samples, which has no mean to mix")
        stopped = fit(
            model,
            window_data(alone, own),
            alone.trainer,
            self.folder / member.name,
            _reporter("/".join(filter(None, (self.name, member.name))), self.report),
            self.progress,
            None if limit is None else limit.share(_TRAINING),
            f"{name}, ",
        )
        if limit is not None and not limit.suspends and model.fits_histories:
            _check_pace(model, own, limit)
        settings = _settings(alone.trainer)
        few = not model.learns and own.count_windows("validation") < _WINDOWS
        parts = PARTS[:2] if few else PARTS[1:2]
        errors = HeldOut.joined([held_out_errors(model, own, settings, part) for part in parts])
        if member.name in self.before:
            errors = HeldOut.joined([self.before[member.name], errors])
        if model.distribution != "samples" and len(errors.errors) < FEWEST:
            raise UserError("too few validation windows for a distribution of its errors")
        seconds = time.monotonic() - started
        self.progress.say(f"candidate {name}: trained in {in_words(seconds)}")
        return _Candidate(member, model, errors, seconds, tuple(stopped))

    def weighed(self, candidates: Sequence[_Candidate]) -> tuple[list[float], Terms]:
        """The weights of the candidates, and the terms of their CRPS on validation windows."""
        values = _SAMPLES * self.problem.channels * self.problem.config.horizon
        windows = self.problem.windows("validation")
        numbers = evenly_spaced(len(windows), max(min(_WINDOWS, _NUMBERS // values), 1))
        batches = list(loader_of(windows, numbers, 256))
        future, mask = (
            torch.cat([getattr(batch, name) for batch in batches])
            for name in ("future", "future_mask")
        )
        if not mask.any():
            raise UserError(
                f"{self.problem.table.path}: the validation rows hold no value to weigh candidates "
                "on; see check"
            )
        paths = []
        for place, each in enumerate(candidates):
            alone, own = of_member(self.config, self.problem, each.member)
            model = with_paths(each.model, each.errors, problem_shape(own)).to(each.model.device)
            paths.append(_paths(model, own, numbers, alone.trainer.seed, place))
        terms = terms_of(paths, future, mask)
        return greedy_weights(terms).tolist(), terms


def _train_ensemble(
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
    limit: Limit | None,
) -> Trained:
    rows = list[Row]()
    course = _Course(config, problem, folder, report, progress, limit)
    if (early := earlier(config, problem)) is None:
        found = course.train(_members(config), rows)
        weights, terms = course.weighed(found)
    else:
        until = None if limit is None else limit.share(_EARLY_TIME)
        first = replace(course, problem=early, folder=folder / "early", limit=until, name="early")
        found = first.train(_members(config), rows)
        weights, terms = first.weighed(found)
    rows += [
        Row(each.member.name, crps, weight, each.seconds)
        for each, crps, weight in zip(found, terms.alone, weights, strict=True)
    ]
    rows.sort(key=lambda row: (row.crps is None, row.crps))
    weighed = [each.member.name for each in found]
    weight_of = {row.name: row.weight for row in rows}
    if early is not None:
        errors = {each.member.name: each.errors for each in found}
        chosen = [each.member for each in found if weight_of[each.member.name]]
        lost = list[Row]()
        found = replace(course, before=errors).train(chosen, lost)
        faults = {row.name: row.fault for row in lost}
        rest = sum(weight for name, weight in weight_of.items() if name not in faults)
        rows = [
            replace(row, weight=0.0, fault=faults[row.name])
            if row.name in faults
            else replace(row, weight=row.weight / rest)
            for row in rows
        ]
        weight_of = {row.name: row.weight for row in rows}
    kept = [each for each in found if weight_of[each.member.name]]
    members = tuple(
        each.member.model_copy(update={"weight": weight_of[each.member.name]}) for each in kept
    )
    section = config.model.model_copy(update={"members": members})
    lookback = max(member.lookback or problem.config.lookback for member in members)
    data = problem.config.model_copy(update={"lookback": lookback})
    config, problem = (
        config.model_copy(update={"model": section, "data": data}),
        replace(problem, config=data),
    )
    ensemble = new_model(config, problem)
    assert isinstance(ensemble, Ensemble)
    for place, each in enumerate(kept):
        _, own = of_member(config, problem, each.member)
        ensemble.put(place, each.model, each.errors, problem_shape(own))
    shown = ", ".join(f"{name} {weight:.2f}" for name, weight in member_weights(members).items())
    progress.say(f"ensemble: {shown}")
    stopped = tuple(text for each in kept for text in each.stopped)
    shares = [weight_of[name] for name in weighed]
    crps = terms.crps(torch.tensor(shares, dtype=torch.float64))
    return Trained(config, ensemble.eval(), stopped, tuple(rows), crps)


def earlier(config: Config, problem: Problem) -> Problem | None:
    """The problem of learning from the first half of the rows, with all up to the test rows for
    validation; None where the validation rows are enough, or a half is not.
    """
    horizon, borders = problem.config.horizon, problem.borders
    held = sum((border.validation - border.train) // horizon for border in borders)
    if problem.config.dataset is not None or held >= _HORIZONS:
        return None
    lookbacks = [member.lookback or problem.config.lookback for member in _members(config)]
    needed = min(lookbacks) + 2 * horizon
    early = [
        replace(border, train=min(border.train, max(int(_EARLY * border.test), needed)))
        for border in borders
    ]
    if all(new.train == old.train for new, old in zip(early, borders, strict=True)):
        return None
    for series, border in zip(problem.table.series, early, strict=True):
        rows = series.values[: border.train]
        spans = np.nanmax(np.where(np.isnan(rows), -np.inf, rows), 0) - np.nanmin(
            np.where(np.isnan(rows), np.inf, rows), 0
        )
        if not (spans > 0).all():  # a column without a value, or with one only
            return None
    return scaled_problem(problem.config, problem.table, early, encoding=problem.encoding)


def _effort(config: Config, problem: Problem) -> int:
    """A candidate's share of a limit of time, in that of all."""
    model = new_model(config, problem)
    weight = sum(stage.weight for stage in stages_of(model, config.trainer, Path()))
    return max(weight, _FITTING if model.fits_histories else 1)


def _check_pace(model: Forecaster, problem: Problem, limit: Limit) -> None:
    """Raise UserError if there is not enough time to fit the model to all windows."""
    windows, started = problem.windows("validation"), limit.clock()
    tried = evenly_spaced(len(windows), _TRIED)
    for batch in loader_of(windows, tried, 1):
        model.predict(batch.to(model.device))
    pace = (limit.clock() - started) / len(tried)
    train, validation = (min(problem.count_windows(part), _WINDOWS) for part in PARTS[:2])
    counts = validation if validation == _WINDOWS else validation + train
    if pace * counts > limit.left():
        raise UserError(f"too slow: {in_words(pace * counts)} for {counts} windows")


def _settings(settings: TrainerConfig) -> TrainerConfig:
    """The settings by which a member's errors are kept."""
    return settings.model_copy(update={"point_windows": _WINDOWS, "score_windows": _WINDOWS})


@torch.no_grad()
def _paths(
    model: Forecaster, problem: Problem, numbers: Int[Tensor, " n"], seed: int, place: int
) -> Float[Tensor, "B S K H"]:
    """Sample paths on validation windows, on the CPU, independent of those of other places."""
    windows, found = problem.windows("validation"), []
    model.eval()
    for cpu_batch in loader_of(windows, numbers, 16):
        seeds = member_seeds(window_seeds(problem, windows, cpu_batch.index, seed), place)
        found.append(model.sample(cpu_batch.to(model.device), Draws(_SAMPLES, seeds)).cpu())
    return torch.cat(found)


def _reporter(name: str, report: EpochMetrics | None) -> EpochMetrics | None:
    """Passes losses on with the member's name before theirs."""
    if report is None:
        return None
    tell = report

    def send(losses: Mapping[str, float], epoch: int) -> None:
        tell({f"{name}/{key}": value for key, value in losses.items()}, epoch)

    return send
