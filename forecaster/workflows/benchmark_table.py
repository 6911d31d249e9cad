"""The tables of a benchmark: its finished cells as Markdown, in one text or a page a data set."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from forecaster.config.program import program
from forecaster.errors import UserError
from forecaster.io.atomic import write_together
from forecaster.reporting.markdown import best_in_bold, markdown_table, mean_and_spread, number
from forecaster.reporting.plots import plot_behind
from forecaster.workflows.benchmark_suite import COSTS, Suite, published_rows

# the columns that identify a row of the table
KEYS = ("data", "horizon", "model", "s", "steps")
# metrics of which no value is the best
_UNRANKED = ("coverage", "width", "calibration", *COSTS)
_PUBLISHED = "published/"
_NAME = re.compile(r"\w[\w-]*")  # of a data set that has a page


@dataclass(frozen=True)
class Layout:
    """The finished rows of a ``suite``, called by ``name``; ``cells``: how many a data set has."""

    name: str
    suite: Suite
    rows: Sequence[Mapping[str, Any]]
    cells: Mapping[str, int]

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
        return "\n\n".join([*parts, self._end(self.rows, list(self.cells))])

    def page(self, data: str, picture: str) -> str:
        """The tables of one data set, with a picture of this name."""
        rows = [row for row in self.rows if row["data"] == data]
        shown = f"![{self.drawn} of each model over the lowest at its horizon]({picture})"
        tables = [table.replace("### ", "## ", 1) for table in self._tables(rows)]
        parts = [self.title(data), self.suite.about, shown, *tables, self._end(rows, [data])]
        return "\n\n".join(parts)

    def title(self, data: str) -> str:
        """The first line of a data set's page."""
        return f"# {data}: the suite {Path(self.name).stem}"

    @property
    def drawn(self) -> str:
        """The metric of the pictures."""
        return next(iter(_ranked(self.suite)), self.suite.metrics[0])

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

    def _end(self, rows: Sequence[Mapping[str, Any]], data: Sequence[str]) -> str:
        """Why cells of these data sets failed, and where the figures come from."""
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
        cells = sum(self.cells[name] for name in data)
        sources = {
            name: each.source
            for name, each in self.suite.published.items()
            if not each.values.keys().isdisjoint(data)
        }
        return (
            f"{reasons}`{program()} benchmark {self.name}`: {done} of {cells} cells, "
            f"{facts['date']}, code {facts['code']}, {facts['machine']}, torch "
            f"{facts['torch'] or '?'}, seed(s) {seeds}; ± is the standard deviation over the "
            "seeds, one seed where it is missing.\n"
            + "".join(f"{name}: {source}.\n" for name, source in sources.items())
        )


def validation_metrics(suite: Suite) -> tuple[str, ...]:
    """The names of validation metrics that the table shows besides test metrics."""
    if suite.columns != "models":
        return ()
    return tuple(f"val/{name}" for name in suite.metrics if not name.startswith(_PUBLISHED))


def pages_in(folder: Path, layout: Layout) -> dict[str, Path]:
    """Where the page of each data set goes; UserError where it would replace another text."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--pages {folder}: not a folder; name another one")
    pages = {data: folder / f"{data}.md" for data in layout.cells}
    for data, page in pages.items():
        if not _NAME.fullmatch(data):
            raise UserError(
                f"--pages: data set '{data}' of the suite cannot name a page; write its name with "
                "letters, digits, _ and - alone"
            )
        title = layout.title(data)
        if page.exists() and not page.read_text(encoding="utf-8").startswith(f"{title}\n"):
            raise UserError(
                f"--pages {folder}: {page} is no page of this benchmark and would be replaced; "
                "name another folder"
            )
    return pages


def write_pages(pages: Mapping[str, Path], layout: Layout) -> dict[str, Path]:
    """A page and a picture (SVG) for each data set that has rows; these pages."""
    there = {row["data"] for row in layout.rows}
    pages = {data: page for data, page in pages.items() if data in there}
    if not pages:
        return {}
    metric = layout.drawn
    frame = _frame(layout.rows, [metric])
    files: dict[Path, Callable[[Path], object]] = {}
    for data, page in pages.items():
        text, part = layout.page(data, f"{data}.svg"), frame[frame["data"] == data]
        files[page] = partial(Path.write_text, data=text, encoding="utf-8")
        files[page.with_suffix(".svg")] = partial(plot_behind, rows=part, metric=metric)
    next(iter(pages.values())).parent.mkdir(parents=True, exist_ok=True)
    write_together(files)
    return pages


def links(pages: Mapping[str, Path], document: Path) -> dict[str, str]:
    """The pages as a document links to them."""
    paths = {name: os.path.relpath(page, document.parent) for name, page in pages.items()}
    return {name: quote(Path(path).as_posix()) for name, path in paths.items()}


def places(suite: Suite, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How often each model has the lowest and the second lowest value, as the tables show them.

    A place is one of a data set, horizon and metric that two models or more have. What reads alike
    shares its place. Apart: the places on the published windows, and against each published row.
    """
    of_published = [name for name in suite.metrics if name.startswith(_PUBLISHED)]
    of_all = _ranked(suite)
    frame = _frame(rows, [*of_all, *of_published])
    means = frame.groupby(["data", "horizon", "model"], sort=False)[[*of_all, *of_published]].mean()
    told = []
    for title, metrics in (("Places", of_all), ("Places on the published windows", of_published)):
        counted = _counted(suite, means, metrics)
        if counted:
            theirs = [f"at or below {name}" for name in _anchors(suite, metrics)]
            head = ["model", "cells", "first", "second", *theirs]
            told.append(f"{title}:\n\n{markdown_table(head, counted)}")
    return told


def _ranked(suite: Suite) -> list[str]:
    """The metrics of the test windows that are better the lower they are."""
    return [name for name in suite.metrics if not name.startswith((_PUBLISHED, *_UNRANKED))]


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
            values = part[metric].droplevel(["data", "horizon"]).dropna()
            values = values.map(lambda value: float(number(value, suite.digits)))
            for name in anchors:
                of_data = suite.published[name].values.get(str(data), {})
                known = of_data.get(int(str(horizon)), {}).get(metric)
                if known is None:
                    continue
                shown = float(number(known, suite.digits))
                for model, value in values.items():
                    theirs.setdefault((str(model), name), []).append(value <= shown)
            if len(values) < 2:
                continue
            ranks = values.rank(method="min")
            for model, rank in ranks.items():
                cells[model] += 1
                first[model] += rank == 1
                second[model] += rank == 2
    if not theirs and not any(cells.values()):
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
