"""The MLflow pages that ``ui`` serves, as a reader sees them, in a headless Chromium."""

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SAMPLE, Cli, free_port, wait_for
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.slow
PATIENCE = 120.0
# MLflow draws of its tables what is in sight: the columns of runs, the metrics of two runs compared
RUNS, COMPARED = ".ag-body-horizontal-scroll-viewport", ".ReactVirtualized__Grid"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, dict[str, dict]]:
    """Two trained models in a store of their own, by their run's name."""
    cli, found = Cli(tmp_path_factory.mktemp("home")), {}
    for model, more in (("seasonal-naive", []), ("rlinear", ["--set", "trainer.max_steps=20"])):
        args = [
            "train",
            "--model",
            model,
            "--csv",
            SAMPLE,
            "--horizon",
            7,
            "--lookback",
            28,
            "--accelerator",
            "cpu",
        ]
        found[f"{model} seattle_weather 7"] = json.loads(cli(*args, *more, "--json").stdout)
    return cli, found


@pytest.fixture(scope="module")
def page(runs: tuple[Cli, dict[str, dict]]) -> Iterator[str]:
    """The address that ``ui`` prints, once it answers."""
    cli, _ = runs
    port = free_port()
    with cli.start("ui", "--port", port) as process:
        assert process.stderr is not None
        address = next(line.split()[2] for line in process.stderr if line.startswith("the runs: "))
        wait_for(f"http://127.0.0.1:{port}/health", PATIENCE)
        yield address
        process.terminate()
        process.communicate(timeout=PATIENCE)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server outlives the command"


def text(browser: webdriver.Chrome) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def until_text(browser: webdriver.Chrome, *words: str, scrolled: str = "") -> None:
    """Wait until all ``words`` are shown at once, scrolling what the selector ``scrolled`` finds."""
    script = "document.querySelectorAll(arguments[0]).forEach(table => table.scrollBy(200, 200))"

    def found(_: webdriver.Chrome) -> bool:
        shown = text(browser)
        if all(word in shown for word in words):
            return True
        if scrolled:
            browser.execute_script(script, scrolled)
        return False

    WebDriverWait(browser, PATIENCE).until(found, f"not on the page: {words}")


def click(browser: webdriver.Chrome, path: str) -> None:
    """Click as soon as it can be; what is drawn anew or covered meanwhile is tried again."""

    def clicked(_: webdriver.Chrome) -> bool:
        browser.find_element(By.XPATH, path).click()
        return True

    WebDriverWait(browser, PATIENCE, ignored_exceptions=[WebDriverException]).until(
        clicked, f"cannot click {path}"
    )


def test_table_shows_the_runs_with_their_metrics_and_compares_two(
    runs, page: str, browser: webdriver.Chrome
) -> None:
    _, trained = runs
    browser.get(page)
    values = [
        str(run["metrics"][name])[:5]
        for run in trained.values()
        for name in ("test/mase", "test/crps", "test/coverage/90")
    ]
    until_text(browser, *trained, "skill/percent", "test/mase", "2 matching runs")
    columns = ("test/crps", "test/coverage/90", *values, "RLinear", "seasonal naive")
    until_text(browser, *columns, scrolled=RUNS)
    click(browser, "//*[contains(@class, 'ag-header-cell')]//input[@type='checkbox']")
    click(browser, "//button[normalize-space()='Compare']")
    digest = hashlib.sha256(Path(SAMPLE).read_bytes()).hexdigest()
    title = "Comparing 2 Runs from 1 Experiment"
    until_text(browser, title, *trained, "Parallel Coordinates Plot", "data.sha256", digest)
    errors = [f"{run['metrics']['test/mse']:.4g}" for run in trained.values()]
    until_text(browser, "test/mse", *errors, scrolled=COMPARED)
    assert "Error" not in text(browser)


def test_forecast_plot_opens(runs, page: str, browser: webdriver.Chrome) -> None:
    _, trained = runs
    name = "rlinear seattle_weather 7"
    browser.get(page)
    until_text(browser, name)
    click(browser, f"//a[normalize-space()='{name}']")
    click(browser, "//*[@role='tab' and normalize-space()='Artifacts']")
    click(browser, "//*[normalize-space(text())='plots']")
    click(browser, "//*[normalize-space(text())='forecast.png']")
    size = "return [...document.images].map(image => image.naturalWidth)"
    until_text(browser, "plots/forecast.png")
    WebDriverWait(browser, PATIENCE).until(
        lambda b: max(b.execute_script(size), default=0) > 600, "no picture"
    )
    assert trained[name]["run_id"] in browser.current_url
