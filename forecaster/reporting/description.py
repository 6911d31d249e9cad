"""A run's description in Markdown, which the tracking UI shows above its figures."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from forecaster.config.program import program
from forecaster.data.periods import in_words, seasons_in_words
from forecaster.data.problem import Problem
from forecaster.reporting.markdown import code_block, code_span, markdown_table
from forecaster.reporting.summary import TRAINING

# the tag that MLflow shows as a run's description
TAG = "mlflow.note.content"


def describe(
    problem: Problem, run_id: str, verdict: str, rows: Sequence[Sequence[str]], fitted: str
) -> str:
    """The verdict, then a table of its figures, the data, and what to do with the model.

    ``rows``: metrics on validation and test, and of seasonal naive. ``fitted``: a sentence on the
    rows that the model has learnt from.
    """
    config, interval = problem.config, problem.table.interval
    name = config.dataset or Path(problem.table.path).name
    facts = [
        f"data: {code_span(name)}",
        f"horizon: {_span(problem, config.horizon)}; lookback: {_span(problem, config.lookback)}",
        f"seasons: {seasons_in_words(interval, problem.seasons)}",
        fitted,
    ]
    return "\n\n".join(
        [
            verdict,
            markdown_table(TRAINING, rows),
            "\n".join(f"- {fact}" for fact in facts),
            code_block(_commands(problem, run_id)),
        ]
    )


def _span(problem: Problem, steps: int) -> str:
    words, count = in_words(problem.table.interval, steps), f"{steps} steps"
    return count if words == count else f"{count} ({words})"


def _commands(problem: Problem, run_id: str) -> list[str]:
    """How to forecast with a run's model, and how to compare the run."""
    config = problem.config
    file = shlex.quote(config.csv or (problem.table.path if config.dataset else "FILE"))
    return [
        f"{program()} forecast --model runs:/{run_id}/model --csv {file} --output forecast.csv",
        f"{program()} runs compare {run_id} OTHER_RUN",
        f"{program()} report {run_id} --output report.html",
    ]
