"""``report``: runs as one self-contained HTML page, with inline SVG and without scripts."""

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from forecaster.errors import UserError
from forecaster.io.atomic import check_file, write_together
from forecaster.reporting.comparison import Comparison, compare
from forecaster.reporting.recorded import dataset_of, drawn
from forecaster.reporting.run_section import RunSection, section
from forecaster.tracking.record import Record

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Page:
    """The content of the page; ``comparison`` is None for a single run."""

    title: str
    subtitle: str
    runs: list[RunSection]
    comparison: Comparison | None


def write_report(records: Sequence[Record], output: Path) -> None:
    """Write the report about these runs to ``output``."""
    check_file(output, (".html", ".htm"))
    text = render(build(records))
    write_together({output: lambda path: path.write_text(text, encoding="utf-8")})


def render(page: Page) -> str:
    """The page as HTML. Names in it are untrusted, and the template escapes every one."""
    return template("report.html").render(page=page)


def template(name: str) -> Template:
    """A template, which escapes all that it is given."""
    loader = FileSystemLoader(_TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


def build(records: Sequence[Record]) -> Page:
    """The content of the report; raises UserError without a record."""
    if not records:
        raise UserError("report: name one run at least; see: runs list")
    names, keys = _unique(records), _keys(len(records))
    first = records[0]
    title = f"Report: {names[0]}" if len(records) == 1 else f"Report: {len(records)} runs"
    subtitle = f"{dataset_of(first)}, {first.params.get('data.horizon', '?')} steps ahead"
    same = len({(dataset_of(r), r.params.get("data.horizon")) for r in records}) == 1
    series = drawn(records) if same else None
    sections = [
        section(key, name, record, drawn([record]) if series is None else series)
        for key, name, record in zip(keys, names, records, strict=True)
    ]
    comparison = compare(dict(zip(keys, records, strict=True))) if len(records) > 1 else None
    return Page(title, subtitle if same else "of different data or horizons", sections, comparison)


def _keys(count: int) -> list[str]:
    """A letter for each run, or, of many, a number."""
    letters = string.ascii_uppercase
    return list(letters[:count]) if count <= len(letters) else [str(i + 1) for i in range(count)]


def _unique(records: Sequence[Record]) -> list[str]:
    """The names, with the run's id where two are equal."""
    counts = Counter(record.name for record in records)
    return [
        record.name if counts[record.name] == 1 else f"{record.name} ({record.run_id[:8]})"
        for record in records
    ]
