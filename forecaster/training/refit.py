"""The training on all rows that follows a held-out one: as many steps, scaled to the windows.

A stage is trained for the steps of its best held-out weights, times the number of all windows over
that of the training windows; nothing is validated. Its own errors make the intervals, in the size
that those of the held-out model show to be out of sample. It can be killed and resumed as a fit
can (``fit``).
"""

import copy
from dataclasses import dataclass
from pathlib import Path

from forecaster.config.schema import Config
from forecaster.data.problem import Problem
from forecaster.models.base import Forecaster, Precursor
from forecaster.training import warm
from forecaster.training.cross_fit import train_with_folds
from forecaster.training.data_module import WindowData
from forecaster.training.exact import ExactSteps, scaled
from forecaster.training.fit import new_model
from forecaster.training.limit import Limit
from forecaster.training.progress import Monitor
from forecaster.training.stages import TERMINAL, EpochMetrics, steps_of

# before the titles of the stages in the progress
NAME = "refit, "


@dataclass(frozen=True)
class Refitted:
    """A model trained on all rows, and the steps of its stages, those of the held-out one before.

    0 steps: the initial weights, a stage without weights, or one that was not selected.
    ``stopped``: the stages that a limit of time stopped before their last step.
    """

    model: Forecaster
    held_out_steps: tuple[int, ...]
    steps: tuple[int, ...]
    stopped: tuple[str, ...] = ()


def wanted(config: Config) -> bool:
    """Whether the configuration asks for a training on all rows: ``auto`` not for a data set."""
    return config.trainer.refit == "all" or (
        config.trainer.refit == "auto" and config.data.dataset is None
    )


def refit(
    held_out: Forecaster,
    config: Config,
    problem: Problem,
    folder: Path,
    report: EpochMetrics | None = None,
    progress: Monitor = TERMINAL,
    limit: Limit | None = None,
    name: str = NAME,
) -> Refitted:
    """Train a new model on all rows of a problem, after a fit with its checkpoints in ``folder``.

    The scaling remains that of the training rows. ``report`` gets losses named ``refit/…``;
    ``name`` goes before the stages' titles in the progress.
    """
    settings, train = config.trainer, problem.windows("train")
    everything = problem.on_all_rows().windows("train")
    before = steps_of(held_out, config.trainer, folder)
    steps = scaled(before, len(everything) / len(train))
    parts = (train, problem.windows("validation"), problem.windows("test"))
    precursor = Precursor(copy.deepcopy(held_out).cpu(), *parts)
    data = WindowData(everything, everything, settings.batch_size, settings.seed, 1)
    model = new_model(config, problem)
    if warm.is_warm(folder):
        warm.start(model, folder)

    def send(losses: dict[str, float], epoch: int) -> None:
        if report is not None:
            report({f"refit/{name}": value for name, value in losses.items()}, epoch)

    what, remedy = "the training on all rows", "give --refit none"
    course = ExactSteps(data, steps, precursor, what, remedy)
    place = folder / "refit"
    begun = warm.is_warm(folder)
    stopped = train_with_folds(
        model, course, settings, place, send, progress, limit, name, warm=begun
    )
    return Refitted(model, before, steps, tuple(stopped))
