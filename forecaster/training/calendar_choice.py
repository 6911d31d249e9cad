"""Whether the features that ``--calendar auto`` finds are kept: as the error on validation says.

The model is trained with them and without. Of one that begins with a prior only the prior is, and
of one whose point forecast takes the whole training nothing: it keeps them.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from forecaster.config.schema import Config
from forecaster.data.encoding import NO_CALENDAR
from forecaster.data.problem import Problem
from forecaster.models.adjusted import uses_covariates
from forecaster.models.ensemble import EnsembleConfig
from forecaster.models.selected import mean_errors
from forecaster.training.ensemble import of_member
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.limit import Limit
from forecaster.training.progress import Monitor
from forecaster.training.stages import TERMINAL, EpochMetrics, stages_of

_KEPT = 0.99  # the error with it, as a share of that without, below which it is kept


@dataclass(frozen=True)
class Chosen:
    """The configuration, problem and checkpoints with which the training goes on.

    ``words``: a line about the choice, if there was one.
    """

    config: Config
    problem: Problem
    folder: Path
    words: str | None = None


def choose_calendar(
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
) -> Chosen:
    """Train with the calendar and without, if it is to be found, and keep what is better.

    It is better if the mean absolute error of the point forecast on validation windows is more than
    1 % lower. What is trained is in ``Chosen.folder``, for ``fit`` to go on from. ``report``
    gets all losses, named ``with_calendar/…``, and then those of the choice by their own names.
    """
    if isinstance(config.model, EnsembleConfig):
        return _for_members(config, problem, folder, report, progress, limit)
    chosen, model = Chosen(config, problem, folder), new_model(config, problem)
    groups = () if problem.encoding is None else problem.encoding.calendar.groups
    deciding = model.point_model
    asked = config.data.calendar == "auto" and bool(groups)
    if not asked or deciding is None or not uses_covariates(model):
        return chosen
    stages = stages_of(model, config.trainer, folder)
    count = 1 + [stage.model for stage in stages].index(deciding)
    weight, whole = (sum(stage.weight for stage in each) for each in (stages[:count], stages))
    if not weight:
        whole = weight = 1
    problems = {"without": _with(problem, ()), "with": _with(problem, groups)}
    errors, losses = dict[str, float](), dict[str, _Losses]()
    for place, (kind, each) in enumerate(problems.items()):
        share = None if limit is None else limit.share(weight / (whole + weight * (1 - place)))
        settings, losses[kind] = config.model_copy(update={"data": each.config}), _Losses()
        tell = losses[kind].teller(f"{kind}_calendar", report)
        model, data = new_model(settings, each), window_data(settings, each)
        name = f"{kind} calendar, "
        fit(model, data, config.trainer, folder / kind, tell, progress, share, name, count)
        deciding = [*model.stages(), model][count - 1]
        errors[kind] = float(mean_errors([deciding], each.windows("validation"))[0])
    best = "with" if errors["with"] < _KEPT * errors["without"] else "without"
    if report is not None:
        for values, epoch in losses[best]:
            report(values, epoch)
    words = (
        f"calendar {'kept' if best == 'with' else 'left out'}, by its error on validation "
        f"({errors['without']:.4g} without, {errors['with']:.4g} with {', '.join(groups)})"
    )
    found = problems[best]
    return Chosen(config.model_copy(update={"data": found.config}), found, folder / best, words)


def _for_members(
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
    limit: Limit | None,
) -> Chosen:
    """The choice of the first member that makes one, for all of them."""
    assert isinstance(config.model, EnsembleConfig)
    effort = len(config.model.members)
    for member in config.model.members:
        alone, own = of_member(config, problem, member)
        share = None if limit is None else limit.share(1 / effort)
        found = choose_calendar(alone, own, folder / "calendar", report, progress, share)
        if found.words is not None:
            data = problem.config.model_copy(update={"calendar": found.config.data.calendar})
            chosen = replace(problem, config=data, encoding=found.problem.encoding)
            return Chosen(config.model_copy(update={"data": data}), chosen, folder, found.words)
    return Chosen(config, problem, folder)


class _Losses(list[tuple[dict[str, float], int]]):
    """The losses of each epoch."""

    def teller(self, prefix: str, report: EpochMetrics | None) -> EpochMetrics:
        """Keeps losses, and passes them on with a prefix."""

        def tell(values: dict[str, float], epoch: int) -> None:
            self.append((values, epoch))
            if report is not None:
                report({f"{prefix}/{name}": value for name, value in values.items()}, epoch)

        return tell


def _with(problem: Problem, groups: tuple[str, ...]) -> Problem:
    """The problem with these features of the calendar, by name."""
    encoding = problem.encoding
    assert encoding is not None
    calendar = replace(encoding.calendar, groups=groups)
    encoding = replace(encoding, calendar=calendar if calendar else NO_CALENDAR)
    named = problem.config.model_copy(update={"calendar": ",".join(groups) or "none"})
    return replace(problem, config=named, encoding=encoding if encoding else None)
