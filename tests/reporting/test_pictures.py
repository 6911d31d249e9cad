"""Pictures of forecasts: what they show is what the table, the forecast and the samples say."""

import importlib.util
import itertools
import json
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import inside
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from forecaster.config.schema import Columns
from forecaster.data.frames import read_source
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError
from forecaster.inference.forecasts import forecast_series
from forecaster.inference.predictor import PredictionRequest
from forecaster.inference.saved_model import load_model
from forecaster.reporting.fans import (
    LEVELS,
    Picture,
    choose,
    history_length,
    intervals,
    named,
    picture_of,
)
from forecaster.reporting.interactive import page
from forecaster.reporting.plots import (
    check_picture,
    date_labels,
    draw_forecast,
    plot_steps,
    write_picture,
)
from forecaster.workflows.pictures import picture

EVIL = "</script><script>alert(1)</script>"
STEPS = 7


def table_of(names: list[str], freq: str = "D", level: float = 48_150.0, rows: int = 90) -> Table:
    """Waves around a level, a column a name."""
    wave = np.sin(2 * np.pi * np.arange(rows) / 7)
    columns = {name: level * (1 + 0.05 * wave + 0.01 * k) for k, name in enumerate(names)}
    times = pd.date_range("2023-12-01", periods=rows, freq=freq)
    return read_table(read_source(pd.DataFrame({"time": times, **columns})), Columns())


def rows_of(table: Table, levels: tuple[float, ...] = LEVELS) -> pd.DataFrame:
    """The last values again, and quantiles that lie around them as those of uniform values do."""
    frames = []
    for k, name in enumerate(table.names):
        values = table.series[0].values[-STEPS:, k]
        quantiles = {f"{level:g}": values * (1 + 0.1 * (level - 0.5)) for level in levels}
        frames.append(pd.DataFrame({"item_id": name, "mean": values, **quantiles}))
    return pd.concat(frames, ignore_index=True)


def drawn(table: Table, rows: pd.DataFrame | None = None, history: int = 28, **errors: float):
    rows = rows_of(table) if rows is None else rows
    return picture_of(table, rows, rows, choose(table.labels, errors), history)


def test_line_and_intervals_go_on_from_the_last_known_value() -> None:
    table = table_of(["a", "b"])
    table.series[0].values[-2:, 1] = np.nan  # b is known until two steps before the end
    rows = rows_of(table_of(["a", "b"]))
    axes = draw_forecast(drawn(table, rows)).axes
    for k, (axis, name, end) in enumerate(zip(axes, "ab", (90, 88), strict=True)):
        past, line = axis.lines
        assert (past.get_label(), line.get_label()) == ("history", "forecast")
        np.testing.assert_array_equal(past.get_ydata(), table.series[0].values[-28:, k])
        times = pd.date_range("2023-12-01", periods=97)
        at = [*times[end - 1 : end], *times[90:]]
        np.testing.assert_array_equal(date2num(line.get_xdata()), date2num(at))
        last = table.series[0].values[end - 1, k]
        of = rows[rows["item_id"] == name]
        np.testing.assert_array_equal(line.get_ydata(), [last, *of["mean"]])
        widest, _, narrow = axis.collections
        for band, low, high in ((widest, "0.025", "0.975"), (narrow, "0.25", "0.75")):
            corners = band.get_paths()[0].vertices
            for x, least, most in zip(
                date2num(at), [last, *of[low]], [last, *of[high]], strict=True
            ):
                found = corners[np.isclose(corners[:, 0], x), 1]
                assert (found.min(), found.max()) == (pytest.approx(least), pytest.approx(most))


def test_history_is_two_seasons_between_two_and_six_horizons() -> None:
    assert history_length(14, 7) == 28  # two seasons are two horizons
    assert history_length(24, 24) == 48
    assert history_length(12, 24) == 48
    assert history_length(96, 24) == 192  # two horizons, which are more than two days
    assert history_length(14, 365) == 84  # two years are more than six horizons
    assert history_length(1, 24) == 48  # six horizons would show nothing
    assert history_length(1, 365) == 60


def test_intervals_are_pairs_of_levels_around_the_median() -> None:
    assert intervals([f"{level:g}" for level in LEVELS]) == {
        "95 %": ("0.025", "0.975"),
        "80 %": ("0.1", "0.9"),
        "50 %": ("0.25", "0.75"),
    }
    assert intervals(["0.05", "0.5", "0.9", "0.95"]) == {"90 %": ("0.05", "0.95")}
    assert intervals(["0.1", "0.5", "0.95"]) == {}


def test_the_legend_says_what_is_drawn_and_nothing_is_drawn_that_is_not_known() -> None:
    table = table_of(["a"])

    def legend(levels: tuple[float, ...]) -> list[str]:
        [found] = draw_forecast(drawn(table, rows_of(table, levels))).legends
        return [text.get_text() for text in found.get_texts()]

    shares = ["50 % interval", "80 % interval", "95 % interval"]
    assert legend(LEVELS) == ["history", "forecast", *shares]
    assert legend((0.25, 0.5, 0.75)) == ["history", "forecast", "50 % interval"]
    assert legend(()) == ["history", "forecast"]
    skipped = rows_of(table).assign(**dict.fromkeys(["mean", *map("{:g}".format, LEVELS)], np.nan))
    [axis] = draw_forecast(drawn(table, skipped)).axes
    assert len(axis.collections) == 0


FIGURES = {
    "one of hundred thousands": (["revenue"], "D", 481_500.0),
    "two of hours": (["a", "b"], "h", 0.0481),
    "four of months": (["a", "b", "c", "d" * 90], "MS", -3.0e9),
    "twelve of days": ([f"a long name of series {k:02d}" for k in range(12)], "D", 48_150.0),
    "twelve of minutes": ([f"s{k}" for k in range(12)], "15min", 1e-4),
}


@pytest.mark.parametrize("case", FIGURES)
def test_nothing_overprints_or_is_cut(case: str) -> None:
    names, freq, level = FIGURES[case]
    errors = {name: 1.0 + k for k, name in enumerate(names)}
    figure = draw_forecast(drawn(table_of(names, freq, level), **errors))
    figure.canvas.draw()
    page, boxes = figure.bbox, {}
    shown = [axis for axis in figure.axes if axis.get_visible()]
    texts = [*figure.legends[0].get_texts(), figure._suptitle] if len(names) > 1 else []
    for axis in shown:
        low, high = axis.get_ylim()
        ticks = zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
        texts += [text for tick, text in ticks if low <= tick <= high]
        texts += [axis._left_title, *axis.get_xticklabels()]
        assert "e" not in "".join(label.get_text() for label in axis.get_yticklabels())
        assert axis.yaxis.get_offset_text().get_text() == ""
        assert axis.xaxis.get_offset_text().get_text() == ""
        labels = [label.get_text() for label in axis.get_xticklabels()]
        assert len(labels) >= 2
        assert re.search(r"20\d\d", labels[0])
        assert not figure.legends[0].get_window_extent().overlaps(axis.get_window_extent())
    for text in texts:
        if text.get_text():
            boxes[text] = text.get_window_extent().padded(-0.5)
            assert page.x0 <= boxes[text].x0 <= boxes[text].x1 <= page.x1, text
            assert page.y0 <= boxes[text].y0 <= boxes[text].y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert not a.overlaps(b), (one, other)
    for text, axis in itertools.product(boxes, shown):
        assert not boxes[text].overlaps(axis.get_window_extent()), text


def test_numbers_are_written_out() -> None:
    [axis] = draw_forecast(drawn(table_of(["revenue"], level=481_500.0))).axes
    found = [axis.yaxis.get_major_formatter()(tick) for tick in axis.get_yticks()]
    assert "480,000" in found
    assert len(set(found)) == len(found)


def test_dates_are_as_short_as_tells_them_apart() -> None:
    assert date_labels([datetime(2023, 1, 1), datetime(2024, 1, 1)]) == ["2023", "2024"]
    assert date_labels([datetime(2023, 12, 1), datetime(2024, 1, 1)]) == ["2023-12", "2024-01"]
    assert date_labels([datetime(2023, 12, 1), datetime(2023, 12, 8)]) == [
        "2023-12-01",
        "2023-12-08",
    ]
    hours = [datetime(2023, 12, 31, 12), datetime(2023, 12, 31, 18), datetime(2024, 1, 1)]
    assert date_labels(hours) == ["12:00\n2023-12-31", "18:00", "00:00\n2024-01-01"]


def test_times_are_those_of_the_clock() -> None:
    """Through the end of daylight saving, without a step back."""
    times = pd.date_range("2023-10-28", periods=96, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"time": times.map(lambda t: t.isoformat()), "a": np.arange(96.0) % 24})
    table = read_table(read_source(frame), Columns(timezone="Europe/Berlin"))
    [axis] = draw_forecast(drawn(table, history=90)).axes
    x = date2num(axis.lines[0].get_xdata())
    np.testing.assert_allclose(np.diff(x), 1 / 24)
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels[0] == "2023-10-29"  # midnight there, not in UTC


def test_the_worst_come_first_and_the_picture_says_how_many_there_are() -> None:
    names = [f"s{k}" for k in range(30)]
    errors = {name: float(k % 7) for k, name in enumerate(names) if k != 6}
    found = choose(names, errors)
    assert list(found.names[:5]) == ["s13", "s20", "s27", "s5", "s12"]
    assert (len(found.names), found.about.partition(",")[0]) == (12, "12 of 30 series")
    assert choose(names, errors, most=100).names[-1] == "s6"  # of unknown error
    assert choose(names, {}).about == "the first 12 of 30 series"
    assert choose(names, {}).names == names[:12]
    assert choose(names, errors, ["s3", "s1"]).about == "2 of 30 series"
    assert choose(["a"], {"a": 1.0}).about == ""
    figure = draw_forecast(drawn(table_of(["a", "b"]), a=0.5, b=1.25))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["b (MASE 1.25)", "a (MASE 0.50)"]


def test_series_are_named_or_refused_with_the_nearest() -> None:
    known = ["wind", "temp_max", "a,b"]
    assert named("temp_max, wind,wind", known) == ["temp_max", "wind"]
    assert named("a,b", known) == ["a,b"]
    with pytest.raises(UserError) as caught:
        named("widn", known)
    assert str(caught.value) == (
        "--series: no series 'widn' (did you mean 'wind'?); there are wind, temp_max, a,b"
    )
    many = [f"s{k}" for k in range(70)]
    assert named(many[:60], many) == many[:60]
    with pytest.raises(UserError, match=r"^--series: 61 series; name at most 60, or none$"):
        named(many[:61], many)
    with pytest.raises(UserError, match=r"there are s0, .*, s7, …$"):
        named("x", many)


class Content(HTMLParser):
    """The elements of a page, its options, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.options: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in == "option":
            self.options.append(data)


@pytest.fixture(scope="module")
def evil() -> Picture:
    return drawn(table_of(["units", EVIL]), **{"units": 0.5, EVIL: 0.75})


def test_the_page_is_one_file_whose_names_are_inert(evil: Picture, tmp_path: Path) -> None:
    write_picture(tmp_path / "f.html", evil)
    text = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    content = Content(text)
    assert content.options == [f"{EVIL} (MASE 0.75)", "units (MASE 0.50)"]
    [policy] = [each["content"] for tag, each in content.found if each.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    assert not [each for _, each in content.found if {"src", "href"} & set(each)]
    assert page(evil) == text  # the same each time


def test_the_page_holds_the_values(evil: Picture) -> None:
    script = next(each for each in Content(page(evil)).scripts if "Plotly.newPlot" in each)
    start = script.index("[", script.index("Plotly.newPlot"))
    traces, _ = json.JSONDecoder().raw_decode(script[start:])
    lines = {(t["meta"], t["name"]): t for t in traces if t.get("showlegend", True) and "text" in t}
    fan = evil.fans[1]
    assert fan.name == "units"
    assert lines[1, "history"]["y"] == fan.past.tolist()
    assert lines[1, "history"]["visible"] is False
    assert lines[0, "forecast"]["visible"] is True
    assert lines[1, "forecast"]["y"] == [fan.past[-1], *fan.point]
    assert lines[1, "forecast"]["x"][0] == lines[1, "history"]["x"][-1] == "2024-02-28 00:00:00"
    first, narrow, *_ = lines[1, "forecast"]["text"][1].split("<br>")
    low, high = fan.bands["50 %"][:, 0]
    assert (first, narrow) == (f"{fan.point[0]:,.0f}", f"50 %: {low:,.0f} to {high:,.0f}")
    [band] = [
        t for t in traces if t["meta"] == 1 and t["name"] == "95 % interval" and len(t["x"]) > 1
    ]
    low, high = fan.bands["95 %"]
    last = fan.past[-1]
    assert band["y"] == pytest.approx([last, *low, *high[::-1], last])


def test_a_page_without_plotly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_picture(Path("f.html"), interactive=True)
    with pytest.raises(UserError, match=r"^--plot f\.txt: .* \.png, \.svg, \.pdf or \.html$"):
        check_picture(Path("f.txt"), interactive=True)
    with pytest.raises(UserError, match=r"^--plot f\.html: .* \.png, \.svg or \.pdf$"):
        check_picture(Path("f.html"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        check_picture(Path("f.html"), interactive=True)
    assert str(caught.value) == "--plot f.html needs Plotly: pip install '.[plots]'"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of fourteen items, and its file."""
    folder = tmp_path_factory.mktemp("pictures")
    random, days = np.random.default_rng(0), pd.date_range("2022-01-01", periods=200)
    wave = 100 + 10 * np.sin(2 * np.pi * np.arange(200) / 7)
    frames = [
        pd.DataFrame(
            {"item": f"s{k:02d}", "date": days, "y": wave + (1 + k) * random.normal(size=200)}
        )
        for k in range(14)
    ]
    path = folder / "items.csv"
    pd.concat(frames).to_csv(path, index=False)
    steps = ("--horizon", 7, "--lookback", 28, "--set", "trainer.max_steps=2")
    inside("train", "nlinear", "--csv", path, *steps, "--output", folder / "model")
    return folder / "model", path


def read(trained: tuple[Path, Path], **options: Any) -> Any:
    model, path = trained
    saved = load_model(model)
    raw = read_table(path, saved.config.data.columns)
    return forecast_series(saved, raw, PredictionRequest("probabilistic", **options))


def test_intervals_are_quantiles_of_a_thousand_samples_of_the_same_seed(trained) -> None:
    found = picture(read(trained, seed=3))
    assert len(found.fans) == 12
    known = [fan.error for fan in found.fans if fan.error is not None]
    assert known  # of the series that have a scored window
    assert [fan.error for fan in found.fans][: len(known)] == sorted(known, reverse=True)
    many = read(trained, seed=3, samples=1000)
    for fan in found.fans[:2]:
        number = int(fan.name.removeprefix("s"))
        paths = many.series[number].samples
        for share, both in (("50 %", (0.25, 0.75)), ("80 %", (0.1, 0.9)), ("95 %", (0.025, 0.975))):
            expected = np.quantile(paths, both, axis=0, method="weibull")
            np.testing.assert_allclose(fan.bands[share], expected, rtol=1e-5)  # float32
    drawn_all = picture(read(trained, seed=3, samples=2000), ["s01"])
    assert [fan.name for fan in drawn_all.fans] == ["s01"]
    assert drawn_all.about == "1 of 14 series"


def test_costly_models_show_the_samples_that_they_drew(trained, monkeypatch) -> None:
    monkeypatch.setattr("forecaster.workflows.pictures._NUMBERS", 0)
    forecast = read(trained, seed=3)
    fan = picture(forecast, ["s04"]).fans[0]
    expected = np.quantile(forecast.series[4].samples, (0.025, 0.975), axis=0, method="weibull")
    np.testing.assert_array_equal(fan.bands["95 %"], expected)


def test_wide_conformal_intervals_are_left_out_where_errors_are_few(trained) -> None:
    saved = load_model(trained[0])
    errors, times, owners = (getattr(saved.held_out, n)[:25] for n in ("errors", "times", "owners"))
    held = replace(saved.held_out, errors=errors, times=times, owners=owners * 0)
    table = read_table(trained[1], saved.config.data.columns)
    request = PredictionRequest("probabilistic", quantiles=(0.5,))
    forecast = forecast_series(replace(saved, held_out=held).conformal(), table, request)
    assert list(picture(forecast, ["s01"]).fans[0].bands) == ["80 %", "50 %"]


def test_a_point_forecast_has_no_intervals(trained) -> None:
    model, path = trained
    saved = load_model(model)
    table = read_table(path, saved.config.data.columns)
    forecast = forecast_series(saved, table, PredictionRequest("point"))
    assert not any(fan.bands for fan in picture(forecast).fans)


def test_a_picture_changes_no_number_of_the_file(trained, tmp_path: Path) -> None:
    model, path = trained
    forecast = ("forecast", "--model", model, "--csv", path, "--output")
    inside(*forecast, tmp_path / "plain.csv")
    plot = ("--plot", tmp_path / "f.png", "--series", "s03,s01")
    assert inside(*forecast, tmp_path / "drawn.csv", *plot).stdout.endswith("f.png\n")
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "drawn.csv").read_bytes()
    refused = inside(*forecast, tmp_path / "no.csv", *plot[:2], "--series", "s03x", status=1).stderr
    assert refused.splitlines()[-1].startswith(
        "error: --series: no series 's03x' (did you mean 's03'?); there are s00, "
    )
    assert not (tmp_path / "no.csv").exists()
    alone = inside(*forecast, tmp_path / "no.csv", "--series", "s03", status=2).stderr
    assert "--series names what --plot draws; give both" in alone


def test_the_dial_draws_each_data_set_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    rows = pd.DataFrame(
        [("a", "m", s, n, seed, s + n + seed) for s in (0, 2) for n in (1, 5) for seed in (0, 1)]
        + [("b", "m", s, n, 0, 100 * s + n) for s in (0, 2) for n in (1, 5)],
        columns=["data", "model", "s", "steps", "seed", "crps"],
    )
    plot_steps(tmp_path / "dial.png", rows, ["crps"])
    panels = {
        axis.get_title(loc="left"): {
            line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist())
            for line in axis.lines
        }
        for axis in drawn[0].axes
    }
    assert panels == {
        "m, a: crps": {"s = 0": ([1, 5], [1.5, 5.5]), "s = 2": ([1, 5], [3.5, 7.5])},
        "m, b: crps": {"s = 0": ([1, 5], [1.0, 5.0]), "s = 2": ([1, 5], [201.0, 205.0])},
    }
