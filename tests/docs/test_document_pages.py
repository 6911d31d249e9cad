"""What the pages promise: a card for every preset, paths that exist, links that lead somewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from documents import DOCS, PAGES, README, page_name

import forecaster

needs_mkdocs = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("mkdocs", "material")),
    reason="mkdocs-material is not installed; make docs installs it",
)


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130


def test_every_preset_has_one_card_and_every_card_a_preset() -> None:
    presets = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    cards = headings((DOCS / "models.md").read_text(encoding="utf-8"), 3)
    assert Counter(cards) == Counter(presets)


def test_every_card_says_when_it_is_good_what_it_costs_and_how_it_did() -> None:
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    for card in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        for part in ("- **Good for** ", "- **Cost** ", "- **Figures** "):
            assert card.count(part) == (part != "- **Figures** " or 1), (card, part)


def test_the_point_figures_and_seconds_of_the_cards_are_those_of_the_table() -> None:
    """``point .367/.386`` and ``93 seconds`` of a card against its row of ETTh1, horizon 96."""
    section = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    section = section.partition("### etth1, horizon 96\n")[2].partition("\n### ")[0]
    rows = {
        cells[0]: [cell.strip("* ").partition(" ±")[0] for cell in cells]
        for cells in (line.strip("| ").split(" | ") for line in section.splitlines())
        if len(cells) == 7
    }
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    checked = 0
    for card in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        name, point = card.partition("\n")[0], re.search(r"point (\.\d+)/(\.\d+)", card)
        if point is None:
            continue
        assert list(point.groups()) == rows[name][1:3], name
        seconds = re.search(r"(\d+) seconds", card)
        assert rows[name][5] == (seconds[1] if seconds else "0"), name
        checked += 1
    assert checked == 14


def test_every_term_of_the_glossary_stands_once() -> None:
    terms = headings((DOCS / "glossary.md").read_text(encoding="utf-8"), 3)
    assert len(terms) == len({term.lower() for term in terms})


@pytest.mark.parametrize("name", ["glossary.md", "architecture.md"])
def test_files_that_a_page_names_exist(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", text)
    assert len(named) > 10
    for path in named:
        assert (ROOT / "forecaster" / path).exists() or (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_between_files_of_the_project_lead_to_files(page: Path) -> None:
    """As they are followed in the repository; the site's own links are checked by its build."""
    for link in re.findall(r"\]\(((?!\w+:|#)[^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_every_claim_of_the_findings_links_its_figures() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    claims = re.split(r"^- ", text.partition("\n## ")[2], flags=re.MULTILINE)[1:]
    assert len(claims) > 15
    for claim in claims:
        assert re.search(r"\]\((benchmarks|findings-appendix)\.md#", claim), claim


def test_the_citation_names_title_version_licence_and_papers() -> None:
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert content["version"] == forecaster.__version__
    assert f'license = "{content["license"]}"' in project
    assert content["authors"] == [{"name": "The forecaster authors"}]
    assert len(content["references"]) == 9
    assert content["references"][0]["url"].endswith("2411.04491")


@needs_mkdocs
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_the_network(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.glob("*.html"))
    assert {"index.html", "tutorial.html", "team-server.html"} <= {page.name for page in pages}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="?([^">\s]+)', text)
        loaded += re.findall(r'<link[^>]* rel="?(?:stylesheet|preconnect|icon)[^>]*>', text)
        assert loaded
        assert not [each for each in loaded if "//" in each], page.name
