"""``retrain``: a saved model's training again on a file that has grown, and, if its forecasts are
closer on rows that neither model has learnt from, into service in its place.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forecaster.config.load import changed_config, keys_of
from forecaster.config.schema import Config
from forecaster.data.problem import load_table
from forecaster.data.tables import Table
from forecaster.data.wide import SETTINGS as OF_WIDTH
from forecaster.errors import UserError
from forecaster.inference.locate import open_model
from forecaster.inference.saved_model import SavedModel
from forecaster.serving import registry
from forecaster.tracking import query, references
from forecaster.training.limit import Limit
from forecaster.workflows import train as training
from forecaster.workflows.contest import Contest, contest
from forecaster.workflows.promote import changes_between
from forecaster.workflows.run_context import COMMAND_LINE, RunContext
from forecaster.workflows.train_steps import TrainingResult

# a logged model, models:/m-…, has no name
_REGISTERED = re.compile("models:/(?!m-[0-9a-f]{32}$)(?P<name>[^/@]+)(?:/[^/@]+|@(?P<alias>.+))?")
_ALIAS = "champion"


@dataclass(frozen=True)
class RetrainOptions:
    """The options of the command ``retrain``.

    ``overrides`` and ``settings`` (KEY=VALUE) change what is inherited. ``register``: the name of
    the registered model (None: that of the reference, if any). ``promote``: into service if better.
    """

    reference: str
    csv: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    register: str | None = None
    alias: str | None = None
    promote: bool = False
    experiment: str = "forecaster"
    run_name: str | None = None
    output: Path | None = None
    limit: Limit | None = None
    trust_code: bool = False


@dataclass(frozen=True)
class Retrained:
    """``trained``: None if the file held nothing new. ``champion``: the reference compared with.

    ``promoted``: whether the new version is in service now, None if that was not asked for;
    ``reason``: why, or why not, in a sentence. ``changes``: for those who read the forecasts.
    """

    champion: str
    trained: TrainingResult | None
    contest: Contest | None
    promoted: bool | None
    reason: str
    changes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One object, for a log."""
        done = self.trained
        return {
            "promoted": self.promoted,
            "reason": self.reason,
            "champion": self.champion,
            "version": None if done is None else done.version,
            "run_id": None if done is None else done.run_id,
            "model_dir": None if done is None else str(done.folder),
            "verdict": None if done is None else done.verdict.text,
            "comparison": None if self.contest is None else self.contest.to_json(),
            "changes": self.changes,
        }

    def lines(self) -> list[str]:
        """The result for a reader."""
        outcome = {True: "promoted: ", False: "kept: ", None: ""}[self.promoted]
        done = self.trained
        if done is None:
            return [f"{outcome}{self.reason}"]
        version = (
            [] if done.version is None else [f"version {done.version} of the registered model"]
        )
        return [
            done.verdict.text,
            f"{outcome}{self.reason}",
            *version,
            done.scored,
            f"run    {done.run_id}",
            f"model  {done.folder}",
        ]


def retrain(options: RetrainOptions, context: RunContext = COMMAND_LINE) -> Retrained:
    """Train again with the settings of a saved model, compare, and promote if asked for."""
    name, alias = registered_as(options)
    reference, in_service = options.reference, None
    if options.promote:
        if name is None:
            raise UserError(
                f"--promote-if-better: {options.reference} is not registered, so that nothing can "
                "follow its alias; give models:/NAME@ALIAS, or --register NAME"
            )
        in_service = _in_service(name, alias)
        reference = reference if in_service is None else f"models:/{name}/{in_service}"
    champion = open_model(reference, "cpu", options.trust_code)
    config = _inherited(champion, options)
    table = load_table(config.data)
    if _as_before(champion, config, options) and not _has_grown(champion, table):
        last = table.clock.said(max(champion.until().values())).removesuffix(" 00:00:00")
        reason = f"{options.csv} has no row after {last}, the last that {reference} has learnt from"
        return Retrained(reference, None, None, False if options.promote else None, reason)
    trained = training.train(
        training.TrainOptions(
            config,
            options.experiment,
            options.run_name,
            options.output,
            tags={"retrained_from": str(champion.metadata.get("run_id")), "retrained": reference},
            registered_name=name,
            source=table,
            limit=options.limit,
            asked=(*keys_of(options.settings), *OF_WIDTH),
            earlier=champion,
        ),
        context,
    )
    challenger = open_model(str(trained.folder), "cpu", trust_code=True)
    changes = tuple(changes_between(champion, challenger))
    for change in changes:
        context.notify(f"note: for readers of the forecasts: {change}")
    found, reason = _compared(champion, challenger, table)
    promoted = None
    if options.promote:
        assert name is not None
        assert trained.version is not None
        by_hand = _by_hand(name, trained.version, alias, found)
        promoted, reason = _decide(found, reason, changes, in_service, by_hand)
        if promoted and _in_service(name, alias) != in_service:
            promoted, reason = False, f"models:/{name}@{alias} was moved by someone else meanwhile"
        if promoted:
            registry.assign(name, alias, trained.version)
        query.set_tag(
            trained.run_id, "promotion", f"{'promoted' if promoted else 'kept'}: {reason}"
        )
    return Retrained(reference, trained, found, promoted, reason, changes)


def registered_as(options: RetrainOptions) -> tuple[str | None, str]:
    """The registered name and the alias of the version in service."""
    found = _REGISTERED.fullmatch(options.reference)
    name = options.register or (found["name"] if found else None)
    return name, options.alias or (found["alias"] if found else None) or _ALIAS


def _in_service(name: str, alias: str) -> int | None:
    known = name in references.registered_names()
    return references.aliases_of(name).get(alias) if known else None


def _inherited(champion: SavedModel, options: RetrainOptions) -> Config:
    config = champion.config
    if config.data.dataset is not None:
        raise UserError(
            f"{options.reference}: trained on the data set '{config.data.dataset}' by its "
            "protocol, which does not grow; train on a file with train --csv"
        )
    overrides = {"data.csv": str(options.csv), **options.overrides}
    return changed_config(config, options.reference, options.settings, overrides)


def _as_before(champion: SavedModel, config: Config, options: RetrainOptions) -> bool:
    """Whether the settings are those of the last training, wherever this one is computed."""
    same = {"data.csv": config.data.csv, "trainer.accelerator": config.trainer.accelerator}
    before = changed_config(champion.config, options.reference, (), same)
    return config == before and "data.static_file" not in options.overrides


def _has_grown(champion: SavedModel, table: Table) -> bool:
    """Whether a file has a row after those that a model has learnt from, or another series."""
    until = champion.until()
    return any(
        (series.item_id or "") not in until
        or table.interval.stamp(series.first, len(series.values) - 1) > until[series.item_id or ""]
        for series in table.series
    )


def _compared(
    champion: SavedModel, challenger: SavedModel, table: Table
) -> tuple[Contest | None, str]:
    try:
        found = contest(champion, challenger, table, ("the new model", "the present one"))
    except UserError as error:
        return None, f"not compared: {error}"
    return found, found.text


def _by_hand(name: str, version: int, alias: str, found: Contest | None) -> str:
    """The command that promotes a version whose forecasts change for their readers."""
    words = ["models", "promote", name, str(version)]
    words += ["--alias", alias] if alias != _ALIAS else []
    return shlex.join(words + (["--force"] if found is None else []))


def _decide(
    found: Contest | None, reason: str, changes: Sequence[str], in_service: int | None, by_hand: str
) -> tuple[bool, str]:
    if in_service is None:
        return True, "no version was in service"
    if not changes:
        return found is not None and found.better, reason
    reason = f"the forecasts change for their readers ({'; '.join(changes)}); {reason}"
    if found is None or not found.worse:
        reason += f"; once they know, promote it with: {by_hand}"
    return False, reason
