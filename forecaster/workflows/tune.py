"""Tuning: a search over a configuration's keys, on training and validation data only.

Each trial is a run in MLflow. Trial n draws from a sampler seeded by (seed, n), so that a resumed
study gives the same trials as an uninterrupted one.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml

from forecaster.config.load import check_config, dump_config
from forecaster.config.parts import Trust
from forecaster.config.schema import Config
from forecaster.data.doubtful import doubts
from forecaster.data.problem import Problem, load_problem, load_table
from forecaster.data.report import briefly
from forecaster.errors import UserError
from forecaster.evaluation.score import evaluate, scorings_of
from forecaster.io.atomic import check_file, check_folder, exclusive_lock, write_together
from forecaster.models.ensemble import EnsembleConfig
from forecaster.tracking import labels, store
from forecaster.tracking import query as runs
from forecaster.tracking import run as tracking
from forecaster.tracking.provenance import code_version
from forecaster.training.calendar_choice import choose_calendar
from forecaster.training.fit import fit, new_model, window_data
from forecaster.training.limit import Limit
from forecaster.training.stages import TERMINAL
from forecaster.workflows.settle import settle, settle_width

# random trials before the sampler models the results, and before any trial is pruned
_STARTUP_TRIALS = 4


@dataclass(frozen=True)
class Range:
    """A key of the configuration and its range: an interval, or one of ``choices``.

    The interval is one of whole numbers if both ends are.
    """

    key: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def distribution(self) -> optuna.distributions.BaseDistribution:
        """Optuna's distribution; choices are JSON texts, since they may be sections."""
        if self.choices:
            return optuna.distributions.CategoricalDistribution(
                [json.dumps(choice) for choice in self.choices]
            )
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return optuna.distributions.IntDistribution(self.low, self.high, log=self.log)
        return optuna.distributions.FloatDistribution(self.low, self.high, log=self.log)

    def value(self, suggested: Any) -> Any:
        """The configuration's value for Optuna's suggestion."""
        return json.loads(suggested) if self.choices else suggested


def parse_range(text: str) -> Range:
    """Parse ``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log``, or ``KEY=A|B|C`` with YAML values."""
    key, equals, values = text.partition("=")
    usage = f"--space {text}: write KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A|B|C"
    if not equals or not key.strip():
        raise UserError(usage)
    try:
        if ".." in values:
            span, _, scale = values.partition(":")
            low, high = (yaml.safe_load(end) for end in span.split("..", 1))
            low, high = (float(end) if isinstance(end, str) else end for end in (low, high))
            if scale not in {"", "log"} or not low < high or (scale == "log" and low <= 0):
                raise UserError(f"{usage}; LOW below HIGH, and above 0 for a logarithmic scale")
            return Range(key.strip(), low, high, scale == "log")
        choices = tuple(yaml.safe_load(choice) for choice in values.split("|"))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(usage) from error
    try:
        json.dumps(choices)  # the form in which the study stores them
    except TypeError as error:
        raise UserError(
            f"--space {text}: a choice is a number, a text, a list or a section, not a date"
        ) from error
    return Range(key.strip(), choices=choices)


def default_space(config: Config) -> list[Range]:
    """Learning rates (a tenth to ten times), batch sizes, the network's size and its dropout."""
    settings, space = config.trainer, []
    space.append(
        Range(
            "trainer.learning_rate",
            settings.learning_rate / 10,
            settings.learning_rate * 10,
            log=True,
        )
    )
    if settings.stage_learning_rate is not None:
        rate = settings.stage_learning_rate
        space.append(Range("trainer.stage_learning_rate", rate / 10, rate * 10, log=True))
    space.append(Range("trainer.batch_size", choices=(16, 32, 64, 128)))
    network, prefix = getattr(config.model, "network", None), "model.network."
    if network is None:
        network, prefix = config.model, "model."
    for name in ("width", "layers"):
        size = getattr(network, name, None)
        if size is not None:
            space.append(
                Range(prefix + name, choices=tuple(sorted({max(size // 2, 1), size, 2 * size})))
            )
    if hasattr(network, "dropout"):
        space.append(Range(prefix + "dropout", 0.0, 0.7))
    return space


@dataclass(frozen=True)
class TuneOptions:
    """The options of ``tune``; ``metric``: minimised on validation, ``limit``: of the time.

    ``asked``: the configuration keys that the user set. ``source``: the file of the configuration.
    """

    config: Config
    name: str
    space: tuple[Range, ...]
    metric: str
    trials: int
    limit: Limit | None
    output: Path
    experiment: str
    asked: tuple[str, ...] = ()
    source: Path | None = None


@dataclass(frozen=True)
class TuningResult:
    """The best trial's number, settings and validation metric; numbers of trials by state."""

    run_id: str
    number: int
    settings: dict[str, Any]
    value: float
    complete: int
    pruned: int
    failed: int
    output: Path


def tune(options: TuneOptions) -> TuningResult:
    """Run or resume a configuration's study on its data; write the best configuration."""
    check_file(options.output, (".yaml", ".yml"), options.source)
    for space in options.space:  # refuses an unknown key before any work is done
        if space.key.startswith("data.") and space.key != "data.lookback":
            raise UserError(
                f"--space {space.key}: trials on other data do not compare; search model, trainer "
                "or data.lookback"
            )
        _with_settings(
            options.config, {space.key: space.choices[0] if space.choices else space.low}
        )
    keys = [space.key for space in options.space]
    if repeated := [key for key in keys if keys.count(key) > 1]:
        raise UserError(f"--space {repeated[0]}: given twice; give it once, with all of its values")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = load_table(options.config.data)
    settled, _ = settle(options.config, table)
    table.report.decisions += doubts(table, settled.data)
    problem = load_problem(settled.data, table)
    settled = settled.model_copy(update={"data": problem.config})
    settled, _ = settle_width(settled, problem, (*options.asked, *keys))
    for decision in briefly(problem.table.report.decisions):
        print(decision, file=sys.stderr)
    options = replace(options, config=settled)
    _check_study(options, problem)
    content = [
        options.config.model_dump(mode="json"),
        problem.table.digest,
        repr(options.space),
        options.metric,
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    check_folder(store.HOME)
    busy = "another process is searching this configuration, data and space; wait for its end"
    with exclusive_lock(store.HOME / f"tuning-{digest}.lock", busy):
        return _run_study(options, problem, digest)


def _run_study(options: TuneOptions, problem: Problem, digest: str) -> TuningResult:
    study = optuna.create_study(
        storage=f"sqlite:///{store.HOME / 'tuning.db'}",
        study_name=digest,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        # it was interrupted, and is repeated
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    known = runs.find_runs(options.experiment, {"study": digest, "kind": "tuning"})
    name, limit, cut = f"tune {options.name}", options.limit, None
    with tracking.open_run(options.experiment, name, known[0]["run_id"] if known else None) as run:
        run.tags(
            {
                "kind": "tuning",
                "study": digest,
                "dataset": labels.dataset_name(problem),
                "code": code_version(),
            }
        )
        while (number := len(_finished(study))) < options.trials:
            if cut is not None or (limit is not None and limit.over()):
                print(
                    f"time limit: {options.trials - number} trial(s) left for the next call",
                    file=sys.stderr,
                )
                break
            seed = 100_003 * options.config.trainer.seed + number
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
            cut = _run_trial(study, number, options, problem, run)
        return _best(study, options, run, cut)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    states = [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]
    return study.get_trials(deepcopy=False, states=states)


def _check_study(options: TuneOptions, problem: Problem) -> None:
    """Raise UserError if the model or data lack the metric, or the space has no effect."""
    if isinstance(options.config.model, EnsembleConfig):
        raise UserError(
            "an ensemble has no settings of its own to search; search those of a member by itself: "
            f"tune {options.config.model.members[-1].name}"
        )
    model = new_model(options.config, problem)
    trainer_keys = [space.key for space in options.space if space.key.startswith("trainer.")]
    if trainer_keys and not any(p.requires_grad for p in model.parameters()):
        raise UserError(
            f"this model has no weights to train, so {trainer_keys[0]} has no effect; search its "
            "own keys, --space model.KEY=…"
        )
    if model.distribution == "none" and options.metric not in {"mse", "mae"}:
        raise UserError(
            f"--metric {options.metric}: the samples of this model are made of its errors on "
            "validation; choose mse or mae"
        )
    rows = [
        s.values[b.train : b.validation]
        for s, b in zip(problem.table.series, problem.borders, strict=True)
    ]
    if not any(np.isfinite(values).any() for values in rows):
        raise UserError(
            f"{problem.table.path}: the validation rows hold no value to score trials on; see check"
        )


@dataclass(frozen=True)
class _Cut:
    """The result of a trial that the time limit cut short."""

    settings: dict[str, Any]
    value: float


def _run_trial(
    study: optuna.Study, number: int, options: TuneOptions, problem: Problem, run: tracking.Run
) -> _Cut | None:
    """Train one trial and score it on validation; pruned if worse than the median at an epoch.

    One that the time limit cut short does not count in the study, and is returned.
    """
    trial = study.ask({space.key: space.distribution for space in options.space})
    settings = {space.key: space.value(trial.params[space.key]) for space in options.space}
    shown = ", ".join(f"{key}={_short(value)}" for key, value in settings.items())
    print(f"trial {number + 1} of {options.trials}: {shown}", file=sys.stderr)
    with tracking.open_run(
        options.experiment, f"trial {number + 1}", parent=run.run_id
    ) as trial_run:
        trial_run.parameters(settings)
        trial_run.tags({"kind": "trial"})
        try:
            value, stopped = _validation_metric(
                trial, _with_settings(options.config, settings), options, problem, trial_run
            )
        except optuna.TrialPruned:
            trial_run.tags({"trial": "pruned"})
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            print(f"trial {number + 1}: pruned", file=sys.stderr)
        except UserError as error:  # for example it diverged: recorded as failed, never the best
            trial_run.tags({"trial": f"failed: {error}"})
            trial.set_user_attr("failed", str(error))
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            print(f"trial {number + 1}: failed: {error}", file=sys.stderr)
        else:
            trial_run.metrics({f"val/{options.metric}": value})
            if stopped:
                trial_run.tags({"trial": "cut", "stopped_by_time_limit": ", ".join(stopped)})
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                print(
                    f"trial {number + 1}: val/{options.metric} {value:.5g}, cut by the time limit; "
                    "the next call repeats it",
                    file=sys.stderr,
                )
                return _Cut(settings, value)
            study.tell(trial, value)
            print(f"trial {number + 1}: val/{options.metric} {value:.5g}", file=sys.stderr)
    return None


def _validation_metric(
    trial: optuna.Trial, config: Config, options: TuneOptions, problem: Problem, run: tracking.Run
) -> tuple[float, list[str]]:
    """The metric, and the stages of the training that the time limit stopped."""
    settings = config.trainer
    if config.data != options.config.data:
        problem = load_problem(config.data, problem.table)
    # trials are pruned by validation losses, which compare only between models of one objective
    comparable = all(
        space.key.startswith(("trainer.", "data.", "model.network.")) for space in options.space
    )

    def report(losses: dict[str, float], epoch: int) -> None:
        run.metrics(losses, epoch)
        # stages report under their own names, and are not used for pruning
        if comparable and "val/loss" in losses:
            trial.report(losses["val/loss"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    with tempfile.TemporaryDirectory() as checkpoints:
        limit = options.limit
        chosen = choose_calendar(config, problem, Path(checkpoints), report, TERMINAL, limit)
        config, problem = chosen.config, chosen.problem
        model = new_model(config, problem)
        run.tags(labels.tags(config, problem, model))
        windows = window_data(config, problem)
        stopped = fit(model, windows, settings, chosen.folder, report, TERMINAL, limit)
    scoring, sampled = scorings_of(model, settings)
    if options.metric not in {"mse", "mae"}:
        scoring = sampled or replace(scoring, mode="probabilistic", limit=None)
    metrics = evaluate(model, problem, "validation", scoring)
    if options.metric not in metrics:
        raise UserError(
            f"--metric {options.metric}: the scored validation windows hold no value for it"
        )
    return metrics[options.metric], stopped


def _with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    content = config.model_dump(mode="json")
    for key, value in settings.items():
        *sections, last = key.split(".")
        part: Any = content
        for section in sections:
            part = part.get(section) if isinstance(part, dict) else None
        if not isinstance(part, dict):
            raise UserError(f"--space {key}: no such section in the configuration")
        part[last] = value
    return check_config(content, "--space", Trust(code=True))


def _best(
    study: optuna.Study, options: TuneOptions, run: tracking.Run, cut: _Cut | None
) -> TuningResult:
    """The best of the complete trials; without one, that which the time limit cut short."""
    finished = _finished(study)
    complete = [trial for trial in finished if trial.state == optuna.trial.TrialState.COMPLETE]
    if not complete and cut is None:
        raise UserError(
            "no trial was completed; give more --time-limit, more --trials, or a narrower --space"
        )
    number, settings, value = len(finished) + 1, {}, float("inf")
    if complete:
        best = min(complete, key=lambda trial: _value(trial))
        settings = {space.key: space.value(best.params[space.key]) for space in options.space}
        number, value = finished.index(best) + 1, _value(best)
    elif cut is not None:
        settings, value = cut.settings, cut.value
    text = (
        f"# {options.name}, tuned: the best of {max(len(finished), 1)} trials, "
        f"val/{options.metric} {value:.5g}.\n"
        + dump_config(_with_settings(options.config, settings))
    )
    write_together({options.output: lambda path: path.write_text(text, encoding="utf-8")})
    run.file(options.output)
    run.metrics({f"val/{options.metric}": value})
    # tags, since unlike parameters they can be changed by the next call
    run.tags({f"best.{key}": str(value) for key, value in settings.items()})
    failed = sum("failed" in trial.user_attrs for trial in finished)
    pruned = len(finished) - len(complete) - failed
    return TuningResult(
        run.run_id, number, settings, value, len(complete), pruned, failed, options.output
    )


def _value(trial: optuna.trial.FrozenTrial) -> float:
    return float("inf") if trial.value is None else trial.value


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
