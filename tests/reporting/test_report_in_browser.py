"""The report as it is read, in a headless Chromium: nothing overprints or is cut at any width, in
the dark or on paper.
"""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_pictures import EVIL, drawn, table_of

from forecaster.io.output_tables import csv_text
from forecaster.reporting.fans import LEVELS
from forecaster.reporting.html import build, render
from forecaster.reporting.interactive import page as picture_page
from forecaster.tracking.record import Record

LONG = "a long name of many settings (width=128, depth=4, rate=0.0005) and_a_word_without_an_end"
# texts of which two overprint each other, those that reach beyond their box or the window, words
# of a table that are broken, and charts whose letters are too small or too large to read with ease
FAULTS = """
const boxes = [], faults = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, range = document.createRange();
  if (!node.data.trim() || !node.parentElement.checkVisibility()) continue;
  range.selectNodeContents(node);
  for (const box of range.getClientRects()) if (box.width > 0) boxes.push([node, box]);
}
for (const [node, box] of boxes) {
  const around = node.parentElement.closest("svg, td, th, dd, dt, p, pre, h1, h2, figure");
  const outer = around ? around.getBoundingClientRect() : box;
  if (box.left < outer.left - 1 || box.right > outer.right + 1 || box.bottom > outer.bottom + 3)
    faults.push("cut: " + node.data.trim().slice(0, 60));
  if (!node.parentElement.closest(".scroll") && box.right > arguments[0])
    faults.push("beyond the window: " + node.data.trim().slice(0, 60));
}
boxes.sort((a, b) => a[1].top - b[1].top);
for (let i = 0; i < boxes.length; i++)
  for (let k = i + 1; k < boxes.length && boxes[k][1].top < boxes[i][1].bottom - 3; k++) {
    const [a, b] = [boxes[i][1], boxes[k][1]];
    if (boxes[i][0] !== boxes[k][0] && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1)
      faults.push("overprint: " + boxes[i][0].data.trim() + " | " + boxes[k][0].data.trim());
  }
for (const chart of document.querySelectorAll(".chart > svg")) {
  const letters = 10 * chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
  if (letters > 0 && (letters < 8 || letters > 16)) faults.push(`letters of ${letters} px`);
}
for (const cell of document.querySelectorAll(".metrics th"))
  for (const word of cell.textContent.trim().split(" ")) {
    const node = cell.firstChild, range = document.createRange();
    if (!node || !cell.checkVisibility()) continue;
    const start = node.data.indexOf(word);
    range.setStart(node, start);
    range.setEnd(node, start + word.length);
    if (range.getClientRects().length > 1) faults.push("broken: " + word);
  }
if (document.documentElement.scrollWidth > arguments[0]) faults.push("the page is wider");
return [boxes.length, faults];
"""


def record(number: int, level: float, hours: bool) -> Record:
    """A run with large numbers and close curves, of six series."""
    rng = np.random.default_rng(number)
    stamps = pd.date_range("2023-12-20", periods=60, freq="h" if hours else "D").astype(str)
    past, ahead = [], []
    for name in ("units sold", LONG, "c", "d", "e", "f"):
        values = level * (1 + 0.1 * rng.standard_normal(60))
        past.append(pd.DataFrame({"item_id": name, "timestamp": stamps[:48], "value": values[:48]}))
        spread = {f"{q}": values[48:] * (1 + 0.02 * (q - 0.5)) for q in LEVELS}
        rows = {"item_id": name, "timestamp": stamps[48:], "mean": values[48:], **spread}
        ahead.append(pd.DataFrame(rows))
    leads = pd.DataFrame({"lead": range(1, 13)})
    for metric in ("mae", "mse", "crps", "coverage/90"):
        leads[metric] = level * (1 + 1e-4 * number) if "cov" not in metric else 0.9
    metrics = {f"test/{name}": level for name in ("mae", "mse", "rmse", "crps", "mase", "wql")}
    metrics |= {f"test/coverage/{p}": p / 100 for p in (50, 80, 90, 95)}
    metrics |= {f"test/seasonal_naive/{name}": 2 * level for name in ("mae", "crps")}
    files = {
        "forecasts/history.csv": csv_text(pd.concat(past)),
        "forecasts/forecast.csv": csv_text(pd.concat(ahead)),
        "evaluation/by_lead.csv": leads.to_csv(index=False),
        "evaluation/pit.csv": pd.DataFrame({"share": [0.05] * 20}).to_csv(index=False),
        "data.json": json.dumps({"file": LONG, "decisions": [LONG, LONG]}),
        "versions.json": json.dumps(
            {"code": "e" * 40, **{f"package{k}": "1.2.3" for k in range(9)}}
        ),
        "config.yaml": json.dumps({"title": LONG, "model": {"name": "x" * 200}}),
    }
    params = {f"model.part_{k}.a_setting_of_a_part": str(number * 10**k) for k in range(20)}
    return Record(
        run_id=f"{number}" * 32,
        name=f"{number} {LONG}",
        status="FINISHED",
        started=datetime(2026, 1, 2, tzinfo=UTC),
        params=params | {"data.csv": "data.csv", "data.horizon": "12", "data.sha256": "d" * 64},
        tags={"model": LONG},
        metrics=metrics,
        scores=metrics,
        files={name: text.encode() for name, text in files.items()},
        evaluation="f" * 32,
        verdict="On 279 past windows the forecasts were 15 % closer than repeating the last year.",
        missing="",
    )


REPORTS = {
    "one": [record(1, 48_150_000.0, True)],
    "three": [record(k, 48_150.0, False) for k in (1, 2, 3)],
    "three of small numbers": [record(k, 4.8e-5, True) for k in (1, 2, 3)],
}


def show(browser: Any, path: Path, width: int, dark: bool) -> None:
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
    browser.get(path.as_uri())


@pytest.fixture(params=REPORTS)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[int, Path]:
    """The number of runs of a report, and its page."""
    path = tmp_path / "report.html"
    path.write_text(render(build(REPORTS[request.param])), encoding="utf-8")
    return len(REPORTS[request.param]), path


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("width", [390, 800, 1600])
def test_nothing_overprints_is_cut_broken_or_too_small(
    browser: Any, page: tuple[int, Path], width: int, folded: bool
) -> None:
    show(browser, page[1], width, False)
    if not folded:
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    count, faults = browser.execute_script(FAULTS, width)
    assert count > 100
    assert faults == []


def test_the_measure_finds_what_it_is_to_find(browser: Any, page: tuple[int, Path]) -> None:
    show(browser, page[1], 390, False)
    script = "for (const one of document.querySelectorAll(arguments[0])) one.style = arguments[1]"
    for selector, style, fault in (
        ("svg text", "font-size: 30px", "overprint: "),
        ("dd", "white-space: nowrap; width: 50px", "cut: "),
        (".verdict", "width: 600px; white-space: nowrap", "beyond the window: "),
        (".chart", "width: 250px", "letters of 6."),
        (".metrics th", "white-space: normal; overflow-wrap: anywhere; width: 1px", "broken: "),
    ):
        browser.execute_script(script, selector, style)
        faults = browser.execute_script(FAULTS, 390)[1]
        assert any(each.startswith(fault) for each in faults), (selector, faults)
        browser.execute_script(script, selector, "")


def contrast(browser: Any, selector: str) -> float:
    """The least ratio of luminances between texts and the page, by WCAG."""
    script = """
    const ink = [...document.querySelectorAll(arguments[0])].map(each => getComputedStyle(each).color);
    return [getComputedStyle(document.body).backgroundColor, ...new Set(ink)];"""

    def luminance(colour: str) -> float:
        parts = np.array(re.findall(r"[\d.]+", colour)[:3], float) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    paper, *inks = map(luminance, browser.execute_script(script, selector))
    return min((max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) for ink in inks)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_from_the_page(browser: Any, page: tuple[int, Path], dark: bool) -> None:
    show(browser, page[1], 1600, dark)
    assert contrast(browser, "h1, p, td, th, dt, dd, summary") >= 4.5


def test_three_runs_are_four_pages_of_paper_and_one_run_is_three(
    browser: Any, page: tuple[int, Path]
) -> None:
    count, path = page
    show(browser, path, 1600, True)
    options = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
    pages = re.findall(rb"/Type\s*/Page\b", pdf)
    assert 1 <= len(pages) <= (4 if count == 3 else 3)


@pytest.mark.parametrize(("width", "dark"), [(390, False), (800, True), (1600, False)])
def test_a_picture_to_explore_is_readable_and_needs_no_network(
    browser: Any, tmp_path: Path, width: int, dark: bool
) -> None:
    names = ["units sold", EVIL, LONG]
    drawing = drawn(table_of(names, "h"), **dict(zip(names, (3.0, 2.0, 1.0), strict=True)))
    (tmp_path / "f.html").write_text(picture_page(drawing), encoding="utf-8")
    show(browser, tmp_path / "f.html", width, dark)
    for name, ticks in zip(names, ("48,000", "48,000", "50,000"), strict=True):
        choose = """
        const list = document.getElementById("series");
        list.selectedIndex = arguments[0];
        list.dispatchEvent(new Event("change"));
        return [document.getElementById("name").textContent, document.body.innerText,
                [...document.querySelectorAll("svg text")].map(each => each.textContent)]"""
        title, _, texts = browser.execute_script(choose, names.index(name))
        assert title.startswith(name)
        assert {ticks, "history", "forecast", "50 % interval", "95 % interval"} <= set(texts)
        assert [text for text in texts if "2023-12" in text]
        assert browser.execute_script(FAULTS, width)[1] == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert contrast(browser, "h1, p") >= 4.5
