"""What the data decide of a training: horizon, lookback and seasons, and a model that fits them."""

from collections.abc import Collection

from forecaster.config.schema import Config, DataConfig, TrainerConfig
from forecaster.config.sections import PartConfig
from forecaster.data import defaults
from forecaster.data.problem import Problem, with_season_lookback
from forecaster.data.tables import Table
from forecaster.data.wide import in_words, trainer_for
from forecaster.models.diffusion.config import DiffusionConfig
from forecaster.models.ensemble import EnsembleConfig
from forecaster.models.local import LocalConfig
from forecaster.models.naive import SeasonalNaiveConfig
from forecaster.workflows.candidates import candidates, changes


def settle(
    config: Config, table: Table, train_rows: defaults.TrainRows = defaults.split_train_rows
) -> tuple[Config, list[str]]:
    """The configuration that a training on this table uses, and its decisions with their reasons.

    The decisions are added to the table's report, too.
    """
    data, decisions = defaults.settle(config.data, table, train_rows)
    given, model = config.data, config.model
    if isinstance(model, EnsembleConfig):
        members = []
        for member in model.members or candidates(model, config.trainer, table, data, decisions):
            own = data
            if member.lookback is not None:
                own = data.model_copy(update={"lookback": member.lookback})
            elif "lookback" not in given.model_fields_set:
                own = _reading(member.model, given, data, table, train_rows, None)
            fitting = _with_label(member.model, own, None)
            changed = {"model": fitting, "lookback": own.lookback}
            if model.members:
                changed["trainer"] = member.trainer.model_copy(update=changes(config.trainer))
            members.append(member.model_copy(update=changed))
        lookback = max(member.lookback or data.lookback for member in members)
        data = data.model_copy(update={"lookback": lookback})
        model = model.model_copy(update={"members": tuple(members)})
    else:
        data = _reading(model, given, data, table, train_rows, decisions)
        model = _with_label(model, data, decisions)
    table.report.decisions += decisions
    return config.model_copy(update={"data": data, "model": model}), decisions


def settle_width(
    config: Config, problem: Problem, asked: Collection[str] = ()
) -> tuple[Config, list[str]]:
    """The configuration with the batches and validation windows of a wide table; see ``wide``.

    The decision is added to the table's report, too, and given once. ``asked``: keys that the user
    set.
    """
    counts = problem.channels, problem.count_windows("train"), problem.count_windows("validation")

    def changed(trainer: TrainerConfig) -> TrainerConfig:
        return trainer_for(trainer, *counts, asked)

    model, trainer = config.model, changed(config.trainer)
    if isinstance(model, EnsembleConfig):
        members = [m.model_copy(update={"trainer": changed(m.trainer)}) for m in model.members]
        model = model.model_copy(update={"members": tuple(members)})
    said = in_words(config.trainer, trainer, counts[0], counts[2])
    decisions = [said] if said and said not in problem.table.report.decisions else []
    problem.table.report.decisions += decisions
    return config.model_copy(update={"model": model, "trainer": trainer}), decisions


def _with_label(model: PartConfig, data: DataConfig, decisions: list[str] | None) -> PartConfig:
    """The model with a label that is a part of the lookback."""
    if not isinstance(model, DiffusionConfig) or model.label <= data.lookback:
        return model
    if decisions is not None:
        decisions.append(
            f"label {data.lookback} in place of {model.label}: it is a part of the lookback"
        )
    return model.model_copy(update={"label": data.lookback})


def _reading(
    model: PartConfig,
    given: DataConfig,
    data: DataConfig,
    table: Table,
    train_rows: defaults.TrainRows,
    decisions: list[str] | None,
) -> DataConfig:
    """The data with the lookback that the model needs, where that was not ``given``."""
    said = [] if decisions is None else decisions
    if isinstance(model, SeasonalNaiveConfig) and model.season is None and data.dataset is None:
        data = _reads_a_season(data, table, said)
    if isinstance(model, LocalConfig) and "lookback" not in given.model_fields_set:
        data = _reads_more(data, table, train_rows, said)
    return data


def _reads_more(
    data: DataConfig, table: Table, train_rows: defaults.TrainRows, decisions: list[str]
) -> DataConfig:
    """The data with up to three times the lookback, which is all that a local model learns from;
    two thirds of the training rows before the last horizon at most.
    """
    if data.dataset is not None:
        return data
    rows = min(len(series.values) for series in table.series)
    past = train_rows(rows, data.horizon) - data.horizon
    lookback = min(3 * data.lookback, 2 * past // 3)
    if lookback <= data.lookback:
        return data
    decisions.append(
        f"lookback {lookback} in place of {data.lookback}: a local model learns from it alone"
    )
    return data.model_copy(update={"lookback": lookback})


def _reads_a_season(data: DataConfig, table: Table, decisions: list[str]) -> DataConfig:
    """The data with the lookback that seasonal naive needs, if all series are long enough."""
    wider = with_season_lookback(data, table)
    room = min(len(series.values) for series in table.series) - 3 * data.horizon
    if data.lookback < wider.lookback <= room:
        decisions.append(
            f"lookback {wider.lookback} in place of {data.lookback}: seasonal naive reads a season"
        )
        return wider
    return data
