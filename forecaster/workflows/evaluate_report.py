"""What an evaluation found: metrics, tables, pictures, the verdict."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from forecaster.data.problem import Problem
from forecaster.data.splits import Part
from forecaster.data.windows import Windows
from forecaster.evaluation.score import Scoring, WindowScores, interval_ends, worst_windows
from forecaster.evaluation.units import Units
from forecaster.inference.saved_model import SavedModel
from forecaster.io.tables import table_bytes
from forecaster.reporting.plots import Panel, plot_leads, plot_pit, plot_reliability, plot_windows
from forecaster.reporting.verdict import paired, verdict
from forecaster.tracking import labels
from forecaster.tracking.provenance import versions


@dataclass(frozen=True)
class Prepared:
    """A saved model and the windows that it is scored on; ``which`` says in words what they are."""

    saved: SavedModel
    problem: Problem
    windows: Windows
    part: Part
    scoring: Scoring
    which: str

    @property
    def prefix(self) -> str:
        """The beginning of the metrics' names."""
        return "val" if self.part == "validation" else "test"

    @property
    def season(self) -> int:
        """The interval's own, in steps."""
        return self.problem.table.interval.season

    @property
    def data_name(self) -> str:
        """The named data set, or the file's name."""
        return self.problem.config.dataset or Path(self.problem.table.path).name

    def about(self, count: int) -> str:
        """What ``count`` windows are, in words."""
        scale = "in the file's own units" if self.problem.protocol is None else "on z-scored values"
        ahead = f"{self.problem.config.horizon} steps ahead"
        return f"{count} windows of {self.data_name}, {self.which}, {ahead}, {scale}"


@dataclass(frozen=True)
class Evaluated:
    """The scores of a model and of seasonal naive on the same windows."""

    prepared: Prepared
    found: WindowScores
    naive: WindowScores

    @property
    def metrics(self) -> dict[str, float]:
        """Named ``test/…`` or ``val/…``."""
        return {f"{self.prepared.prefix}/{n}": v for n, v in self.found.pooled().items()}

    @property
    def baseline(self) -> dict[str, float]:
        """Seasonal naive's, under the same names."""
        return {f"{self.prepared.prefix}/{n}": v for n, v in self.naive.pooled().items()}

    @property
    def about(self) -> str:
        """What was scored, in words."""
        return self.prepared.about(len(self.found.numbers))

    @property
    def verdict(self) -> str:
        """Whether the point forecasts are better than repeating the season, in one sentence."""
        windows, table = self.prepared.windows, self.prepared.problem.table
        lengths = np.array([len(series.values) for series in table.series])
        owners = windows.owners[self.found.numbers].numpy()
        ends = lengths[owners] - windows.rows[self.found.numbers].numpy()
        pairs = paired(self.found, self.naive, owners, ends, windows.horizon)
        return verdict(pairs, table.interval, self.found.pooled().get("coverage/90"))


def write_evaluation(folder: Path, evaluated: Evaluated) -> None:
    """``evaluation/`` with metrics.json and the tables; ``plots/``."""
    for name in ("evaluation", "plots"):
        (folder / name).mkdir()
    summary = {
        "metrics": evaluated.metrics,
        "seasonal_naive": evaluated.baseline,
        "season": evaluated.prepared.season,
        "versions": versions(),
    }
    place = folder / "evaluation"
    (place / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, frame in tables_of(evaluated).items():
        (place / f"{name}.csv").write_bytes(table_bytes(frame, ".csv"))
    _draw(folder / "plots", evaluated)


def tables_of(evaluated: Evaluated) -> dict[str, pd.DataFrame]:
    """by_lead, by_series, windows; pit and ranks where there is a distribution."""
    found, table, windows = (
        evaluated.found,
        evaluated.prepared.problem.table,
        evaluated.prepared.windows,
    )
    frames = {
        "by_lead": pd.DataFrame({"lead": range(1, windows.horizon + 1), **found.totals.by_lead()})
    }
    names = [
        table.channel_label(series, k) for series in table.series for k in range(len(table.names))
    ]
    frames["by_series"] = pd.DataFrame({"item_id": names, **found.totals.by_series()})
    owners, rows = windows.owners[found.numbers].numpy(), windows.rows[found.numbers].numpy()
    grids = [table.interval.stamps(s.first, len(s.values)) for s in table.series]
    stamps = [grids[owner][row] for owner, row in zip(owners, rows, strict=True)]
    items = [table.series[owner].item_id or "" for owner in owners]
    frames["windows"] = pd.DataFrame(
        {"item_id": items, "first_target": stamps, "error": found.errors.numpy()}
    )
    for name, file in (("pit", "pit"), ("rank", "ranks")):
        if name in found.totals.sums:
            shares = found.totals.histogram(name)
            frames[file] = pd.DataFrame(
                {"from": np.arange(len(shares)) / len(shares), "share": shares}
            )
    return frames


def _draw(folder: Path, evaluated: Evaluated) -> None:
    found, naive, prepared = evaluated.found, evaluated.naive, evaluated.prepared
    title, leads = labels.title(prepared.saved.config), found.totals.by_lead()
    names = [name for name in ("mae", "mse", "crps", "coverage/90") if name in leads]
    plot_leads(
        folder / "by_lead.png",
        {n: {title: leads[n], "seasonal naive": naive.totals.by_lead().get(n)} for n in names},
    )
    if "pit" in found.totals.sums:
        shares = found.totals.histogram("pit")
        plot_pit(folder / "pit.png", shares)
        plot_reliability(folder / "reliability.png", shares)
    plot_windows(folder / "worst.png", _panels(found, prepared))


def _panels(found: WindowScores, prepared: Prepared) -> list[Panel]:
    """The worst windows, each by the channel that is furthest off."""
    model, table, windows, scoring = (
        prepared.saved.model,
        prepared.problem.table,
        prepared.windows,
        prepared.scoring,
    )
    numbers = worst_windows(found, windows)
    if not len(numbers):
        return []
    batch = windows[numbers].to(model.device)
    units = Units(prepared.problem, windows, model.device)
    with torch.no_grad():
        point = units.restore(model.predict(batch, scoring.steps), batch.index)
        ends = (
            interval_ends(model, batch, scoring, units) if scoring.mode == "probabilistic" else None
        )
    past, y = units.restore(batch.past, batch.index), units.truth(batch.index)
    past, y = (
        torch.where(batch.past_mask > 0, past, torch.nan),
        torch.where(batch.future_mask > 0, y, torch.nan),
    )
    off = (
        torch.nan_to_num((point - y).abs() / units.of(units.deviation, batch.index, 3))
        .sum(2)
        .argmax(1)
    )
    measure = "absolute error" if scoring.mode == "point" else "CRPS"
    errors, panels = dict(zip(found.numbers.tolist(), found.errors.tolist(), strict=True)), []
    for i, number in enumerate(numbers.tolist()):
        series, row, k = (
            table.series[int(windows.owners[number])],
            int(windows.rows[number]),
            int(off[i]),
        )
        grid = table.interval.stamps(series.first, len(series.values))
        length = min(2 * windows.horizon, windows.lookback, row)
        panels.append(
            Panel(
                f"{table.channel_label(series, k)}: window {i + 1}, {measure} {errors[number]:.2f} "
                "standard deviations",
                grid[row - length : row],
                grid[row : row + windows.horizon],
                past[i, k, windows.lookback - length :].cpu().numpy(),
                y[i, k].cpu().numpy(),
                point[i, k].cpu().numpy(),
                None if ends is None else ends[i, :, k].cpu().numpy(),
            )
        )
    return panels
