"""An estimate of the time of a training of the recommended model, before torch is loaded.

The constants are processor seconds of single steps, measured on five files of 1 to 7 columns,
lookbacks of 36 to 336 and horizons of 12 to 48 steps, with one thread.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from forecaster.config.load import find_config, read_yaml
from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import Problem
from forecaster.data.wide import of_a_wide_table, trainer_for

MODEL = "s2dbm"
# the program, the report of the run, the saved model
_START = 12.0
# the windows of a batch that the constants of steps are of
_BATCH = 64
# epochs until a training stops early: of the points' models before it, and of the model itself
_PRIOR_EPOCHS, _MODEL_EPOCHS = 50, 10
# an epoch's end: validation is begun, checkpoints are written
_EPOCH = 0.05
# what training on all rows takes, as a share of the training before it
_REFIT = 0.9
# words for a time: the number of minutes up to which each holds
_MINUTES = (1, 2, 3, 5, 10, 15, 20, 30, 45)


def training_time(problem: Problem) -> str:
    """About how long a training takes, in coarse words."""
    counts = {
        "train": problem.count_windows("train"),
        "validation": problem.count_windows("validation"),
        "test": problem.count_windows("test"),
    }
    data, content = problem.config, read_yaml(find_config(MODEL))
    trainer = TrainerConfig(**content["trainer"])
    settings = trainer_for(trainer, problem.channels, counts["train"], counts["validation"])
    priors = sum(1 for _ in _members(content["model"].get("prior")))
    sizes = problem.channels, data.lookback, data.horizon
    return f"{in_minutes(seconds(settings, priors, counts, *sizes))} on two cores ({MODEL})"


def _members(part: Any) -> Iterator[str]:
    """The point models of a prior that are trained, by name."""
    if isinstance(part, Mapping):
        inner = [part[key] for key in ("base", "members", "candidates") if key in part]
        if not inner:
            yield part["name"]
        for each in inner:
            yield from _members(each)
    elif isinstance(part, list):
        for each in part:
            yield from _members(each)


def seconds(
    settings: TrainerConfig,
    priors: int,
    counts: Mapping[str, int],
    channels: int,
    lookback: int,
    horizon: int,
) -> float:
    """The seconds of a training with its scoring, and the training on all rows after it.

    ``priors``: the number of point models that are trained first; ``counts``: windows of each
    split.
    """
    values, batches = channels * horizon, -(-counts["train"] // settings.batch_size)
    validated = min(counts["validation"], settings.validation_windows or counts["validation"])
    size = settings.batch_size / _BATCH
    prior_step = 2.0e-3 + 3.3e-7 * size * channels * (lookback + horizon)
    model_step = 9.5e-3 + 6.3e-5 * size * values
    prior_epochs = min(settings.stage_epochs, _PRIOR_EPOCHS)
    model_epochs = min(settings.max_epochs, _MODEL_EPOCHS)
    prior_batches = settings.stage_batches or batches
    prior = prior_epochs * (prior_batches * prior_step + validated * 1.2e-5 + _EPOCH)
    of_an_epoch = settings.epoch_batches or batches
    model = of_an_epoch * model_step + validated * (1.5e-4 + 2.6e-6 * values) + _EPOCH
    calibration = 1.0 + 1.0e-4 * of_a_wide_table(counts["train"], channels, 0) * channels
    training = priors * prior + model_epochs * model + calibration
    held_out = counts["validation"] + counts["test"]
    drawn = sum(min(counts[part], settings.score_windows) for part in ("validation", "test"))
    scoring = held_out * values * 1.0e-6 + drawn * (1.0e-3 + 2.8e-5 * values)
    return _START + training * (1 + _REFIT) + min(scoring, max(training, 10.0))


def in_minutes(seconds: float) -> str:
    """``about 5 minutes``: coarse, as an estimate is."""
    minutes = seconds / 60
    if minutes < 0.75:
        return "about half a minute"
    if minutes <= 55:
        nearest = min(_MINUTES, key=lambda known: abs(known - minutes))
        return f"about {nearest} minute{'s' if nearest > 1 else ''}"
    halves = max(round(minutes / 30), 2)
    hours = halves / 2 if halves < 10 else round(minutes / 60)
    return f"about {hours:g} hour{'s' if hours > 1 else ''}"
