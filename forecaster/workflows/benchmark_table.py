"""The tables of a benchmark: its finished cells as Markdown, in one text or a page a data set."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from forecaster.config.program import program
from forecaster.io.atomic import write_together
from forecaster.reporting.markdown import best_in_bold, markdown_table, mean_and_spread
from forecaster.reporting.plots import plot_behind
from forecaster.workflows.benchmark_suite import COSTS, Suite, published_rows

# the columns that identify a row of the table
KEYS = ("data", "horizon", "model", "s", "steps")
# metrics of which no value is the best
_UNRANKED = ("coverage", "width", "calibration", *COSTS)
_PUBLISHED = "published/"


@dataclass(frozen=True)
class Layout:
    """The finished rows of a ``suite``, called by ``name``, which has so many ``cells``."""

    name: str
    suite: Suite
    rows: Sequence[Mapping[str, Any]]
    cells: int

    def text(self, pages: Mapping[str, str] | None = None) -> str:
        """All tables with their provenance; ``pages``: links to those of each data set instead."""
        suite = self.suite
        if not self.rows:
            return f"{suite.about}\n\nNothing has been run yet.\n"
        parts = [suite.about]
        if suite.columns == "models":
            parts += places(suite, self.rows)
        if pages is None:
            parts += self._tables(self.rows)
        else:
            parts.append("\n".join(f"- [{data}]({link})" for data, link in pages.items()))
        return "\n\n".join([*parts, self._end(self.rows)])

    def page(self, data: str, picture: str) -> str:
        """The tables of one data set, with a picture of this name."""
        rows = [row for row in self.rows if row["data"] == data]
        title = f"# {data}: the suite {Path(self.name).stem}"
        shown = f"![MSE of each model over the lowest at its horizon]({picture})"
        tables = [table.replace("### ", "## ", 1) for table in self._tables(rows)]
        return "\n\n".join([title, self.suite.about, shown, *tables, self._end(rows)])

    def _tables(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        suite, names = self.suite, [*self.suite.metrics, *validation_metrics(self.suite)]
        frame = _frame(rows, [*names, "train_seconds"])
        by = [key for key in KEYS if key in frame]
        grouped = frame.groupby(by, sort=False)
        statistics = grouped[names].agg(["mean", "std"])
        counts = frame["failed"].isna().groupby([frame[key] for key in by], sort=False).sum()
        figures = {
            metric: {
                key: mean_and_spread(row["mean"], row["std"], suite.digits, metric in COSTS)
                for key, row in statistics[metric].iterrows()
            }
            for metric in names
        }
        for metric in names:
            if not metric.removeprefix("val/").startswith(_UNRANKED):
                best_in_bold(
                    figures[metric],
                    {key: row["mean"] for key, row in statistics[metric].iterrows()},
                    by,
                    suite.digits,
                )
        seconds = grouped["train_seconds"].mean()
        if suite.columns == "models":
            return _by_models(suite, by, figures, counts, seconds)
        return [_by_metrics(by, figures, counts, seconds)]

    def _end(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Why cells failed, and where the figures come from."""
        frame = _frame(rows, [])
        facts = {
            key: ", ".join(sorted({str(v) for v in frame[key].dropna()}))
            for key in ("date", "code", "machine", "torch")
        }
        seeds = ", ".join(str(s) for s in sorted(frame["seed"].unique()))
        failed = frame[frame["failed"].notna()]
        by = [key for key in KEYS if key in frame]
        reasons = "".join(
            f"- {row['model']} on {row['data']}, horizon {row['horizon']}: {row['failed']}\n"
            for _, row in failed.drop_duplicates([*by, "failed"]).iterrows()
        )
        reasons += "\n" if reasons else ""
        done = frame["run_id"].nunique() - failed["run_id"].nunique()
        return (
            f"{reasons}`{program()} benchmark {self.name}`: {done} of {self.cells} cells, "
            f"{facts['date']}, code {facts['code']}, {facts['machine']}, torch "
            f"{facts['torch'] or '?'}, seed(s) {seeds}; ± is the standard deviation over the "
            "seeds, one seed where it is missing.\n"
            + "".join(f"{name}: {p.source}.\n" for name, p in self.suite.published.items())
        )


def validation_metrics(suite: Suite) -> tuple[str, ...]:
    """The names of validation metrics that the table shows besides test metrics."""
    if suite.columns != "models":
        return ()
    return tuple(f"val/{name}" for name in suite.metrics if not name.startswith(_PUBLISHED))


def write_pages(folder: Path, layout: Layout) -> dict[str, Path]:
    """A page and a picture (SVG) for each data set, in ``folder``; the pages by data set."""
    pages = {data: folder / f"{data}.md" for data in dict.fromkeys(r["data"] for r in layout.rows)}
    metric = layout.suite.metrics[0]
    frame = _frame(layout.rows, [metric])
    files: dict[Path, Callable[[Path], object]] = {}
    for data, page in pages.items():
        text, part = layout.page(data, f"{data}.svg"), frame[frame["data"] == data]
        files[page] = partial(Path.write_text, data=text, encoding="utf-8")
        files[page.with_suffix(".svg")] = partial(plot_behind, rows=part, metric=metric)
    folder.mkdir(parents=True, exist_ok=True)
    write_together(files)
    return pages


def links(pages: Mapping[str, Path], document: Path | None) -> dict[str, str]:
    """The pages as a document links to them."""
    start = document.parent if document is not None else Path()
    return {data: Path(os.path.relpath(page, start)).as_posix() for data, page in pages.items()}


def places(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often each model has the lowest and the second lowest value, as the tables show them.

    A place is one of a data set, horizon and metric that two models or more have. What reads alike
    shares its place. Apart: the places on all windows and on the published ones, and against each
    published row.
    """
    of_published = [name for name in suite.metrics if name.startswith(_PUBLISHED)]
    of_all = [
        name for name in suite.metrics if not name.startswith((_PUBLISHED, *_UNRANKED, "val/"))
    ]
    frame = _frame(rows, [*of_all, *of_published])
    means = frame.groupby(["data", "horizon", "model"], sort=False)[[*of_all, *of_published]].mean()
    told = []
    for title, metrics in (("all windows", of_all), ("the published windows", of_published)):
        counted = _counted(suite, means, metrics)
        if counted:
            theirs = [f"at or below {name}" for name in _anchors(suite, metrics)]
            head = ["model", "cells", "first", "second", *theirs]
            told.append(f"Places on {title}:\n\n{markdown_table(head, counted)}")
    return told


def _anchors(suite: Suite, metrics: Sequence[str]) -> list[str]:
    """The published rows that have one of the metrics."""
    return [
        name
        for name, published in suite.published.items()
        if any(m in v for h in published.values.values() for v in h.values() for m in metrics)
    ]


def _counted(suite: Suite, means: pd.DataFrame, metrics: Sequence[str]) -> list[list[str]]:
    models = list(dict.fromkeys(means.index.get_level_values("model")))
    cells, first, second = (dict.fromkeys(models, 0) for _ in range(3))
    anchors = _anchors(suite, metrics)
    theirs: dict[tuple[str, str], list[bool]] = {}
    for (data, horizon), part in means.groupby(level=["data", "horizon"], sort=False):
        for metric in metrics:
            values = part[metric].droplevel(["data", "horizon"]).dropna().round(suite.digits)
            for name in anchors:
                of_data = suite.published[name].values.get(str(data), {})
                known = of_data.get(int(str(horizon)), {}).get(metric)
                for model, value in values.items() if known is not None else ():
                    theirs.setdefault((str(model), name), []).append(value <= known)
            if len(values) < 2:
                continue
            ranks = values.rank(method="min")
            for model, rank in ranks.items():
                cells[model] += 1
                first[model] += rank == 1
                second[model] += rank == 2
    if not any(cells.values()):
        return []
    return [
        [model, str(cells[model]), str(first[model]), str(second[model])]
        + [_share(theirs.get((model, name), [])) for name in anchors]
        for model in sorted(models, key=lambda name: (-first[name], -second[name]))
    ]


def _share(held: Sequence[bool]) -> str:
    return f"{sum(held)} of {len(held)}" if held else "–"


def _frame(rows: Sequence[Mapping[str, Any]], numbers: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([{"failed": None} | dict(row) for row in rows])
    frame[numbers] = frame[numbers].astype(float)
    return frame


def _by_metrics(
    by: list[str], cells: Mapping[str, Mapping[Any, str]], counts: Any, seconds: Any
) -> str:
    rows = [
        [
            *map(str, key),
            str(counts[key]),
            *(cells[metric][key] for metric in cells),
            mean_and_spread(seconds[key], None, 0, whole=True),
        ]
        for key in counts.index
    ]
    return markdown_table([*by, "seeds", *cells, "s a training"], rows)


def _by_models(
    suite: Suite, by: list[str], cells: Mapping[str, Mapping[Any, str]], counts: Any, seconds: Any
) -> list[str]:
    """A table for each data set and horizon: a row for each model, then published results.

    Columns: test metrics, validation metrics for model selection, training time, number of seeds.
    """
    names = [f"test/{metric}" for metric in suite.metrics]
    head = ["model", *names, *validation_metrics(suite), "s a training", "seeds"]
    tables = []
    for data, horizon in dict.fromkeys(key[:2] for key in counts.index):
        rows = [
            [
                key[2],
                *(cells[m][key] for m in cells),
                mean_and_spread(seconds[key], None, 0, whole=True),
                str(counts[key]),
            ]
            for key in counts.index
            if key[:2] == (data, horizon)
        ]
        rows += _published(suite, data, horizon, len(head))
        tables.append(f"### {data}, horizon {horizon}\n\n{markdown_table(head, rows)}")
    return tables


def _published(suite: Suite, data: str, horizon: int, width: int) -> Iterator[list[str]]:
    """Rows of published results for a data set and horizon, as wide as the table."""
    for row in published_rows(suite):
        if (row["data"], row["horizon"]) == (data, horizon):
            figures = (mean_and_spread(row.get(m), None, suite.digits) for m in suite.metrics)
            cells = [row["model"], *figures]
            yield cells + ["–"] * (width - len(cells))
