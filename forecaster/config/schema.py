"""The configuration of a training: data, model, trainer."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from forecaster.config.choices import Aggregate, MissingColumn, OnDead, OnShort, TableLayout
from forecaster.config.parts import ForecasterPart
from forecaster.config.sections import (
    Codes,
    FilePath,
    Fraction,
    Joined,
    Names,
    Positive,
    Section,
    nearest,
)
from forecaster.errors import UserError

Window = Annotated[int, Field(gt=0, le=100_000)]  # in steps
MOST_SAMPLES = 10_000


class Columns(Section):
    """The roles of a file's columns, and the policies for gaps and duplicates.

    ``header``: whether delimited text begins with a line of names; ``layout``: how the table
    stands: upright (wide, long), a row a series, or with times for columns. ``on_short``: for a
    series shorter than lookback + 3·horizon, an error, padded windows with a mask, or left out (of
    a forecast: skipped, by a fallback, or dropped from the table); ``on_dead``: likewise for a
    series without a value in what is read, or with one value only; ``missing_column``: whether a
    column of the model that is not in a file is an error, or masked;
    ``align``: whether all series end at the last time that they have in common.
    ``decimal``, ``thousands``: the marks in numbers (None: those that the numbers prove);
    ``missing``: further texts or numbers that stand for a missing value. ``known``, ``past``,
    ``static``: columns of covariates: known ahead, of the history alone, the same in all rows of a
    series; ``static_file``: a file of the latter, a row an item; ``calendar``: groups of calendar
    features, ``auto`` for those of the interval (None: none); ``holidays``: countries, or parts of
    them, whose holidays are known; ``prior_column``: a forecast of one's own for each value column,
    from which a model starts; ``categorical``: covariates whose numbers are codes, not amounts.
    """

    header: bool = True
    layout: TableLayout | None = None
    timestamp: Joined | None = None
    target: Names | None = None
    item_id: Names | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", "'", "space"] | None = None
    missing: Codes | None = None
    freq: str | None = None
    calendar_of: str | None = None
    timezone: str | None = None
    date_format: str | None = None
    locale: str | None = None
    snap: str | None = None
    resample: str | None = None
    aggregate: Aggregate | None = None
    on_gap: Literal["error", "fill", "zero"] = "error"
    on_duplicate: Literal["error", "first", "last", "mean"] = "error"
    on_short: OnShort = "error"
    on_dead: OnDead = "error"
    missing_column: MissingColumn = "error"
    align: Literal["end"] | None = None
    known: Names | None = None
    past: Names | None = None
    static: Names | None = None
    static_file: FilePath | None = None
    calendar: Joined | None = None
    holidays: Names | None = None
    prior_column: Names | None = None
    categorical: Names | None = None

    @property
    def leaves_out_short(self) -> bool:
        """Whether nothing is learnt from series too short."""
        return self.on_short in {"skip", "fallback", "drop"}

    @property
    def tells_status(self) -> bool:
        """Whether a forecast says of each series what became of it."""
        lenient = self.on_dead != "error" or self.missing_column != "error"
        return lenient or self.on_short in {"skip", "fallback"}


def _check_seasons(seasons: tuple[int, ...]) -> tuple[int, ...]:
    if 1 in seasons and len(seasons) > 1:
        raise UserError(
            f"seasons {','.join(map(str, seasons))}: 1 says that there is no season; give it "
            "alone, or leave it out"
        )
    return seasons


class DataConfig(Columns):
    """The training data: a file or a named data set, and the windows cut from it.

    ``seasons``: in steps, the main one, which seasonal naive repeats, first (1: none; None:
    found in a file's training rows, or of a named data set its interval's). ``horizon`` and
    ``lookback`` of a file are chosen by its interval and length unless they are given. ``lower``,
    ``upper``: bounds of all columns or by column (0 for counts), to which
    forecasts are clipped.
    """

    csv: str | None = None
    dataset: str | None = None
    horizon: Window = 96
    lookback: Window = 336
    seasons: (
        Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_check_seasons)] | None
    ) = None
    lower: float | dict[str, float] | None = None
    upper: float | dict[str, float] | None = None

    def limits(self, names: Sequence[str]) -> tuple[list[float], list[float]]:
        """Lower and upper bounds of each column, infinite by default."""
        low, high = (
            {} if b is None else b if isinstance(b, dict) else dict.fromkeys(names, b)
            for b in (self.lower, self.upper)
        )
        for name in {**low, **high}:
            if name not in names:
                raise UserError(
                    f"--lower, --upper: no value column '{name}'{nearest(name, names)}; there are "
                    f"{', '.join(names)}"
                )
        return [low.get(n, -math.inf) for n in names], [high.get(n, math.inf) for n in names]

    @property
    def columns(self) -> Columns:
        """The settings that also apply to files to forecast from."""
        return Columns(**{name: getattr(self, name) for name in Columns.model_fields})


class TrainerConfig(Section):
    """Training and evaluation settings.

    ``stage_epochs``: the maximum of epochs of a submodel trained first, such as a prior, and
    ``stage_learning_rate`` its learning rate (None: the same); ``max_epochs`` and ``max_steps``
    (rounded up to whole epochs) are those of the model itself. ``epoch_batches``: the number of
    batches in an epoch, after which validation follows; the windows of a small file are repeated
    (None: all training windows, once). ``stage_batches``: likewise of a submodel.
    ``weight_average``: the decay a step of an exponential moving average of the model's weights,
    which is what is validated and saved (0: the last weights themselves); of few steps it is an
    average of the last tenth.
    ``patience``: the epochs without a better score after which training ends; of averaged weights
    a score is better if it is lower by a thousandth.
    ``validation_windows``: the number of evenly spaced validation windows scored after each epoch
    (all by default). At the end ``point_windows`` of each split are scored with the point forecast
    (all by default) and ``score_windows`` with samples (0: none); the metrics ``windows`` and
    ``probabilistic_windows`` are their numbers. ``calibrate``: take the mean error that a diffusion
    model's network has on validation windows at each step of the path out of its output, where that
    helps on further ones. ``refit``: then train the model that is saved on
    ``all`` rows, or save the one that was scored (``none``); ``auto``: all rows of a file or a
    frame, none for a named data set.
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_epochs: Positive = 10
    stage_epochs: Positive = 50
    max_steps: Positive | None = None
    epoch_batches: Positive | None = None
    stage_batches: Positive | None = None
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    stage_learning_rate: Annotated[float, Field(gt=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    patience: Positive = 3
    weight_average: Fraction = 0.0
    gradient_clip: Annotated[float, Field(ge=0)] = 0.0
    validation_windows: Positive | None = None
    point_windows: Positive | None = None
    score_windows: Annotated[int, Field(ge=0, le=1_000_000)] = 32
    score_samples: Annotated[int, Field(ge=2, le=MOST_SAMPLES)] = 100
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Annotated[int, Field(gt=0, le=1_024)] = 1
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    calibrate: bool = False
    refit: Literal["auto", "all", "none"] = "auto"


class Config(Section):
    """The configuration of a training. ``title``: the model's name in tables and tracking."""

    title: str | None = None
    data: DataConfig = DataConfig()
    model: ForecasterPart
    trainer: TrainerConfig = TrainerConfig()
