"""The candidates of an ensemble that suit the data, as they are trained by themselves."""

from collections.abc import Iterator
from importlib.util import find_spec

from forecaster.config.load import find_config, load_config
from forecaster.config.program import install_extra
from forecaster.config.schema import Config, DataConfig, TrainerConfig
from forecaster.data.seasons import seasons_of
from forecaster.data.tables import Table
from forecaster.models.ensemble import EnsembleConfig, Member

# the most series, times channels, that local models are candidates for: each is fitted by itself
_MOST_LOCAL = 200
# the longest season that exponential smoothing and the Theta method are candidates for
_LONGEST_LOCAL = 24
# presets by the choices that they belong to
LEARNT = {
    "fast": ("nlinear", "quantile-linear"),
    "good": ("nlinear", "quantile-linear", "tide", "s2dbm"),
    "best": ("nlinear", "quantile-linear", "tide", "s4d", "transformer", "s2dbm"),
}


def candidates(
    model: EnsembleConfig,
    trainer: TrainerConfig,
    table: Table,
    data: DataConfig,
    decisions: list[str],
) -> tuple[Member, ...]:
    """The members to be trained, those that take the least time first.

    ``trainer``: settings that are given there replace those of each preset. What the choice depends
    on is added to ``decisions``.
    """
    if isinstance(model.candidates, tuple):
        names = list(dict.fromkeys(model.candidates))
    else:
        names = ["seasonal-naive", *_local(table, data, decisions), *LEARNT[model.candidates]]
        if model.candidates == "best" and find_spec("lightgbm") is not None:
            names.insert(-1, "lightgbm")
        decisions.append(f"candidates: {', '.join(names)}")
    return tuple(member_of(name, trainer) for name in names)


def _local(table: Table, data: DataConfig, decisions: list[str]) -> Iterator[str]:
    """The local models that the seasons and the number of series allow."""
    seasons = [season for season in seasons_of(data, table.interval) if season > 1]
    if len(table.series) * len(table.names) > _MOST_LOCAL:
        return
    if find_spec("statsforecast") is None:
        decisions.append(
            f"no local models among the candidates: {install_extra('statsforecast')} adds them"
        )
        return
    if not seasons or seasons[0] <= _LONGEST_LOCAL:
        yield "auto-theta"
        yield "auto-ets"
    if len(seasons) > 1 or any(season > _LONGEST_LOCAL for season in seasons):
        yield "mstl"


def member_of(name: str, trainer: TrainerConfig) -> Member:
    """A preset as a member; settings given in ``trainer`` replace its own."""
    preset: Config = load_config(find_config(name))
    asked = {key: getattr(trainer, key) for key in trainer.model_fields_set}
    return Member(
        name=find_config(name).stem,
        model=preset.model,
        trainer=preset.trainer.model_copy(update=asked),
    )
