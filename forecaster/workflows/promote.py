"""``models promote``: a registered version into service, after a paired comparison with the one
that is there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forecaster.data.layout.words import listed
from forecaster.data.problem import load_table
from forecaster.data.splits import Scaling
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.inference.inputs import read_input
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import default_mode
from forecaster.inference.saved_model import SavedModel
from forecaster.serving import registry
from forecaster.tracking import references
from forecaster.workflows.contest import Contest, IncomparableError, contest

_OTHER_UNIT = 20.0  # times as large, or as small: not the growth of one night


@dataclass(frozen=True)
class Promotion:
    """``before``: the version that had the alias, or None.

    ``contest``: the comparison with it, None if there was none. ``changes``: what changes for those
    who read the forecasts.
    """

    before: int | None
    contest: Contest | None
    changes: tuple[str, ...] = ()


def promote(
    name: str,
    version: int,
    alias: str,
    force: bool,
    csv: Path | None,
    notify: Callable[[str], object],
    trust_code: bool = False,
) -> Promotion:
    """Assign ``alias`` to a version. ``notify`` is told what changes for readers, before that.

    Raises UserError if, without ``force``, the version is worse than the present one on rows that
    neither has learnt from, or if they cannot be compared. ``csv``: a file with such rows; None:
    the one that the version was trained on.
    """
    before = references.aliases_of(name).get(alias)
    references.find_version(f"models:/{name}/{version}")
    if before in (None, version):
        registry.assign(name, alias, version)
        return Promotion(before, None)
    champion, challenger = (
        open_model(f"models:/{name}/{number}", "cpu", trust_code) for number in (before, version)
    )
    changes = changes_between(champion, challenger)
    for change in changes:
        notify(f"note: for readers of the forecasts: {change}")
    found = None
    if not force:
        try:
            table = _table(challenger, csv)
            names = (f"version {version}", f"version {before}")
            found = contest(champion, challenger, table, names)
        except UserError as error:
            file = "--csv FILE with rows that neither has learnt from, or "
            file = "" if isinstance(error, IncomparableError) else file
            raise UserError(
                f"version {version} of '{name}' was not compared with version {before}, the "
                f"present {alias} ({error}); give {file}--force to promote it all the same"
            ) from error
        if found.worse:
            raise UserError(
                f"{found.text}; give --force to promote it all the same (model '{name}', {alias})"
            )
    registry.assign(name, alias, version)
    return Promotion(before, found, tuple(changes))


def _table(challenger: SavedModel, csv: Path | None) -> Table:
    data = challenger.config.data
    if csv is None and data.dataset is not None:
        return load_table(data)
    source = csv or data.csv
    if source is None:
        raise UserError("it was trained on a frame in memory, which is gone")
    return read_input(challenger, source, {})


def changes_between(champion: SavedModel, challenger: SavedModel) -> list[str]:
    """What of the forecasts changes for those who read them, a line each."""
    old, new = champion.config.data, challenger.config.data
    found = []
    if old.horizon != new.horizon:
        found.append(f"the horizon is {new.horizon} in place of {old.horizon} steps")
    intervals = champion.schema.interval, challenger.schema.interval
    if intervals[0] != intervals[1]:
        found.append(f"the interval is {intervals[1].alias} in place of {intervals[0].alias}")
    found += _columns("column", champion.schema.names, challenger.schema.names)
    if default_mode(champion) != default_mode(challenger):
        without = default_mode(challenger) == "point"
        found.append(f"quantile columns are {'no longer' if without else 'now'} there")
    items = [[item for item in saved.scaling if item] for saved in (champion, challenger)]
    found += [each for each in _columns("series", *items) if each.endswith("no longer there")]
    for kind in ("known", "past", "static", "prior_column"):
        both = (_covariates(saved, kind) for saved in (champion, challenger))
        found += _columns(f"covariate ({kind.replace('_', '-')})", *both)
    return found + _units(champion, challenger)


def _covariates(saved: SavedModel, kind: str) -> tuple[str, ...]:
    """The names of its covariates of a kind, also of those from a file of static values."""
    given = saved.encoding.given if saved.encoding is not None and kind == "static" else None
    return (*(getattr(saved.config.data, kind) or ()), *(given.names if given else ()))


def _columns(what: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    lines = [f"{what} {listed(gone)} is no longer there"] if gone else []
    return lines + ([f"{what} {listed(added)} is new"] if added else [])


def _units(champion: SavedModel, challenger: SavedModel) -> list[str]:
    """Columns whose values are so much larger or smaller that they may be in another unit."""
    found, items = [], [item for item in champion.scaling if item in challenger.scaling]
    for name in challenger.schema.names:
        if not items or name not in champion.schema.names:
            continue
        sizes = [
            float(np.median([_size(saved.scaling, item, names.index(name)) for item in items]))
            for saved in (champion, challenger)
            for names in [saved.schema.names]
        ]
        if min(sizes) > 0 and max(sizes) / min(sizes) >= _OTHER_UNIT:
            times = max(sizes) / min(sizes)
            larger = "larger" if sizes[1] > sizes[0] else "smaller"
            found.append(
                f"the values of column '{name}' are about {times:.0f} times {larger}, as in "
                "another unit"
            )
    return found


def _size(scaling: Mapping[str, Scaling], item: str, channel: int) -> float:
    """The root mean square of the training rows."""
    return float(np.hypot(scaling[item].mean[channel], scaling[item].std[channel]))
