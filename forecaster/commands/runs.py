"""The commands for tracked runs: ``runs``, ``report`` and ``ui``."""

from pathlib import Path

import click

from forecaster.commands.options import json_option, print_json, print_table


@click.group()
def runs() -> None:
    """List and compare the tracked runs."""


@runs.command("list")
@click.option("--experiment", help="One experiment only.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@json_option
def runs_list(experiment: str | None, limit: int, as_json: bool) -> None:
    """List the newest runs."""
    from forecaster.tracking.query import list_runs

    selected = list_runs(experiment, limit)
    if as_json:
        print_json({"runs": selected})
        return
    shown = ("test/mse", "test/mae", "test/crps", "test/coverage/90")
    rows = []
    for run in selected:
        data = run["params"].get("data.dataset") or Path(run["params"].get("data.csv", "-")).name
        metrics = [f"{run['metrics'][m]:.4g}" if m in run["metrics"] else "" for m in shown]
        closer = run["metrics"].get("skill/percent")
        rows.append(
            [
                run["run_id"],
                run["name"],
                run["status"],
                run["params"].get("model.name", "-"),
                data,
                *metrics,
                "" if closer is None else f"{closer:.0f} %",
            ]
        )
    head = ["run", "name", "status", "model", "data", *shown, "closer than seasonal naive"]
    print_table(head, rows)


@runs.command("compare")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN RUN…")
@json_option
def runs_compare(run_ids: tuple[str, ...], as_json: bool) -> None:
    """Compare runs: the parameters that differ, and the final metrics."""
    from forecaster.tracking.query import get_run

    selected = [get_run(run_id) for run_id in run_ids]
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
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True
)
@json_option
def report(run_ids: tuple[str, ...], output: Path, as_json: bool) -> None:
    """Write an HTML page about runs: data, forecasts, metrics, calibration, lineage."""
    from forecaster.reporting.html import write_report

    write_report(run_ids, output)
    if as_json:
        print_json({"output": str(output), "runs": list(run_ids)})
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
