"""The output of an evaluation: metrics, tables, plots, verdict."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from forecaster.data.problem import Problem
from forecaster.data.splits import Part
from forecaster.data.windows import Windows
from forecaster.evaluation.effects import effects_of
from forecaster.evaluation.score import (
    Scoring,
    WindowScores,
    interval_ends,
    score_batch,
    worst_windows,
)
from forecaster.evaluation.units import Units
from forecaster.inference.saved_model import SavedModel
from forecaster.io.output_tables import table_bytes
from forecaster.models.seeds import window_seeds
from forecaster.reporting.plots import Panel, plot_leads, plot_pit, plot_reliability, plot_windows
from forecaster.reporting.verdict import Verdict, judge
from forecaster.tracking import labels
from forecaster.tracking.provenance import versions


@dataclass(frozen=True)
class Prepared:
    """A model and the windows to score; ``which`` describes them in words.

    ``learnt``: the model has learnt from some of their targets, or was chosen by them.
    ``held_out``: it is the one that was fitted without the newest rows, not that in service.
    """

    saved: SavedModel
    problem: Problem
    windows: Windows
    part: Part
    scoring: Scoring
    which: str
    learnt: bool = False
    held_out: bool = False

    @property
    def scored(self) -> str:
        """The scored one of a saved model's two models, in words."""
        return "the held-out model" if self.held_out else "the saved model"

    @property
    def prefix(self) -> str:
        """The prefix of metric names."""
        return "val" if self.part == "validation" else "test"

    @property
    def season(self) -> int:
        """The main season, in steps."""
        return self.problem.season

    @property
    def data_name(self) -> str:
        """The named data set, or the file's name."""
        return self.problem.config.dataset or Path(self.problem.table.path).name

    def about(self, count: int) -> str:
        """A description of ``count`` scored windows."""
        scale = "in the file's own units" if self.problem.protocol is None else "on z-scored values"
        ahead = f"{self.problem.config.horizon} steps ahead"
        scored = f", by {self.scored}" if self.held_out else ""
        return f"{count} windows of {self.data_name}, {self.which}, {ahead}, {scale}{scored}"


@dataclass(frozen=True)
class Evaluated:
    """The scores of a model and of seasonal naive on the same windows."""

    prepared: Prepared
    scores: WindowScores
    naive: WindowScores

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics, named ``test/…`` or ``val/…``."""
        return {f"{self.prepared.prefix}/{n}": v for n, v in self.scores.pooled().items()}

    @property
    def baseline(self) -> dict[str, float]:
        """The metrics of seasonal naive, under the same names."""
        return {f"{self.prepared.prefix}/{n}": v for n, v in self.naive.pooled().items()}

    @property
    def about(self) -> str:
        """A description of the scored windows."""
        return self.prepared.about(len(self.scores.numbers))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What each covariate does to the forecast; see ``effects_of``."""
        prepared = self.prepared
        model, windows = prepared.saved.model, prepared.windows
        return effects_of(model, prepared.problem, windows, self.scores.numbers)

    @cached_property
    def verdict(self) -> Verdict:
        """A comparison of the point forecasts with seasonal naive, in one sentence."""
        prepared, both = self.prepared, (self.scores, self.naive)
        sampled = "coverage/90" in self.scores.pooled()
        return judge(prepared.problem, prepared.windows, *both, both if sampled else None)


def write_evaluation(folder: Path, evaluated: Evaluated) -> None:
    """Write ``evaluation/`` with metrics.json and the tables, and ``plots/``."""
    for name in ("evaluation", "plots"):
        (folder / name).mkdir()
    summary = {
        "metrics": evaluated.metrics,
        "seasonal_naive": evaluated.baseline,
        "season": evaluated.prepared.season,
        "versions": versions(),
    }
    tables = folder / "evaluation"
    (tables / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for name, frame in tables_of(evaluated).items():
        (tables / f"{name}.csv").write_bytes(table_bytes(frame, ".csv"))
    _draw(folder / "plots", evaluated)


def tables_of(evaluated: Evaluated) -> dict[str, pd.DataFrame]:
    """by_lead, by_series and windows; pit, ranks of a probabilistic one; effects."""
    scores, table, windows = (
        evaluated.scores,
        evaluated.prepared.problem.table,
        evaluated.prepared.windows,
    )
    frames = {
        "by_lead": pd.DataFrame({"lead": range(1, windows.horizon + 1), **scores.totals.by_lead()})
    }
    names = [
        table.channel_label(series, k) for series in table.series for k in range(len(table.names))
    ]
    frames["by_series"] = pd.DataFrame({"item_id": names, **scores.totals.by_series()})
    owners, rows = windows.owners[scores.numbers].numpy(), windows.rows[scores.numbers].numpy()
    grids = [table.interval.stamps(s.first, len(s.values)) for s in table.series]
    stamps = [grids[owner][row] for owner, row in zip(owners, rows, strict=True)]
    items = [table.series[owner].item_id or "" for owner in owners]
    frames["windows"] = pd.DataFrame(
        {"item_id": items, "first_target": stamps, "error": scores.errors.numpy()}
    )
    for name, file in (("pit", "pit"), ("rank", "ranks")):
        if name in scores.totals.sums:
            shares = scores.totals.histogram(name)
            frames[file] = pd.DataFrame(
                {"from": np.arange(len(shares)) / len(shares), "share": shares}
            )
    if len(evaluated.effects):
        frames["effects"] = evaluated.effects
    return frames


def _draw(folder: Path, evaluated: Evaluated) -> None:
    scores, naive, prepared = evaluated.scores, evaluated.naive, evaluated.prepared
    title, leads = labels.title(prepared.saved.config), scores.totals.by_lead()
    names = [name for name in ("mae", "mse", "crps", "coverage/90") if name in leads]
    plot_leads(
        folder / "by_lead.png",
        {n: {title: leads[n], "seasonal naive": naive.totals.by_lead().get(n)} for n in names},
    )
    if "pit" in scores.totals.sums:
        shares = scores.totals.histogram("pit")
        plot_pit(folder / "pit.png", shares)
        plot_reliability(folder / "reliability.png", shares)
    plot_windows(folder / "worst.png", _panels(scores, prepared))


def _panels(scores: WindowScores, prepared: Prepared) -> list[Panel]:
    """Panels of the worst windows, each with the channel of the largest error."""
    model, table, windows, scoring = (
        prepared.saved.model,
        prepared.problem.table,
        prepared.windows,
        prepared.scoring,
    )
    numbers = worst_windows(scores, windows)
    if not len(numbers):
        return []
    batch = windows[numbers].to(model.device)
    units = Units(prepared.problem, windows, model.device)
    seeds = window_seeds(prepared.problem, windows, numbers, scoring.seed)
    with torch.no_grad():
        scored = score_batch(model, batch, scoring, units, seeds)
    point = scored.outlook.point
    ends = interval_ends(scored) if scoring.mode == "probabilistic" else None
    past, y = (
        torch.where(batch.observed > 0, units.restore(batch.past, batch.index), torch.nan),
        torch.where(scored.mask > 0, scored.y, torch.nan),
    )
    worst_channels = (
        torch.nan_to_num((point - y).abs() / units.rows_of(units.deviation, batch.index, 3))
        .sum(2)
        .argmax(1)
    )
    measure = "absolute error" if scoring.mode == "point" else "CRPS"
    errors, panels = dict(zip(scores.numbers.tolist(), scores.errors.tolist(), strict=True)), []
    for i, number in enumerate(numbers.tolist()):
        series, row, k = (
            table.series[int(windows.owners[number])],
            int(windows.rows[number]),
            int(worst_channels[i]),
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
