"""Cross-fitting: a model learns from forecasts of its prior that are like those of new windows.

The time of the windows that are learnt from is cut into blocks (``folds``). For each block a point
model as the prior's is trained on the windows that hold none of the block's targets, for as many
steps as the prior's own, scaled to the number of windows; nothing is validated. None of these
models is saved. Their training can be killed and resumed as a fit can.

Not so where a block would leave too few windows, or where a training starts from earlier weights,
which have learnt from all blocks: there residuals are those of the prior itself.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from forecaster.config.schema import TrainerConfig
from forecaster.data.windows import Windows
from forecaster.models.base import Forecaster, Precursor
from forecaster.models.copula import ResidualCopula
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.models.folds import Block, Folds, blocks_of
from forecaster.models.prior import PointForecaster
from forecaster.training.data_module import WindowData
from forecaster.training.exact import ExactSteps, scaled
from forecaster.training.limit import Limit
from forecaster.training.progress import Monitor
from forecaster.training.stages import (
    Course,
    EpochMetrics,
    parts_of,
    stage_settings,
    stages_of,
    steps_of,
    train_stages,
)

# the least share of the windows that each block has to leave
_LEAST_LEFT = 0.25


def train_with_folds(
    model: Forecaster,
    course: Course,
    config: TrainerConfig,
    folder: Path,
    report: EpochMetrics | None,
    progress: Monitor,
    limit: Limit | None = None,
    name: str = "",
    count: int | None = None,
    warm: bool = False,
) -> list[str]:
    """``train_stages``, and before the model itself the folds of its prior, if it has any.

    ``warm``: the training starts from earlier weights.
    """
    priors, data = len(model.stages()), course.data
    apart = warm or (count is not None and count <= priors)
    blocks = [] if apart else _blocks_of(model, data.train, progress)
    if not blocks:
        return train_stages(model, course, config, folder, report, progress, limit, name, count)
    weights = [stage.weight for stage in stages_of(model, config, folder)]
    left = sum(weights) + len(blocks)

    def share(weight: int) -> Limit | None:
        nonlocal left
        left, before = left - weight, left
        return None if limit is None else limit.share(weight / before if before else 1.0)

    assert isinstance(model, Diffusion)
    assert isinstance(model.prior, ResidualCopula)
    with progress.overall(parts_of(model, data, config, name, course.steps), limit):
        first = share(sum(weights[:priors]))
        train_stages(model, course, config, folder, report, progress, first, name, priors)
        steps = steps_of(model, config, folder) if course.steps is None else course.steps
        bases, stopped = list[PointForecaster](), list[str]()
        for number, block in enumerate(blocks, start=1):
            title = f"fold {number} of {len(blocks)}"
            base, exact = _fold(model.prior, block, data, steps[: priors - 1], title)
            tell, place = _named(report, f"fold{number}"), folder / f"fold{number}"
            settings, titles = stage_settings(config), f"{name}{title}, "
            stopped += train_stages(base, exact, settings, place, tell, progress, share(1), titles)
            bases.append(base)
        model.folds = Folds(tuple(blocks), tuple(bases))
        last = share(weights[priors])
        stopped += train_stages(
            model, course, config, folder, report, progress, last, name, first=priors
        )
        model.folds = None
        return stopped


def _blocks_of(model: Forecaster, windows: Windows, progress: Monitor) -> list[Block]:
    """The blocks of the folds of a model's prior; none where one would leave too few windows."""
    if not isinstance(model, Diffusion) or model.config.prior_folds == 1:
        return []
    blocks = blocks_of(windows, model.config.prior_folds)
    left = min(len(block.others(windows)) for block in blocks)
    if left >= _LEAST_LEFT * len(windows):
        return blocks
    progress.say(
        f"model.prior_folds: without a block of time there are {left:,} of {len(windows):,} "
        "windows to learn from, too few; residuals are those of the prior itself"
    )
    return []


def _fold(
    prior: ResidualCopula, block: Block, data: WindowData, steps: Sequence[int], title: str
) -> tuple[PointForecaster, ExactSteps]:
    """A new point model of the prior, and its training without a block.

    ``steps``: those of the stages of the prior's own.
    """
    windows = data.train
    others = block.others(windows)
    rest, nothing = windows.those(others), windows.those(others[:0])
    torch.manual_seed(data.seed)
    return prior.new_base(), ExactSteps(
        WindowData(rest, rest, data.batch_size, data.seed, 1),
        scaled(steps, len(rest) / len(windows)),
        Precursor(prior.base, rest, nothing, nothing),
        title,
        "give model.prior_folds 1",
    )


def _named(report: EpochMetrics | None, prefix: str) -> EpochMetrics | None:
    """Reports losses with a prefix."""
    if report is None:
        return None
    return lambda losses, epoch: report({f"{prefix}/{k}": v for k, v in losses.items()}, epoch)
