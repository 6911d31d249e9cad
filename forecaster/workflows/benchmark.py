"""A benchmark: run the cells of a suite, each as an MLflow run, and tabulate those runs.

All state is in the tracking store: finished cells are not run again, interrupted ones resume.
"""

import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from forecaster.config.parts import custom_names
from forecaster.data.problem import Problem, load_problem
from forecaster.errors import UserError
from forecaster.evaluation.score import Scoring, evaluate, forecast_windows
from forecaster.inference.locate import open_model
from forecaster.inference.saved_model import SavedModel
from forecaster.io.atomic import check_folder, write_together
from forecaster.io.output_tables import table_bytes
from forecaster.models.diffusion.forecaster import Diffusion
from forecaster.reporting.markdown import put_between
from forecaster.reporting.plots import check_picture, plot_steps
from forecaster.tracking import query as runs
from forecaster.tracking import run as tracking
from forecaster.tracking import store
from forecaster.tracking.provenance import code_version, versions
from forecaster.training.limit import Limit
from forecaster.training.stages import OutOfTimeError, quiet_libraries
from forecaster.workflows import train as training
from forecaster.workflows.benchmark_peers import score_peer
from forecaster.workflows.benchmark_process import alone
from forecaster.workflows.benchmark_results import Elsewhere, add_results, elsewhere
from forecaster.workflows.benchmark_suite import (
    CALIBRATION,
    COSTS,
    Cell,
    CellFilter,
    Suite,
    check_data,
    find_suite,
    lay_out,
    step_metric,
)
from forecaster.workflows.benchmark_table import (
    Layout,
    links,
    pages_in,
    validation_metrics,
    write_pages,
)
from forecaster.workflows.peer_runner import peak_memory
from forecaster.workflows.train_bounds import SETTINGS


@dataclass(frozen=True)
class BenchmarkOptions:
    """The options of the command ``benchmark``.

    ``limit``: no cell starts after it, and a training that goes on then is suspended. ``results``:
    a file of cells that are not run again, to which finished ones are added.
    """

    suite: str
    only: CellFilter
    limit: Limit | None = None
    output: Path | None = None
    into: Path | None = None
    plot: Path | None = None
    pages: Path | None = None
    results: Path | None = None


@dataclass(frozen=True)
class BenchmarkResult:
    """The number of ``done`` cells of the selected ``cells``, failures, and the table."""

    done: int
    cells: int
    failures: list[str]
    text: str
    markdown: Path
    csv: Path


def benchmark(options: BenchmarkOptions) -> BenchmarkResult:
    """Run the missing cells of a suite, and write the table of all finished ones."""
    name, suite = find_suite(options.suite)
    cells, all_cells = lay_out(suite, options.only), lay_out(suite, CellFilter())
    check_data(cells)
    folder = options.output or store.HOME / "benchmarks"
    check_folder(folder)
    if options.plot is not None:
        check_picture(options.plot)
        if not suite.steps:
            raise UserError("--plot: draws metrics against 'steps', which the suite does not give")
    if options.pages is not None and suite.columns != "models":
        raise UserError("--pages: are of a suite with 'columns: models', which this one is not")
    if options.results is not None:
        check_folder(options.results.resolve().parent)
    kept = elsewhere(options.results, suite, all_cells)
    if options.into is not None:
        put_between(options.into, name, "")  # fail early if the file has no place for the table
    counts = Counter(cell.data for cell in all_cells)
    markdown, csv = folder / f"{name}.md", folder / f"{name}.csv"
    pages = {}
    if options.pages is not None:
        pages = pages_in(options.pages, Layout(options.suite, suite, [], counts))
        taken = [each.resolve() for each in (markdown, options.into) if each is not None]
        if any(page.resolve() in taken for page in pages.values()):
            raise UserError(f"--pages {options.pages}: a page has the name of the table's document")
    experiment = f"benchmark {name}"
    cell_runs = _runs(experiment)
    missing = [
        cell
        for cell in cells
        if not kept.has(cell) and not _is_done(suite, cell_runs.get(cell.key))
    ]
    failures: list[str] = []
    if missing:
        parents = runs.find_runs(experiment, {"suite": name})
        with tracking.open_run(
            experiment, name, parents[0]["run_id"] if parents else None
        ) as parent:
            parent.tags({"kind": "benchmark", "suite": name})
            limit = None if options.limit is None else replace(options.limit, suspends=True)
            failures = _run_all(suite, missing, cell_runs, experiment, parent.run_id, limit)
    cell_runs = _runs(experiment)
    kept = elsewhere(options.results, suite, all_cells)  # with what others added meanwhile
    rows = [row for cell in all_cells for row in _known(suite, cell, kept, cell_runs)]
    layout = Layout(options.suite, suite, rows, counts)
    text = layout.text()
    frame = pd.DataFrame(rows)
    write_together(
        {
            markdown: lambda path: path.write_text(text, encoding="utf-8"),
            csv: lambda path: path.write_bytes(table_bytes(frame, ".csv")),
        }
    )
    if options.results is not None:
        add_results(options.results, rows)
    pages = write_pages(pages, layout)
    if options.into is not None:
        put_between(options.into, name, layout.text(links(pages, options.into) if pages else None))
    if options.plot is not None and rows:
        write_together({options.plot: lambda path: plot_steps(path, frame, suite.metrics)})
    done = sum(kept.has(cell) or _is_done(suite, cell_runs.get(cell.key)) for cell in cells)
    return BenchmarkResult(done, len(cells), failures, text, markdown, csv)


def _runs(experiment: str) -> dict[str, dict[str, Any]]:
    """The runs of cells by key; of several with one key the newest that is finished, if any is."""
    by_key: dict[str, dict[str, Any]] = {}
    for run in reversed(runs.find_runs(experiment)):  # the newest last
        key, finished = run["tags"].get("cell"), run["status"] == "FINISHED"
        if key is not None and (
            finished or key not in by_key or by_key[key]["status"] != "FINISHED"
        ):
            by_key[key] = run
    return by_key


def _is_done(suite: Suite, run: Mapping[str, Any] | None) -> bool:
    if run is None or run["status"] != "FINISHED":
        return False
    required = {step_metric(metric, *walk) for walk in suite.walks for metric in suite.metrics}
    required |= COSTS & set(suite.metrics)
    return required <= set(run["metrics"]) and run["tags"].get("scoring", "") == suite.scoring


def _run_all(
    suite: Suite,
    cells: Sequence[Cell],
    cell_runs: Mapping[str, Mapping[str, Any]],
    experiment: str,
    parent: str,
    limit: Limit | None,
) -> list[str]:
    """Run the cells until the time is up, and return the failures."""
    failures = []
    for number, cell in enumerate(cells, start=1):
        left = f"{len(cells) - number + 1} cell(s) left for the next call"
        if limit is not None and limit.over():
            print(f"the time is up: {left}", file=sys.stderr)
            break
        print(f"[{number}/{len(cells)}] {cell.title}", file=sys.stderr)
        try:
            given = suite, cell, cell_runs.get(cell.key), experiment, parent, limit
            if cell.peer is not None:
                _run_peer(*given)
            elif suite.threads is not None:
                alone(suite.threads, _run_quietly, *given)
            else:
                _run(*given)
        except OutOfTimeError as error:
            print(f"{error}; {left}", file=sys.stderr)
            break
        except UserError as error:
            failures.append(f"{cell.title}: {error}")
            print(f"failed: {error}", file=sys.stderr)
    return failures


def _run_quietly(*given: Any) -> None:
    quiet_libraries()
    _run(*given)


def _run(
    suite: Suite,
    cell: Cell,
    run: Mapping[str, Any] | None,
    experiment: str,
    parent: str,
    limit: Limit | None,
) -> None:
    if run is not None and run["status"] == "FINISHED" and suite.threads is None:
        run_id = run["run_id"]
    elif run is not None and (store.CHECKPOINTS / run["run_id"] / "job.json").is_file():
        run_id = training.resume(run["run_id"], cell.config.data.csv, limit=limit).run_id
    else:
        run_id = training.train(
            training.TrainOptions(
                cell.config,
                experiment,
                cell.title,
                None,
                parent,
                _tags(cell),
                limit=limit,
                asked=SETTINGS,  # figures that are compared are of the same windows
            )
        ).run_id
    if suite.threads is not None:
        runs.log_metrics(run_id, _costs(f"runs:/{run_id}/model", cell))
    for s, n in suite.walks:
        scores = _score(suite, cell, f"runs:/{run_id}/model", s, n)
        if missing := [metric for metric in suite.metrics if metric not in scores]:
            raise UserError(
                f"scored in {n} steps, it has no {missing[0]}; leave the model or the metric out "
                "of the suite"
            )
        runs.log_metrics(
            run_id, {step_metric(metric, s, n): scores[metric] for metric in suite.metrics}
        )
    if suite.steps:
        runs.set_tag(run_id, "scoring", suite.scoring)


def _score(suite: Suite, cell: Cell, model: str, s: float | None, steps: int) -> dict[str, float]:
    """The metrics of a cell's saved model at a variance parameter and number of network calls."""
    saved, problem = _opened(model, cell)
    if s is not None:
        if not isinstance(saved.core, Diffusion):
            raise UserError(
                "it has no variance parameter s; leave the model or 's' out of the suite"
            )
        saved.core.sample_with(s)
    seed = cell.config.trainer.seed
    scoring = Scoring("probabilistic", suite.score_samples, steps, suite.score_windows, seed)
    return evaluate(saved.model, problem, suite.split, scoring)


def _opened(model: str, cell: Cell) -> tuple[SavedModel, Problem]:
    """A cell's saved model, and its data as the training settled them, in the file as it is now."""
    custom = any(custom_names(cell.config.model.model_dump(mode="json")))
    saved = open_model(model, None, trust_code=custom)
    data = saved.config.data.model_copy(update={"csv": cell.config.data.csv})
    return saved, load_problem(data)


def _costs(model: str, cell: Cell) -> dict[str, float]:
    """What a cell in a process of its own costs; its lines are the commands train and forecast."""
    saved, problem = _opened(model, cell)
    settings, windows = cell.config.trainer, problem.windows("test")
    scoring = Scoring("probabilistic", settings.score_samples, limit=settings.score_windows)
    scoring = replace(scoring, seed=settings.seed)
    began = time.monotonic()
    forecast_windows(saved.model, problem, windows, scoring)
    seconds = time.monotonic() - began
    return {"forecast_seconds": seconds, "peak_mb": peak_memory(), "lines": 2.0}


def _run_peer(
    suite: Suite,
    cell: Cell,
    run: Mapping[str, Any] | None,
    experiment: str,
    parent: str,
    limit: Limit | None,
) -> None:
    """Run a peer; why it fails is kept with its run, and told below the table."""
    earlier = None if run is None else run["run_id"]
    with tracking.open_run(experiment, cell.title, earlier, parent) as opened:
        opened.tags({**_tags(cell), "kind": "peer", "code": code_version(), "reason": ""})
        try:
            opened.metrics(score_peer(suite, cell, limit))
        except OutOfTimeError:
            raise
        except UserError as error:
            opened.tags({"reason": str(error)})
            raise


def _tags(cell: Cell) -> dict[str, str]:
    return {
        "cell": cell.key,
        "suite_model": cell.model,
        "suite_data": cell.data,
        "machine": machine(),
        "torch": versions()["torch"],
    }


def machine() -> str:
    """The hardware that times are measured on: the GPU, or the number of CPU cores."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} {platform.machine()} cores"


def _known(
    suite: Suite, cell: Cell, kept: Elsewhere, cell_runs: Mapping[str, Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """The table rows of a cell: those of the file, or of the store; of failures the store's."""
    if kept.has(cell):
        return kept.rows[cell.key]
    return list(_rows(suite, cell, cell_runs.get(cell.key))) or kept.rows.get(cell.key, [])


def _rows(suite: Suite, cell: Cell, run: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The table rows of a cell: one, or one for each number of steps."""
    done = _is_done(suite, run)
    if run is None or not (done or run["tags"].get("reason")):
        return
    config, metrics, tags = cell.config, run["metrics"], run["tags"]
    about = {
        "data": cell.data,
        "horizon": config.data.horizon,
        "model": cell.model,
        "seed": config.trainer.seed,
    }
    run_facts = {
        "train_seconds": metrics.get("train_seconds"),
        "run_id": run["run_id"],
        "date": pd.Timestamp(run["started"], unit="ms").strftime("%Y-%m-%d"),
        "cell": cell.key,
        **{key: tags.get(key) for key in ("code", "machine", "torch")},
    }
    if suite.scoring:
        run_facts["scoring"] = suite.scoring
    if not done:
        yield about | dict.fromkeys(suite.metrics) | run_facts | {"failed": tags["reason"]}
    elif suite.steps:
        for s, n in suite.walks:
            yield (
                about
                | ({} if s is None else {"s": s})
                | {"steps": n}
                | {m: metrics.get(step_metric(m, s, n)) for m in suite.metrics}
                | run_facts
            )
    else:
        validated = {m: metrics.get(m) for m in validation_metrics(suite)}
        bare = {*CALIBRATION, *COSTS}
        found = {m: metrics.get(m if m in bare else f"test/{m}") for m in suite.metrics}
        yield about | found | validated | run_facts
