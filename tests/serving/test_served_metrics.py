"""What a server tells of its requests: Prometheus' counters, and a line a request."""

import asyncio
import copy
import json
import logging
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving.test_front import ABOUT, POST, Exchange, Link, SlowLink, run, under_way

from forecaster.serving import log
from forecaster.serving.front import Front
from forecaster.serving.hosts import Hosts

Samples = dict[tuple[str, ...], float]


async def read(app: Front) -> Samples:
    """Every sample of /metrics, by its name and the values of its labels."""
    exchange = await Exchange(method="GET", path="/metrics").by(app)
    assert exchange.status == 200
    assert exchange.headers[b"content-type"].startswith(b"text/plain; version=")
    families = text_string_to_metric_families(exchange.body.decode())
    samples = [sample for family in families for sample in family.samples]
    found = {(s.name, *s.labels.values()): s.value for s in samples}
    assert len(found) == len(samples)
    return found


def of(found: Samples, name: str) -> dict[tuple[str, ...], float]:
    return {tuple(key[1:]): value for key, value in found.items() if key[0] == name}


def app() -> Front:
    return Front(Link(), Hosts("127.0.0.1"), ABOUT)  # type: ignore[arg-type]


def test_requests_are_counted_by_address_and_status() -> None:
    async def ask() -> Samples:
        front = app()
        for exchange in (
            Exchange(),
            Exchange(),
            Exchange(headers={"host": "localhost"}),  # no content type
            Exchange(headers={"host": "evil.example"}, method="GET", path="/ping"),
            Exchange(method="GET", path="/ping"),
            Exchange(method="GET", path="/secret"),
            Exchange(method="GET", path="/docs"),
        ):
            await exchange.by(front)
        await read(front)
        return await read(front)

    found = asyncio.run(ask())
    assert of(found, "forecaster_requests_total") == {
        ("/invocations", "200"): 2,
        ("/invocations", "415"): 1,
        ("/ping", "403"): 1,
        ("/ping", "200"): 1,
        ("other", "404"): 2,
        ("/metrics", "200"): 1,
    }
    assert of(found, "forecaster_request_seconds_count") == {
        ("/invocations",): 3,
        ("/ping",): 2,
        ("other",): 2,
        ("/metrics",): 1,
    }
    assert of(found, "forecaster_forecast_rows_total") == {(): 6}  # 3 an answer
    assert of(found, "forecaster_requests_in_progress") == {(): 1}  # the one that asks
    assert of(found, "forecaster_requests_waiting") == {(): 0}
    assert not [key for key in found if key[0].endswith("_created")]


def test_the_seconds_of_a_request_fall_into_their_buckets() -> None:
    front = app()
    for seconds in (0.2, 0.3, 61.0, 600.0):
        front._metrics.answered("/invocations", front._told("/ping"), seconds)
    found = asyncio.run(read(front))
    buckets = of(found, "forecaster_request_seconds_bucket")
    assert {float(upto): n for (upto, _), n in buckets.items()} == {
        **dict.fromkeys((0.01, 0.025, 0.05, 0.1), 0),
        0.25: 1,
        **dict.fromkeys((0.5, 1, 2.5, 5, 10, 30, 60), 2),
        120: 3,
        float("inf"): 4,
    }
    assert of(found, "forecaster_request_seconds_sum") == {("/invocations",): 661.5}


def test_requests_that_wait_are_those_behind_the_one_that_is_computed() -> None:
    async def test(front: Front, link: SlowLink) -> None:
        others = [await under_way(front, link)]
        others += [asyncio.create_task(Exchange().by(front)) for _ in range(2)]
        await asyncio.sleep(0)
        found = await read(front)
        assert of(found, "forecaster_requests_waiting") == {(): 2}
        assert of(found, "forecaster_requests_in_progress") == {(): 4}
        link.ready.set()
        await asyncio.gather(*others)
        found = await read(front)
        assert of(found, "forecaster_requests_waiting") == {(): 0}
        assert of(found, "forecaster_requests_in_progress") == {(): 1}

    run(test)


def test_a_client_that_has_gone_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(front: Front, link: SlowLink) -> None:
        first, second = await under_way(front, link), Exchange()
        waiting = asyncio.create_task(second.by(front))
        await asyncio.sleep(0)
        second.gone.set()
        await asyncio.sleep(0)
        link.ready.set()
        await asyncio.gather(first, waiting)
        counts = of(await read(front), "forecaster_requests_total")
        assert counts == {("/invocations", "200"): 1, ("/invocations", "499"): 1}

    with caplog.at_level(logging.INFO):
        run(test)
    assert " POST /invocations 499 0 " in caplog.messages[1]


def test_the_model_in_service_and_its_exchanges() -> None:
    front = app()
    labels = ("champion", "models:/été/2", "été", "ab12", "", "2")  # by the labels' names
    found = asyncio.run(read(front))
    assert of(found, "forecaster_model_info") == {labels: 1}
    assert of(found, "forecaster_model_loaded_timestamp_seconds") == {(): 1767323045.5}
    later = {"model": "models:/été/3", "version": 3, "trained_until": "2026-01-01T00:00:00"}
    for news in (None, None, ABOUT | later | {"loaded_at": "2026-01-02T03:04:06+00:00"}):
        front.hear(news)
    found = asyncio.run(read(front))
    labels = ("champion", "models:/été/3", "été", "ab12", "2026-01-01T00:00:00", "3")
    assert of(found, "forecaster_model_info") == {labels: 1}
    assert of(found, "forecaster_model_loaded_timestamp_seconds") == {(): 1767323046}
    assert of(found, "forecaster_model_reloads_total") == {(): 1}
    assert of(found, "forecaster_model_reload_failures_total") == {(): 2}


@pytest.mark.parametrize(
    ("exchange", "line"),
    [
        ({}, "192.168.0.7 POST /invocations 200 1 0.0 models:/%C3%A9t%C3%A9/3"),
        ({"method": "GET", "path": "/ping"}, "192.168.0.7 GET /ping 200 1 0.0 -"),
        ({"method": "HEAD", "path": "/ping"}, "192.168.0.7 HEAD /ping 200 0 0.0 -"),
        ({"method": "GET", "path": "/ping", "client": None}, "- GET /ping 200 1 0.0 -"),
        (
            {"method": "GET", "path": "/a b\r\n\x1b[2J%é"},
            "192.168.0.7 GET /a%20b%0D%0A%1B%5B2J%25%C3%A9 404 {size} 0.0 -",
        ),
        (
            {"method": "X" * 300, "path": "/" + "p" * 300},
            f"192.168.0.7 {'X' * 200} /{'p' * 199} 404 {{size}} 0.0 -",
        ),
    ],
)
def test_a_request_is_one_line_of_the_log(
    exchange: dict[str, Any],
    line: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("forecaster.serving.front.monotonic", lambda: 5.0)
    with caplog.at_level(logging.INFO, "forecaster.requests"):
        done = asyncio.run(Exchange(**exchange).by(app()))
    (told,) = caplog.messages
    time, _, rest = told.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)
    assert rest == line.format(size=len(done.body))


def test_the_log_says_how_long_a_request_took(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "forecaster.requests"):
        scope = Exchange(headers=POST | {"authorization": "Bearer secret"}).scope
        log.request(scope | {"query_string": b"key=secret"}, app()._told("/ping"), 1.23456)
    assert caplog.messages[0].endswith(" POST /invocations 200 1 1234.6 -")


def test_in_json_every_line_is_an_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("forecaster")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, copy.copy(getattr(logger, name)))
    log.to_standard_error("json")
    monkeypatch.setattr("forecaster.serving.front.monotonic", lambda: 5.0)
    front = app()
    asyncio.run(Exchange().by(front))
    asyncio.run(Exchange(method="GET", path='/"é\n', client=None).by(front))
    front.unreadable(("10.0.0.1", 9))
    log.tell('now serving "é"\nbefore: 2 % of it')
    try:
        raise ValueError("a cause")
    except ValueError:
        logger.exception("a forecast failed")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", line.pop("time")) for line in lines)
    size = lines[1].pop("bytes")
    assert size > 0
    nothing = {"client": None, "method": None, "path": None, "model": None, "milliseconds": 0.0}
    assert lines[:4] == [
        {
            "client": "192.168.0.7",
            "method": "POST",
            "path": "/invocations",
            "status": 200,
            "bytes": 1,
            "milliseconds": 0.0,
            "model": "models:/%C3%A9t%C3%A9/3",
        },
        nothing | {"method": "GET", "path": "/%22%C3%A9%0A", "status": 404},
        nothing | {"client": "10.0.0.1", "status": 400, "bytes": 0},
        {"message": 'now serving "é"\nbefore: 2 % of it'},
    ]
    assert lines[4]["message"] == "a forecast failed"
    assert lines[4]["traceback"].endswith("ValueError: a cause")


def test_what_is_no_http_is_counted() -> None:
    front = app()
    front.unreadable(None)
    found = asyncio.run(read(front))
    assert of(found, "forecaster_requests_total") == {("other", "400"): 1}
