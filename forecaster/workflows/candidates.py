"""The candidates of an ensemble that suit the data, as they are trained by themselves."""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from forecaster.config.load import find_config, load_config
from forecaster.config.program import install_extra
from forecaster.config.schema import DataConfig, TrainerConfig
from forecaster.data.seasons import seasons_of
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.models.ensemble import EnsembleConfig, Member

NO_BOUNDS: Mapping[str, int] = {}
# the most series, times channels, that local models are candidates for: each is fitted by itself
_MOST_LOCAL = 200
# the longest season that exponential smoothing and the Theta method are candidates for
_LONGEST_LOCAL = 24
# presets by the choices that they belong to
LEARNT = {
    "fast": ("nlinear", "quantile-linear", "s2dbm"),
    "good": ("nlinear", "quantile-linear", "tide", "s2dbm"),
    "best": ("nlinear", "quantile-linear", "tide", "s4d", "transformer", "s2dbm"),
}
# the most epochs of the fast choice: of a model, and of each stage before it
_FAST = {"max_epochs": 10, "stage_epochs": 20}


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
    most = _FAST if model.candidates == "fast" else {}
    if isinstance(model.candidates, tuple):
        names = list(dict.fromkeys(model.candidates))
    else:
        names = ["seasonal-naive", *_local(table, data, decisions), *LEARNT[model.candidates]]
        if model.candidates == "best" and find_spec("lightgbm") is not None:
            names.insert(-1, "lightgbm")
        decisions.append(f"candidates: {', '.join(names)}")
    members = tuple(member_of(name, trainer, most) for name in names)
    known = [member.name for member in members]
    if repeated := [name for name in known if known.count(name) > 1]:
        raise UserError(
            f"model.candidates: two are named {repeated[0]}; rename the file of one of them"
        )
    return members


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


def changes(trainer: TrainerConfig) -> dict[str, Any]:
    """The settings that are not the default, which replace those of members that are named."""
    usual = TrainerConfig()
    every = {key: getattr(trainer, key) for key in TrainerConfig.model_fields}
    return {key: value for key, value in every.items() if value != getattr(usual, key)}


def member_of(name: str, trainer: TrainerConfig, most: Mapping[str, int] = NO_BOUNDS) -> Member:
    """A preset as a member; settings given in ``trainer`` replace its own.

    ``most``: bounds of its own settings.
    """
    path = find_config(name)
    preset = load_config(path)
    if isinstance(preset.model, EnsembleConfig):
        raise UserError(f"model.candidates: {name} is an ensemble itself; name its candidates")
    bounded = {key: min(getattr(preset.trainer, key), bound) for key, bound in most.items()}
    asked = {key: getattr(trainer, key) for key in trainer.model_fields_set}
    settings = preset.trainer.model_copy(update={**bounded, **asked})
    return Member(name=re.sub(r"[^\w.-]", "-", path.stem), model=preset.model, trainer=settings)
