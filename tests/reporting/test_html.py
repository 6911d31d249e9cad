"""The report: what it shows is what the run kept, in one file that loads nothing, whatever names it
is given.
"""

import json
import os
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SAMPLE, inside

from forecaster.reporting.charts import curves, fan, histogram, reliability
from forecaster.reporting.comparison import _best
from forecaster.reporting.html import build, render
from forecaster.reporting.numbers import figure
from forecaster.reporting.recorded import together
from forecaster.reporting.svg import BOTTOM, HEIGHT, TOP, WIDTH
from forecaster.tracking.record import Record

EVIL = "<script>alert('x')</script>"
QUOTED = "\"><img src=x onerror='alert(1)'>"


class Reader(HTMLParser):
    """Every tag with its attributes, and the text that people see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read_safely(text: str) -> Reader:
    """Read a page, and hold it to loading and running nothing."""
    page = Reader(text)
    for tag, attrs in page.tags:
        assert tag not in {
            "script",
            "img",
            "link",
            "iframe",
            "object",
            "base",
            "form",
            "foreignobject",
            "image",
            "use",
        }
        assert not {
            name
            for name in attrs
            if name.startswith("on") or name in {"src", "style", "srcdoc", "action"}
        }
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(picture)
    return page


def record(name: str = "first", **changes: object) -> Record:
    metrics = {
        "test/mae": 2.0,
        "test/coverage/90": 0.8,
        "test/windows": 10.0,
        "test/seasonal_naive/mae": 3.0,
        "val/mae": 1.0,
    }
    params = {
        "data.csv": "/home/someone/data.csv",
        "data.horizon": "2",
        "data.sha256": "d1",
        "trainer.seed": "7",
    }
    values = {
        "run_id": f"id-of-{name}",
        "name": name,
        "status": "FINISHED",
        "started": datetime(2026, 1, 2, tzinfo=UTC),
        "params": params,
        "tags": {"model": "linear", "code": "abc"},
        "metrics": metrics,
        "scores": metrics,
        "files": {},
        "evaluation": None,
    }
    return Record(**(values | changes))  # type: ignore[arg-type]


def hostile() -> Record:
    past = f"item_id,timestamp,value\n{EVIL},2024-01-01,1\n{EVIL},2024-01-02,2\n"
    ahead = f"item_id,timestamp,mean,0.05,0.95\n{EVIL},2024-01-04,4,3,5\n{EVIL},2024-01-03,3,2,\n"
    files = {
        "forecasts/history.csv": past,
        "forecasts/forecast.csv": ahead,
        "data.json": json.dumps({"file": f"/x/{QUOTED}", EVIL: [EVIL], "missing": {QUOTED: EVIL}}),
        "config.yaml": json.dumps({"title": EVIL, "data": {"csv": "/secret/place/x.csv"}}),
        "versions.json": json.dumps({"code": QUOTED, EVIL: QUOTED}),
        "evaluation/by_lead.csv": "lead,mae,crps,coverage/90\n1,1,1,0.9\n2,3,,0.7\n",
        "evaluation/pit.csv": "from,share\n0,0.4\n0.5,0.6\n",
    }
    encoded = {name: text.encode() for name, text in files.items()}
    tags = {"model": EVIL, "dataset": QUOTED}
    params = {"data.dataset": QUOTED, "data.sha256": EVIL, "trainer.seed": EVIL, EVIL: QUOTED}
    return record(f"{EVIL}{QUOTED}", files=encoded, tags=tags, params=params, status=EVIL)


def test_names_from_outside_are_text_and_nothing_else() -> None:
    for records in ([hostile()], [hostile(), record(QUOTED), record(EVIL)]):
        text = render(build(records))
        page = read_safely(text)
        assert text.count(EVIL) == 0
        assert EVIL in page.text
        assert QUOTED in page.text
        assert "/secret/place" not in text
        policy = {
            "http-equiv": "Content-Security-Policy",
            "content": "default-src 'none'; style-src 'unsafe-inline'",
        }
        assert ("meta", policy) in page.tags


def test_the_candidates_of_an_ensemble_have_a_table() -> None:
    rows = "one,0.25,0.75,2.0,\ntwo,0.5,0.0,1.0,\nthree,,0.0,1.0,too slow\nfour,0.75,0.0,1.0,lost\n"
    board = {"evaluation/leaderboard.csv": f"name,crps,weight,seconds,fault\n{rows}".encode()}
    page = read_safely(render(build([record(files=board)])))
    shown = "".join(page.text.split())
    assert "candidatevalidationCRPSweightone0.25000.75two0.5000threetooslowfourlost" in shown
    assert "Candidates" not in render(build([record()]))


def test_a_report_of_one_run() -> None:
    page = read_safely(render(build([record()])))
    for expected in (
        "Report: first",
        "data.csv",
        "2026-01-02",
        "d1",
        "id-of-first",
        "80.0 %",
        "abc",
    ):
        assert expected in page.text
    assert "/home/someone" not in page.text


def paragraphs(text: str) -> list[str]:
    return [re.sub("<[^>]*>", "", each) for each in re.findall("<p[ >].*?</p>", text, re.DOTALL)]


def test_the_page_begins_with_the_verdict_of_each_run() -> None:
    text = render(build([record(verdict="On 3 past windows …")]))
    read_safely(text)
    assert paragraphs(text)[0] == "On 3 past windows …"
    several = [record(verdict="good"), record("second"), record("third", verdict=EVIL)]
    text = render(build(several))
    assert EVIL in read_safely(text).text
    assert paragraphs(text)[0] == "A first: good"
    assert paragraphs(text)[1] == "B second "
    assert paragraphs(text)[2].startswith("C third: &lt;script&gt;")
    assert text.index("third") < text.index("<table>")


def test_runs_of_before_there_were_verdicts_have_none() -> None:
    text = render(build([record()]))
    read_safely(text)
    assert '<p class="verdict">' not in text
    assert paragraphs(text)[0] == "data.csv, 2 steps ahead"


@pytest.mark.parametrize(
    ("values", "best"),
    [([2.0, 3.0, None], {0}), ([2.0, 2.0, 3.0], {0, 1}), ([2.0, 2.0], set()), ([2.0], set())],
)
def test_what_is_no_better_than_any_other_is_not_the_best(
    values: list[float | None], best: set[int]
) -> None:
    assert _best("mae", values) == best


def test_runs_side_by_side_mark_the_best_and_say_what_differs() -> None:
    other = record(
        "second",
        metrics={"test/mae": 2.5, "test/coverage/90": 0.95, "test/windows": 10.0},
        params=record().params | {"trainer.seed": "8"},
    )
    found = build([record(), other]).comparison
    assert found is not None
    rows = {row.name: row for row in found.metrics}
    assert found.metrics_head == ["", "A", "B", "seasonal naive"]
    assert (rows["mae"].cells, rows["mae"].best) == (["2", "2.5", "3"], {0})
    assert rows["coverage/90"].best == {1}  # .95 is nearer to .90 than .80 is
    assert rows["windows"].best == frozenset()
    assert [(row.name, row.cells) for row in found.parameters] == [("trainer.seed", ["7", "8"])]
    assert found.caution == ""


def test_curves_of_other_windows_are_reported() -> None:
    """The trainings compare; one was evaluated on three windows since."""
    other = record("second", scores={"test/windows": 3.0, "test/coverage/90": 0.7}, evaluation="e")
    found = build([record(), other]).comparison
    assert found is not None
    assert found.caution == (
        "The curves of these runs are of different numbers of windows: they compare roughly at best."
    )


@pytest.mark.parametrize(
    ("change", "caution"),
    [
        (
            {"params": record().params | {"data.sha256": "d2"}},
            "were not trained and tested on the same data (the digests differ)",
        ),
        (
            {"params": record().params | {"data.horizon": "3"}},
            "forecast different numbers of steps",
        ),
        (
            {"metrics": {"test/mae": 1.0, "test/windows": 9.0}},
            "were scored on different numbers of test windows",
        ),
    ],
)
def test_runs_that_do_not_compare_are_not_compared(change: dict, caution: str) -> None:
    found = build([record(), record("second", **change)]).comparison
    assert found is not None
    assert found.caution == f"These runs do not compare: they {caution}."
    assert not found.marked


def test_several_faults_are_one_warning() -> None:
    other = {"params": record().params | {"data.sha256": "d2", "data.horizon": "3"}}
    found = build([record(), record("second", **other)]).comparison
    assert found is not None
    assert found.caution == (
        "These runs do not compare: they were not trained and tested on the same data (the digests "
        "differ) and forecast different numbers of steps."
    )
    assert found.fans == []


def test_runs_of_one_name_are_distinguished() -> None:
    page = build([record("a", run_id="11111111x"), record("a", run_id="22222222y")])
    assert [run.name for run in page.runs] == ["a (11111111)", "a (22222222)"]


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), dtype=float)


def test_a_fan_stands_in_order_and_a_missing_value_is_a_gap() -> None:
    levels = {"0.05": [2.0, 2.0], "0.25": [3.0, 3.0], "0.75": [5.0, 5.0], "0.95": [6.0, 6.0]}
    chart = fan(
        "x", [1.0, np.nan, 3.0, 4.0], [4.0, 4.0], levels, [f"2024-01-0{i}" for i in range(1, 7)]
    )
    wide, narrow, past, mean = chart.shapes
    assert [s.label for s in chart.legend] == ["history", "forecast"]
    assert [label.text for label in chart.labels] == ["90 %", "50 %"]
    assert past.path.count("M") == 2
    np.testing.assert_allclose(
        np.diff(numbers(past.path)[:, 0]),
        np.array([2, 1]) * (chart.right - chart.left) / 5,
        atol=0.11,
    )
    assert (numbers(mean.path)[0] == numbers(past.path)[-1]).all()  # no gap
    low, high = numbers(wide.path)[[1, -2], 1]
    assert (
        low > numbers(narrow.path)[1, 1] > numbers(mean.path)[1, 1] > high
    )  # downwards in the picture
    for path in (past.path, mean.path, wide.path):
        assert ((numbers(path) >= 0) & (numbers(path) <= [WIDTH, HEIGHT])).all()


def test_labels_beside_lines_keep_their_order_and_apart() -> None:
    lines = {str(i): [0.0, 5.0 + 0.01 * i] for i in range(8)}
    for chart in (curves("x", lines), curves("x", {k: [0.0, -v[1]] for k, v in lines.items()})):
        heights = [label.y for label in chart.labels]
        assert len(heights) == 8
        assert (np.diff(heights) >= 10.9).all()
        assert (min(heights) >= TOP) & (max(heights) <= BOTTOM)
    assert [label.text for label in curves("x", lines).labels] == [str(i) for i in range(8)][::-1]


def test_a_date_has_its_year_and_a_time_of_day_its_own_line() -> None:
    stamps = ["2024-12-31 18:00", "2025-01-01", "2025-01-01T06:30:00+01:00", "02/01/2025 00:00:00"]
    ticks = fan("x", [1.0, 2.0, 3.0], [4.0], {}, stamps).x_ticks
    assert [(tick.label, tick.below) for tick in ticks] == [
        ("2024-12-31", "18:00"),
        ("2025-01-01", ""),
        ("2025-01-01", "06:30"),
        ("02/01/2025", ""),
    ]


def test_forecasts_of_several_runs_are_in_one_picture_where_they_are_of_the_same_steps() -> None:
    other = hostile()
    late = hostile()
    late.files["forecasts/forecast.csv"] = late.files["forecasts/forecast.csv"].replace(
        b"2024-01-03", b"2024-02-03"
    )
    charts, more = together({"A": hostile(), "B": other, "C": late})
    assert (len(charts), more) == (1, 0)
    assert [shape.label for shape in charts[0].shapes] == ["history", "A", "B"]


def of_series(name: str, series: str) -> Record:
    """A run that kept a history of these series, in their order, and a forecast of all letters."""
    past = "".join(f"{each},2024-01-01,1\n" for each in series)
    ahead = "".join(f"{each},2024-01-02,2\n" for each in "abcdef")
    files = {
        "forecasts/history.csv": f"item_id,timestamp,value\n{past}".encode(),
        "forecasts/forecast.csv": f"item_id,timestamp,mean\n{ahead}".encode(),
    }
    return record(name, files=files)


def test_the_same_series_are_drawn_of_every_run_whichever_is_its_worst() -> None:
    page = build([of_series("one", "abcdef"), of_series("two", "fedcba"), of_series("three", "c")])
    assert page.comparison is not None
    lines = {
        chart.title: [shape.label for shape in chart.shapes[1:]] for chart in page.comparison.fans
    }
    assert lines == {"a": ["A", "B"], "b": ["A", "B"], "c": ["A", "B", "C"], "d": ["A", "B"]}
    assert page.comparison.more == 2
    titles = [[chart.title for chart in run.fans] for run in page.runs]
    assert titles == [["a", "b", "c", "d"], ["a", "b", "c", "d"], ["c"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (48150.4, "48,150"),
        (-1234567.0, "-1,234,567"),
        (999.96, "1,000"),
        (12.3456, "12.35"),
        (3.0, "3"),
        (100.0, "100"),
        (0.03125, "0.03125"),
        (0.0000123, "0.0000123"),
        (0.0, "0"),
        (1.5e-9, "1.5e-09"),
        (float("nan"), ""),
        (None, ""),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_as_people_write_them(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_charts_bear_what_is_missing_or_constant() -> None:
    for chart in (
        curves("x", {"a": [np.nan, np.nan], "b": []}),
        curves("x", {"a": [2.0]}),
        histogram("x", [0.0, 1.0]),
        reliability({"a": {50: 0.5, 90: 1.0}, "b": {}}),
        fan("x", [1.0, 1.0], [1.0], {}, ["1", "2", "3"]),
    ):
        for shape in chart.shapes:
            assert "nan" not in shape.path
        assert all(0 <= tick.at <= WIDTH for tick in chart.x_ticks + chart.y_ticks)


def test_an_exact_calibration_lies_on_the_diagonal() -> None:
    aim, line, _ = reliability({"a": {50: 0.5, 80: 0.8, 90: 0.9, 95: 0.95}}).shapes
    (x0, y0), (x1, y1) = numbers(aim.path)
    points = numbers(line.path)
    np.testing.assert_allclose(
        points[:, 1], y0 + (points[:, 0] - x0) * (y1 - y0) / (x1 - x0), atol=0.1
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, float]]:
    """Two runs on a file with a column's name that wants to be a tag; the first one's metrics."""
    folder = tmp_path_factory.mktemp("report")
    pd.read_csv(SAMPLE).rename(columns={"wind": EVIL}).to_csv(folder / "a<b>.csv", index=False)
    found = []
    for model, name in (("quantile-linear", f"one {QUOTED}"), ("nlinear", "two")):
        done = inside(
            "train",
            model,
            "--csv",
            folder / "a<b>.csv",
            "--horizon",
            14,
            "--lookback",
            56,
            "--accelerator",
            "cpu",
            "--set",
            "trainer.max_steps=5",
            "--run-name",
            name,
            "--json",
        )
        found.append(json.loads(done.stdout))
    return folder, [run["run_id"] for run in found], found[0]["metrics"]


def test_report_of_real_runs(runs: tuple[Path, list[str], dict[str, float]], tmp_path) -> None:
    folder, ids, metrics = runs
    out = tmp_path / "report.html"
    assert inside("report", *ids, "--output", out).stdout == f"{out}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    page = read_safely(out.read_text(encoding="utf-8"))
    for expected in (
        EVIL,
        QUOTED,
        "a<b>.csv",
        *ids,
        figure(metrics["test/mae"]),
        figure(metrics["test/coverage/80"]),
        "quantile-linear",
        "trainer",
        "1461",
        "2012-01-01",
        f"torch {torch.__version__}",
    ):
        assert expected in page.text
    assert str(folder) not in page.text
    labels = [
        attrs["aria-label"] for tag, attrs in page.tags if tag == "svg" and "aria-label" in attrs
    ]
    assert (
        sum(
            f"{EVIL}: 84 values of history, then 14 steps of forecast" in str(label)
            for label in labels
        )
        == 2
    )
    assert (
        "meta",
        {"name": "viewport", "content": "width=device-width, initial-scale=1"},
    ) in page.tags


def test_a_model_without_a_run_says_what_is_missing(
    runs: tuple[Path, list[str], dict[str, float]], tmp_path: Path
) -> None:
    _, ids, metrics = runs
    folder = tmp_path / "sales"
    shutil.copytree(Path(os.environ["FORECASTER_HOME"]) / "models" / ids[0], folder)
    record = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(record | {"run_id": None}))
    out = tmp_path / "report.html"
    done = inside("report", folder, ids[1], "--output", out, "--json")
    assert json.loads(done.stdout)["runs"] == ["", ids[1]]
    page = read_safely(out.read_text(encoding="utf-8"))
    assert page.text.count("This model has no run in the store: its forecast, curves") == 1
    for expected in (record["verdict"], figure(metrics["test/mae"]), record["digest"]):
        assert expected in page.text


def test_a_training_stores_curves_and_no_more_history_than_its_picture(
    runs: tuple[Path, list[str], dict],
) -> None:
    _, ids, metrics = runs
    store = next(Path(os.environ["FORECASTER_HOME"]).glob(f"artifacts/{ids[0]}/artifacts"))
    leads = pd.read_csv(store / "evaluation" / "by_lead.csv")
    assert list(leads["lead"]) == list(range(1, 15))
    for name in ("mae", "mse", "crps", "coverage/90"):
        assert leads[name].mean() == pytest.approx(metrics[f"test/{name}"], rel=1e-6)
    past = pd.read_csv(store / "forecasts" / "history.csv")
    sample = pd.read_csv(SAMPLE)
    # six horizons, which are fewer than two years
    assert list(past.loc[past["item_id"] == "temp_max", "value"]) == list(sample["temp_max"])[-84:]
    assert list(past["timestamp"][:84]) == list(sample["date"])[-84:]


@pytest.mark.slow
def test_an_evaluation_adds_the_pit(runs: tuple[Path, list[str], dict], tmp_path) -> None:
    ids, out = runs[1], tmp_path / "r.html"
    scored = json.loads(
        inside(
            "evaluate",
            "--model",
            f"runs:/{ids[0]}/model",
            "--mode",
            "probabilistic",
            "--samples",
            20,
            "--limit",
            30,
            "--json",
        ).stdout
    )
    inside("report", ids[0], "--output", out)
    page = read_safely(out.read_text(encoding="utf-8"))
    assert "(PIT)" in page.text
    assert f"the evaluation {scored['run_id'][:8]} of this model on 30 test windows" in page.text
    assert f"{100 * scored['metrics']['test/coverage/90']:.1f} %" in page.text
    fewer = ("--mode", "probabilistic", "--samples", 20, "--limit", 3)
    inside("evaluate", "--model", f"runs:/{ids[0]}/model", *fewer)  # newer, but on fewer windows
    inside("report", ids[0], "--output", out)
    assert (
        f"the evaluation {scored['run_id'][:8]} of this model on 30 test windows"
        in out.read_text(encoding="utf-8")
    )


def test_an_unknown_run_is_one_line(tmp_path) -> None:
    done = inside("report", "0123", "--output", tmp_path / "r.html", status=1)
    assert "0123: no such run" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
