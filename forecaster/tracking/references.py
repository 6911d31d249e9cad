"""The run, or the registered version, that a reference means; a wrong one is told what is near."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from forecaster.config.sections import nearest
from forecaster.errors import UserError, printable
from forecaster.tracking import query
from forecaster.tracking.retry_queue import notify
from forecaster.tracking.store import as_user_error, connect

SHORTEST = 4  # characters of an id
SHORT = 8  # those that are shown
_SHOWN = 5  # candidates that a message names
LISTS = "see: runs list"
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")
_LOGGED = re.compile("m-[0-9a-f]{32}")


@dataclass(frozen=True)
class Version:
    """A version of a registered model, or a logged model; ``run_id``: None of one without a run."""

    uri: str
    run_id: str | None


def short(run_id: str) -> str:
    """The first characters of a run's id, by which it can be referred to."""
    return run_id[:SHORT]


def find_run(reference: str) -> dict[str, Any] | None:
    """The run of this name or id, or whose id alone begins so; None without one.

    Of several of one name it is the newest finished one, and a note says so.
    """
    named = query.runs_named(reference)
    begun = query.runs_beginning(reference) if _ID.fullmatch(reference) else []
    if any(run["run_id"] == reference for run in begun):
        return next(run for run in begun if run["run_id"] == reference)
    if named:
        return _newest(reference, named)
    if len(begun) > 1:
        raise UserError(
            f"{reference}: {len(begun)} runs begin so: {_candidates(begun)}; give more characters"
        )
    return begun[0] if begun else None


def _newest(name: str, named: Sequence[dict[str, Any]]) -> dict[str, Any]:
    chosen = max(named, key=lambda run: (run["status"] == "FINISHED", run["started"]))
    if len(named) > 1:
        which = "the newest that finished" if chosen["status"] == "FINISHED" else "the newest"
        notify(
            f"note: {len(named)} runs are called '{printable(name)}'; {short(chosen['run_id'])}, "
            f"{which}, is taken"
        )
    return chosen


def _candidates(runs: Sequence[dict[str, Any]]) -> str:
    texts = [f"{run['run_id'][:12]} ('{run['name']}')" for run in runs[:_SHOWN]]
    return ", ".join(texts) + (", …" if len(runs) > _SHOWN else "")


def no_run(reference: str, others: Iterable[str] = (), what: str = "run") -> UserError:
    """The refusal of a reference, with the nearest of runs, registered models and ``others``."""
    runs = query.all_runs()
    known = [run["name"] for run in runs] + [f"models:/{name}" for name in registered_names()]
    if _ID.fullmatch(reference):
        known += [run["run_id"][: len(reference)] for run in runs]
    return UserError(f"{reference}: no such {what}{nearest(reference, [*known, *others])}; {LISTS}")


def registered_names() -> list[str]:
    """The names of the registered models."""
    if not query.has_store():
        return []
    mlflow = connect()
    with as_user_error():
        return sorted(model.name for model in mlflow.search_registered_models())


def aliases_of(name: str) -> dict[str, int]:
    """The versions of a registered model that have an alias, by that.

    Raises UserError, with the nearest name, if there is no such model.
    """
    known = registered_names()
    if name not in known:
        there = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
        there = f"there are {there}" if known else "register one with train --register NAME"
        raise UserError(f"no registered model '{name}'{nearest(name, known)}; {there}")
    with as_user_error():
        found = connect().MlflowClient().get_registered_model(name).aliases
    return {alias: int(number) for alias, number in found.items()}


def find_version(reference: str) -> Version:
    """The version that ``models:/NAME/VERSION``, ``NAME@ALIAS`` or ``NAME``, the newest, means."""
    rest = reference.removeprefix("models:/").strip("/")
    client = connect().MlflowClient()
    if _LOGGED.fullmatch(rest):
        with as_user_error():
            return Version(reference, client.get_logged_model(rest).source_run_id)
    name, alias, number = _parts(rest)
    aliases = aliases_of(name)
    with as_user_error():
        found = client.search_model_versions(f"name='{name}'")
    versions = {str(version.version): version for version in found}
    if number == "latest":
        number = max(versions, key=int, default=None)
    elif alias is not None:
        number = str(aliases.get(alias))
    if number not in versions:
        asked = f"alias '{alias}'{nearest(alias, sorted(aliases))}" if alias else "such version"
        raise UserError(f"{reference}: no {asked}; see: models versions {name}")
    return Version(f"models:/{name}/{number}", versions[number].run_id or None)


def _parts(rest: str) -> tuple[str, str | None, str | None]:
    """Name, alias and version of a registered model."""
    if "@" in rest:
        name, _, alias = rest.rpartition("@")
        return name, alias, None
    name, _, number = rest.partition("/")
    return name, None, number or "latest"
