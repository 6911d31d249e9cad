"""Tuning: a configuration's keys searched by trials that see training and validation only, each a
run in MLflow.

Trial n draws from a sampler seeded by (seed, n), so a study that was interrupted goes on as if it
had not been.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml

from forecaster.config.load import check_config, dump_config
from forecaster.config.schema import Config
from forecaster.data.problem import Problem, load_problem
from forecaster.errors import UserError
from forecaster.evaluation.score import Scoring, evaluate
from forecaster.io.atomic import check_folder, exclusive_lock, write_together
from forecaster.tracking import labels, store
from forecaster.tracking import query as runs
from forecaster.tracking import run as tracking
from forecaster.tracking.provenance import code_version
from forecaster.training.fit import fit, new_model, window_data

# trials of which the first epochs are known, before any is ended early
_WARM = 4


@dataclass(frozen=True)
class Range:
    """A key of the configuration and what it may be: in an interval (whole numbers if both ends
    are) or one of a few.
    """

    key: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def distribution(self) -> optuna.distributions.BaseDistribution:
        """As Optuna has it; choices by their text, since they may be sections."""
        if self.choices:
            return optuna.distributions.CategoricalDistribution(
                [json.dumps(choice) for choice in self.choices]
            )
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return optuna.distributions.IntDistribution(self.low, self.high, log=self.log)
        return optuna.distributions.FloatDistribution(self.low, self.high, log=self.log)

    def value(self, drawn: Any) -> Any:
        """What a draw sets in the configuration."""
        return json.loads(drawn) if self.choices else drawn


def parse_range(text: str) -> Range:
    """``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log``, or ``KEY=A|B|C`` with YAML values."""
    key, equals, values = text.partition("=")
    problem = f"--space {text}: write KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A|B|C"
    if not equals or not key.strip():
        raise UserError(problem)
    try:
        if ".." in values:
            span, _, scale = values.partition(":")
            low, high = (yaml.safe_load(end) for end in span.split("..", 1))
            low, high = (float(end) if isinstance(end, str) else end for end in (low, high))
            if scale not in {"", "log"} or not low < high or (scale == "log" and low <= 0):
                raise UserError(f"{problem}; LOW below HIGH, and above 0 for a logarithmic scale")
            return Range(key.strip(), low, high, scale == "log")
        choices = tuple(yaml.safe_load(choice) for choice in values.split("|"))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(problem) from error
    try:
        json.dumps(choices)  # as the study keeps them
    except TypeError as error:
        raise UserError(
            f"--space {text}: a choice is a number, a text, a list or a section, and no date"
        ) from error
    return Range(key.strip(), choices=choices)


def default_space(config: Config) -> list[Range]:
    """Learning rates from a tenth to ten times as much, batch sizes, and the network's size and
    dropout if there is one.
    """
    settings, found = config.trainer, []
    found.append(
        Range(
            "trainer.learning_rate",
            settings.learning_rate / 10,
            settings.learning_rate * 10,
            log=True,
        )
    )
    if settings.stage_learning_rate is not None:
        rate = settings.stage_learning_rate
        found.append(Range("trainer.stage_learning_rate", rate / 10, rate * 10, log=True))
    found.append(Range("trainer.batch_size", choices=(16, 32, 64, 128)))
    network, prefix = getattr(config.model, "network", None), "model.network."
    if network is None:
        network, prefix = config.model, "model."
    for name in ("width", "layers"):
        size = getattr(network, name, None)
        if size is not None:
            found.append(
                Range(prefix + name, choices=tuple(sorted({max(size // 2, 1), size, 2 * size})))
            )
    if hasattr(network, "dropout"):
        found.append(Range(prefix + "dropout", 0.0, 0.7))
    return found


@dataclass(frozen=True)
class TuneOptions:
    """The options of the command ``tune``. ``metric``: to be low on validation; ``minutes``: no
    trial after that.
    """

    config: Config
    name: str
    space: tuple[Range, ...]
    metric: str
    trials: int
    minutes: float | None
    output: Path
    experiment: str


@dataclass(frozen=True)
class TuningResult:
    """The best trial's number, settings and validation metric, and how many trials there are of
    which kind.
    """

    run_id: str
    number: int
    settings: dict[str, Any]
    value: float
    complete: int
    pruned: int
    failed: int
    output: Path


def tune(asked: TuneOptions) -> TuningResult:
    """Go on with the study of this configuration, data and space up to so many trials; write the
    best configuration.
    """
    check_folder(asked.output.parent)
    for space in asked.space:  # refuses a key that is not there before anything is begun
        if space.key.startswith("data.") and space.key != "data.lookback":
            raise UserError(
                f"--space {space.key}: trials on other data do not compare; search model, trainer "
                "or data.lookback"
            )
        _with(asked.config, {space.key: space.choices[0] if space.choices else space.low})
    keys = [space.key for space in asked.space]
    if twins := [key for key in keys if keys.count(key) > 1]:
        raise UserError(f"--space {twins[0]}: given twice; give it once, with all that it may be")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = load_problem(asked.config.data)
    _check_model(asked, problem)
    content = [
        asked.config.model_dump(mode="json"),
        problem.table.digest,
        repr(asked.space),
        asked.metric,
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    check_folder(store.HOME)
    busy = "another process is searching this configuration, data and space; wait for its end"
    with exclusive_lock(store.HOME / f"tuning-{digest}.lock", busy):
        return _go_on(asked, problem, digest)


def _go_on(asked: TuneOptions, problem: Problem, digest: str) -> TuningResult:
    study = optuna.create_study(
        storage=f"sqlite:///{store.HOME / 'tuning.db'}",
        study_name=digest,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_WARM),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(
            trial.number, state=optuna.trial.TrialState.FAIL
        )  # it was interrupted, and is run again
    known = runs.find_runs(asked.experiment, {"study": digest, "kind": "tuning"})
    name, began = f"tune {asked.name}", time.monotonic()
    with tracking.open_run(asked.experiment, name, known[0]["run_id"] if known else None) as run:
        run.tags(
            {
                "kind": "tuning",
                "study": digest,
                "dataset": labels.dataset_name(problem),
                "code": code_version(),
            }
        )
        while (number := len(_ended(study))) < asked.trials:
            if asked.minutes is not None and time.monotonic() - began > 60 * asked.minutes:
                print(
                    f"the time is up: {asked.trials - number} trial(s) left for the next call",
                    file=sys.stderr,
                )
                break
            seed = 100_003 * asked.config.trainer.seed + number
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_WARM)
            _try(study, number, asked, problem, run)
        return _best(study, asked, run)


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    kinds = [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]
    return study.get_trials(deepcopy=False, states=kinds)


def _check_model(asked: TuneOptions, problem: Problem) -> None:
    """The metric can be had of the model and the data, and what is searched has a say in it."""
    model = new_model(asked.config, problem)
    idle = [space.key for space in asked.space if space.key.startswith("trainer.")]
    if idle and not any(p.requires_grad for p in model.parameters()):
        raise UserError(
            f"this model has no weights to train, so {idle[0]} changes nothing; search its own "
            "keys, --space model.KEY=…"
        )
    if model.distribution == "none" and asked.metric not in {"mse", "mae"}:
        raise UserError(
            f"--metric {asked.metric}: this model gives a point forecast only; choose mse or mae"
        )
    rows = [
        s.values[b.train : b.validation]
        for s, b in zip(problem.table.series, problem.borders, strict=True)
    ]
    if not any(np.isfinite(values).any() for values in rows):
        raise UserError(
            f"{problem.table.path}: the validation rows hold no value to judge trials by; see check"
        )


def _try(
    study: optuna.Study, number: int, asked: TuneOptions, problem: Problem, run: tracking.Run
) -> None:
    """One trial, trained and judged on validation. One that is worse than the median of the others'
    epochs ends early.
    """
    trial = study.ask({space.key: space.distribution for space in asked.space})
    settings = {space.key: space.value(trial.params[space.key]) for space in asked.space}
    shown = ", ".join(f"{key}={_short(value)}" for key, value in settings.items())
    print(f"trial {number + 1} of {asked.trials}: {shown}", file=sys.stderr)
    with tracking.open_run(asked.experiment, f"trial {number + 1}", parent=run.run_id) as part:
        part.parameters(settings)
        part.tags({"kind": "trial"})
        try:
            value = _validated(trial, _with(asked.config, settings), asked, problem, part)
        except optuna.TrialPruned:
            part.tags({"trial": "pruned"})
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            print(f"trial {number + 1}: ended early", file=sys.stderr)
        except UserError as error:  # it diverged, say: the worst there can be
            part.tags({"trial": f"failed: {error}"})
            trial.set_user_attr("failed", str(error))
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            print(f"trial {number + 1}: failed: {error}", file=sys.stderr)
        else:
            part.metrics({f"val/{asked.metric}": value})
            study.tell(trial, value)
            print(f"trial {number + 1}: val/{asked.metric} {value:.5g}", file=sys.stderr)


def _validated(
    trial: optuna.Trial, config: Config, asked: TuneOptions, problem: Problem, run: tracking.Run
) -> float:
    settings = config.trainer
    if config.data != asked.config.data:
        problem = load_problem(config.data, problem.table)
    # losses of models that differ in what they are trained on do not tell which is better
    comparable = all(
        space.key.startswith(("trainer.", "data.", "model.network.")) for space in asked.space
    )

    def report(losses: dict[str, float], epoch: int) -> None:
        run.metrics(losses, epoch)
        # stages come first under names of their own, and are not what is judged
        if comparable and "val/loss" in losses:
            trial.report(losses["val/loss"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    model = new_model(config, problem)
    run.tags(labels.tags(config, problem, model))
    with tempfile.TemporaryDirectory() as checkpoints:
        fit(model, window_data(config, problem), settings, Path(checkpoints), report)
    if asked.metric in {"mse", "mae"}:
        scoring = Scoring("point", limit=settings.point_windows)
    else:
        scoring = Scoring(
            "probabilistic",
            settings.score_samples,
            limit=settings.score_windows or None,
            seed=settings.seed,
        )
    found = evaluate(model, problem, "validation", scoring)
    if asked.metric not in found:
        raise UserError(
            f"--metric {asked.metric}: the validation windows that are scored hold no value for it"
        )
    return found[asked.metric]


def _with(config: Config, settings: Mapping[str, Any]) -> Config:
    content = config.model_dump(mode="json")
    for key, value in settings.items():
        *sections, last = key.split(".")
        part: Any = content
        for section in sections:
            part = part.get(section) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            raise UserError(f"--space {key}: no such section in the configuration")
        part[last] = value
    return check_config(content, "--space")


def _best(study: optuna.Study, asked: TuneOptions, run: tracking.Run) -> TuningResult:
    ended = _ended(study)
    complete = [trial for trial in ended if trial.state == optuna.trial.TrialState.COMPLETE]
    if not complete:
        raise UserError(
            "no trial came to its end; give more --time, more --trials, or a narrower --space"
        )
    best = min(complete, key=lambda trial: trial.value if trial.value is not None else float("inf"))
    settings = {space.key: space.value(best.params[space.key]) for space in asked.space}
    assert best.value is not None
    text = (
        f"# {asked.name}, tuned: the best of {len(ended)} trials, val/{asked.metric} "
        f"{best.value:.5g}.\n" + dump_config(_with(asked.config, settings))
    )
    write_together({asked.output: lambda path: path.write_text(text, encoding="utf-8")})
    run.file(asked.output)
    run.metrics({f"val/{asked.metric}": best.value})
    run.tags(
        {f"best.{key}": str(value) for key, value in settings.items()}
    )  # tags, since the next call may change them
    number = ended.index(best) + 1
    failed = sum("failed" in trial.user_attrs for trial in ended)
    pruned = len(ended) - len(complete) - failed
    return TuningResult(
        run.run_id, number, settings, best.value, len(complete), pruned, failed, asked.output
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
