"""Three nights of a model in service, as one story: the file grows, better and worse models are
trained, a file is corrupt, and clients ask all the time.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import SAMPLE, inside
from serving.test_hostile_clients import Server

from forecaster.inference.saved_model import load_model
from forecaster.serving import server
from forecaster.serving.follow import POLL_SECONDS
from forecaster.serving.messages import CSV
from forecaster.tracking import references

HOME = Path(os.environ["FORECASTER_HOME"])
ALIAS = "models:/nightly@champion"
ROWS = pd.read_csv(SAMPLE)[["date", "temp_max", "wind"]]
BODY = ROWS.tail(60).to_csv(index=False).encode()
SMALL = ["--horizon", 7, "--lookback", 28, "--set", "trainer.max_epochs=2", "--json"]
LAST_VALUE = ["--set", "model={name: seasonal-naive, season: 1}"]
LINEAR = ["--set", "model={name: linear}", "--set", "trainer.learning_rate=0.005"]


class Client:
    """Asks for a forecast again and again: the version that each answer names, and its bytes."""

    def __init__(self, running: Server) -> None:
        self.running, self.ended = running, threading.Event()
        self.answers: list[tuple[int, str, bytes]] = []
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self) -> None:
        while not self.ended.is_set():
            self.answers.append(self.once())
            self.ended.wait(0.2)

    def once(self) -> tuple[int, str, bytes]:
        head = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n"
        head += "Content-Type: text/csv\r\nConnection: close\r\n\r\n"
        top, _, body = self.running.raw(head.encode() + BODY).partition(b"\r\n\r\n")
        lines = top.decode().splitlines()
        named = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), named["x-forecaster-model"], body

    def end(self) -> None:
        self.ended.set()
        self.thread.join(60)


@pytest.fixture
def first(tmp_path: Path) -> dict[str, Any]:
    """Version 1, which repeats the last day, in service."""
    file = tmp_path / "sales.csv"
    ROWS.head(1200).to_csv(file, index=False)
    given = ("--csv", file, *SMALL, *LAST_VALUE, "--register", "nightly")
    about = json.loads(inside("train", "nlinear", *given).stdout)
    inside("models", "promote", "nightly", 1)
    return about


@pytest.fixture
def client(first: dict[str, Any]) -> Iterator[Client]:
    running = Server(HOME, "--model", ALIAS)
    asking = Client(running)
    yield asking
    asking.end()
    running.end()


def retrain(file: Path, *args: object, status: int) -> dict[str, Any]:
    given = ("--csv", file, "--promote-if-better", *args, "--json")
    done = inside("retrain", ALIAS, *given, status=status)
    return json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


def forecast_by(folder: str) -> bytes:
    """What a model answers, without a server."""
    return server.respond(load_model(Path(folder)), CSV, BODY, lambda line: None).body


@pytest.mark.slow
def test_three_nights(first: dict[str, Any], client: Client, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    one = (200, "models:/nightly/1", forecast_by(first["model_dir"]))
    assert client.once() == one

    # the first night: a better model goes into service
    ROWS.head(1201).to_csv(file, index=False)
    better = retrain(file, *LINEAR, status=0)
    assert (better["promoted"], better["version"]) == (True, 2)
    two = (200, "models:/nightly/2", forecast_by(better["model_dir"]))
    assert two[2] != one[2]
    end = time.monotonic() + 60
    while client.once() != two:
        assert time.monotonic() < end, "version 2 was never served"
        time.sleep(0.1)

    # the second: a worse one is kept out
    ROWS.head(1300).to_csv(file, index=False)
    worse = retrain(file, *LAST_VALUE, status=3)
    assert (worse["promoted"], worse["version"]) == (False, 3)
    assert worse["champion"] == "models:/nightly/2"

    # the third: the file is corrupt, then mended, and holds the settings of the model in service
    file.write_text("date,temp_max,wind\n2015-08-01,n/a?,1\n")
    assert retrain(file, status=1)["stderr"].startswith(f"error: {file}")
    ROWS.head(1400).to_csv(file, index=False)
    third = retrain(file, status=3)
    assert (third["promoted"], third["version"]) == (False, 4)
    folder = Path(third["model_dir"])
    assert load_model(folder).config.model == load_model(Path(better["model_dir"])).config.model

    time.sleep(2 * POLL_SECONDS)  # whatever were to be served by mistake would be served by now
    client.end()
    assert client.once() == two
    seen = client.answers
    assert set(seen) == {one, two}
    assert seen == sorted(seen, key=lambda answer: answer[1])  # version 1, then 2, never back
    assert references.aliases_of("nightly").get("champion") == 2
