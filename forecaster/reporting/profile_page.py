"""``check --html``: the profile of a file as one self-contained page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecaster.data.tables import Series, Table
from forecaster.io.atomic import check_file, write_together
from forecaster.reporting.charts import history
from forecaster.reporting.html import template
from forecaster.reporting.profile import HEAD, column_table, lines_of
from forecaster.reporting.run_section import Row
from forecaster.reporting.svg import Chart

_CHARTS = 60
_POINTS = 400  # of a picture


def write_profile(outcome: Mapping[str, Any], table: Table | None, output: Path) -> None:
    """Write the page about a file; ``table``: its series (None: the file is refused)."""
    check_file(output, (".html", ".htm"), option="--html")
    text = render(outcome, table)
    write_together({output: lambda path: path.write_text(text, encoding="utf-8")})


def render(outcome: Mapping[str, Any], table: Table | None) -> str:
    """The page as HTML. What comes from the file is untrusted, and the template escapes it."""
    charts = [] if table is None else list(_charts(table))
    count = 0 if table is None else len(table.series) * len(table.names)
    name = Path(str(outcome.get("file", "file"))).name
    return template("profile.html").render(
        page={"title": f"Profile: {name}"},
        refused=outcome["refused"],
        commands=outcome["commands"],
        head=HEAD,
        columns=[Row(name, cells) for name, *cells in column_table(outcome["columns"])],
        facts=[(name, text) for name, text in lines_of(outcome) if name != "refused"],
        charts=charts,
        more=count - len(charts),
    )


def _charts(table: Table) -> Iterator[Chart]:
    """Pictures of the first series, at most ``_CHARTS``."""
    pairs = ((series, k) for series in table.series for k in range(len(table.names)))
    for (series, k), _ in zip(pairs, range(_CHARTS), strict=False):
        yield _chart(table, series, k)


def _chart(table: Table, series: Series, channel: int) -> Chart:
    steps = _drawn(series.values[:, channel])
    stamps = table.interval.stamps(series.first, len(series.values))
    ends = table.clock.write(stamps[_ticks(len(stamps))])
    values = series.values[steps, channel].tolist()
    return history(table.channel_label(series, channel), steps.tolist(), values, ends)


def _ticks(count: int) -> list[int]:
    """The steps that have a label: the first, the last, and two between them."""
    return list(dict.fromkeys(round(i * (count - 1) / 3) for i in range(4)))


def _drawn(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The steps that are drawn: of a long series the lowest and the highest of each bin.

    A bin with missing values has one of those, too, so that a gap is seen.
    """
    if len(values) <= _POINTS:
        return np.arange(len(values))
    chosen: set[int] = {0, len(values) - 1}
    for part in np.array_split(np.arange(len(values)), _POINTS // 2):
        known = part[~np.isnan(values[part])]
        if len(known):
            chosen |= {int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])}
        if len(known) < len(part):
            chosen.add(int(part[np.isnan(values[part])][0]))
    return np.array(sorted(chosen), np.int64)
