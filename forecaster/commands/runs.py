"""The commands for tracked runs: ``runs``, ``report`` and ``ui``."""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forecaster.commands.options import json_option, print_json, print_table

# the metrics that `runs list` shows, with their heads
_SHOWN = {"test/mase": "mase", "test/crps": "crps", "test/coverage/90": "in 90 %"}
_LONGEST = 40  # characters of a name


@click.group()
def runs() -> None:
    """List and compare the tracked runs."""


@runs.command("list")
@click.option("--experiment", help="One experiment only.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
def runs_list(experiment: str | None, limit: int, as_json: bool) -> None:
    """List the newest runs; their errors are those on the test windows.

    run: an id that every command takes. in 90 %: the share of values in the 90 % interval. verdict:
    against seasonal naive.
    """
    from forecaster.tracking.query import list_runs

    selected = list_runs(experiment, limit)
    if as_json:
        print_json({"runs": selected})
        return
    rows = [_row(run) for run in selected]
    head = ["run", "name", "preset", "data", "started", "status", *_SHOWN.values(), "verdict"]
    print_table(head, rows, left=(0, 1, 2, 3, 4, 5))


def _row(run: Mapping[str, Any]) -> list[str]:
    from forecaster.tracking.references import short

    params, tags, metrics = run["params"], run["tags"], run["metrics"]
    name = run["name"]
    return [
        short(run["run_id"]),
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
        tags.get("preset") or params.get("model") or params.get("model.name", "-"),
        params.get("data.dataset") or Path(params.get("data.csv", "-")).name,
        f"{datetime.fromtimestamp(run['started'] / 1000):%Y-%m-%d %H:%M}",
        run["status"].lower(),
        *(f"{metrics[key]:.4g}" if key in metrics else "" for key in _SHOWN),
        _verdict(metrics.get("skill/percent")),
    ]


def _verdict(closer: float | None) -> str:
    """How much closer than seasonal naive the forecasts were."""
    if closer is None or not math.isfinite(closer):
        return ""
    return f"{closer:.0f} % closer" if closer >= 0 else f"{-closer:.0f} % WORSE"


@runs.command("compare")
@click.argument("references", nargs=-1, required=True, metavar="RUN RUN…")
@json_option
def runs_compare(references: tuple[str, ...], as_json: bool) -> None:
    """Compare runs: the parameters that differ, and the final metrics.

    RUN: latest, a name, the first characters of an id, a model's folder, models:/NAME@ALIAS.
    """
    from forecaster.inference.locate import find_run

    selected = [find_run(reference) for reference in references]
    if as_json:
        print_json({"runs": selected})
        return
    keys = sorted({key for run in selected for key in run["params"]})
    differing = [key for key in keys if len({run["params"].get(key) for run in selected}) > 1]
    rows = [[key, *(run["params"].get(key, "") for run in selected)] for key in differing]
    for name in sorted(
        {m for run in selected for m in run["metrics"] if m.startswith(("val/", "test/"))}
    ):
        rows.append(
            [name, *(f"{r['metrics'][name]:.5g}" if name in r["metrics"] else "" for r in selected)]
        )
    print_table(
        ["", *(run["name"] for run in selected)], [[str(cell)[:44] for cell in row] for row in rows]
    )


@runs.command("log")
@click.argument("folder", type=click.Path(path_type=Path))
def runs_log(folder: Path) -> None:
    """Log the entries in FOLDER, which a run saved while the tracking server was unavailable."""
    from forecaster.tracking.run import log_unsent

    click.echo(f"run    {log_unsent(folder)}")


@click.command()
@click.argument("references", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True
)
@json_option
def report(references: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Write an HTML page about runs: data, forecasts, metrics, calibration, lineage.

    RUN: latest, a name, the first characters of an id, a model's folder, models:/NAME@ALIAS.
    """
    from forecaster.workflows import report as reporting

    run_ids = reporting.report(references, output)
    if as_json:
        print_json({"output": str(output), "runs": run_ids})
    else:
        click.echo(str(output))


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def ui(port: int) -> None:
    """Serve the MLflow UI on this machine only; with a tracking server, print its URL."""
    import os

    from forecaster.tracking.retry_queue import is_remote
    from forecaster.tracking.store import store_uri, ui_command, ui_page

    if is_remote(store_uri()):
        click.echo(ui_page(port))
        return
    click.echo(f"the runs: {ui_page(port)}  (Ctrl-C ends the server)", err=True)
    command = ui_command(port)
    os.execv(command[0], command)  # noqa: S606 (signals reach the server, which ends its own workers)
