"""An alias is moved while a server answers: what it serves then, and what it goes on serving."""

import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import inside
from serving.test_hostile_clients import Server

from forecaster.errors import UserError
from forecaster.inference.saved_model import load_model
from forecaster.serving import follow, server
from forecaster.serving.follow import Follower
from forecaster.serving.messages import CSV
from forecaster.serving.source import Served, Source
from forecaster.tracking import store

HOME = Path(os.environ["FORECASTER_HOME"])
DAYS = pd.date_range("2024-01-01", periods=70).strftime("%Y-%m-%d")
TABLE = pd.DataFrame({"date": DAYS, "sold": np.arange(70) % 7 + 0.5})
BODY = TABLE.to_csv(index=False).encode()
ALIAS = "models:/followed@champion"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """Versions 1 and 2 of the model 'followed', which repeat the last 7 days, and the last 2."""
    file = tmp_path_factory.mktemp("followed") / "sold.csv"
    file.write_bytes(BODY)
    shape = ["--horizon", 3, "--lookback", 14, "--register", "followed", "--json"]
    found = {}
    for version, season in ((1, 7), (2, 2)):
        command = ["train", "seasonal-naive", "--csv", file, "--seasons", season, *shape]
        found[version] = json.loads(inside(*command).stdout)
        assert found[version]["version"] == version
    return found


@pytest.fixture(scope="module")
def answers(trained: dict[int, dict[str, Any]]) -> dict[int, bytes]:
    """What each version answers, to the byte."""
    found = {}
    for version, about in trained.items():
        saved = load_model(Path(about["model_dir"]))
        found[version] = server.respond(saved, CSV, BODY, lambda line: None).body
    means = [[row["mean"] for row in json.loads(found[v])["predictions"]] for v in (1, 2)]
    assert means == [[0.5, 1.5, 2.5], [5.5, 6.5, 5.5]]
    return found


def move(version: int) -> None:
    store.connect().MlflowClient().set_registered_model_alias("followed", "champion", str(version))


def register_damaged() -> int:
    """A further version, whose weights are not as they were saved."""
    mlflow = store.connect()
    with tempfile.TemporaryDirectory() as scratch:
        uri = "models:/followed/1"
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
        calibration = folder / "artifacts" / "saved" / "calibration.safetensors"
        content = bytearray(calibration.read_bytes())
        content[-1] ^= 1
        calibration.write_bytes(content)
        kept = HOME / "damaged"
        folder.rename(kept)
    return int(mlflow.MlflowClient().create_model_version("followed", kept.as_uri()).version)


@pytest.fixture
def running(trained: dict[int, dict[str, Any]]) -> Iterator[Server]:
    move(1)
    running = Server(HOME, "--model", ALIAS)
    yield running
    running.end()


def post(port: int) -> tuple[int, str | None, str | None, bytes]:
    """Status, model, run and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/invocations", BODY, {"Content-Type": "text/csv"})
    answer = connection.getresponse()
    names = ("x-forecaster-model", "x-forecaster-run")
    found = answer.status, *map(answer.getheader, names), answer.read()
    connection.close()
    return found


def health(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/health")
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def told(running: Server) -> list[str]:
    """What the server has told but for its requests."""
    return [line for line in running.lines if line.startswith(("note: ", "now serving "))]


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def test_a_promotion_under_load_loses_no_request(
    running: Server, trained: dict[int, dict[str, Any]], answers: dict[int, bytes]
) -> None:
    begun, ended = threading.Barrier(5), threading.Event()

    def client() -> list[tuple[int, str | None, str | None, bytes]]:
        found = [post(running.port)]
        begun.wait()
        while not ended.is_set():
            found.append(post(running.port))
        return [*found, post(running.port)]

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        begun.wait()
        move(2)
        try:
            wait_for(lambda: health(running.port)["version"] == 2)
        finally:
            ended.set()
        seen = [done.result() for done in clients]
    expected = {
        version: (200, f"models:/followed/{version}", about["run_id"], answers[version])
        for version, about in trained.items()
    }
    for one in seen:
        versions = [answer[3] == answers[2] for answer in one]
        assert versions == sorted(versions)  # never back
        assert (versions[0], versions[-1]) == (False, True)
        assert [expected[1 + later] for later in versions] == one
    exchanged = "now serving models:/followed/2, before: models:/followed/1\n"
    assert wait_for(lambda: told(running)) == [exchanged]


def test_health_tells_of_the_version_in_service(
    running: Server, trained: dict[int, dict[str, Any]]
) -> None:
    found = health(running.port)
    loaded, uptime = pd.Timestamp(found.pop("loaded_at")), found.pop("uptime_seconds")
    assert pd.Timestamp.now("UTC") - pd.Timedelta("1h") < loaded < pd.Timestamp.now("UTC")
    assert 0 < uptime < 3600
    assert found == {
        "status": "ok",
        "model": "models:/followed/1",
        "name": "followed",
        "version": 1,
        "alias": "champion",
        "run_id": trained[1]["run_id"],
        "trained_until": "2024-03-10T00:00:00",
        "horizon": 3,
        "columns": ["sold"],
    }


@pytest.mark.slow
def test_a_version_that_cannot_be_loaded_leaves_the_present_one_in_service(
    running: Server, answers: dict[int, bytes]
) -> None:
    damaged = register_damaged()
    move(damaged)
    wait_for(lambda: told(running))
    assert post(running.port)[1:] == ("models:/followed/1", post(running.port)[2], answers[1])
    client = store.connect().MlflowClient()
    client.delete_registered_model_alias("followed", "champion")
    wait_for(lambda: len(told(running)) == 2)
    move(2)
    wait_for(lambda: len(told(running)) == 3)
    assert post(running.port)[3] == answers[2]
    refused, lost, exchanged = told(running)
    begin = f"note: {ALIAS} is version {damaged} now, which cannot be loaded ("
    end = (
        "calibration.safetensors: not as it was saved (SHA-256); train or copy the model again); "
        "models:/followed/1 stays in service\n"
    )
    assert refused.startswith(begin)
    assert refused.endswith(end)
    assert lost.startswith(f"note: {ALIAS} cannot be looked up (the tracking store sqlite:///")
    assert lost.endswith("); models:/followed/1 stays in service\n")
    assert exchanged == "now serving models:/followed/2, before: models:/followed/1\n"


class Registry:
    """A source without a store: the versions that can be loaded, and what befalls the others."""

    reference = "models:/made@up"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now: int | Exception = 1
        self.faults: dict[int, BaseException] = {}
        self.opened: list[int] = []

    def target(self) -> tuple[int, int]:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now, 0

    def open(self, target: tuple[int, int]) -> Served:
        self.opened.append(target[0])
        if fault := self.faults.get(target[0]):
            raise fault
        scratch = tempfile.TemporaryDirectory(dir=self.folder)
        return Served(None, {"model": f"models:/made/{target[0]}"}, target, scratch)  # type: ignore[arg-type]


class Following:
    """A follower of such a registry, what it tells the user, and what it tells the front."""

    def __init__(self, folder: Path) -> None:
        self.registry, self.lines = Registry(folder), []
        self._hear, news = Pipe(duplex=False)
        self.follower = Follower(self.registry, self.lines.append, news)  # type: ignore[arg-type]

    def look(self, times: int = 1) -> list[Any]:
        """Look so often; the news."""
        for _ in range(times):
            self.follower.look()
        news = []
        while self._hear.poll():
            news.append(json.loads(self._hear.recv_bytes()))
        return news


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    following = Following(tmp_path)
    yield following
    following.follower.served.discard()
    assert list(tmp_path.iterdir()) == []


def test_only_a_moved_alias_loads_and_the_old_files_go(
    following: Following, tmp_path: Path
) -> None:
    (first,) = tmp_path.iterdir()
    assert following.look(3) == []
    following.registry.now = 2
    assert following.look(3) == [{"model": "models:/made/2"}]
    assert following.registry.opened == [1, 2]
    (second,) = tmp_path.iterdir()
    assert second != first
    assert following.lines == ["now serving models:/made/2, before: models:/made/1"]


def test_a_store_that_is_away_is_told_once_each_time(following: Following) -> None:
    line = "note: models:/made@up cannot be looked up (no way); models:/made/1 stays in service"
    for _ in range(2):
        following.registry.now = UserError("no way")
        assert following.look(3) == [None] * 3
        following.registry.now = 1
        assert following.look(2) == []
    assert following.lines == [line, line]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (UserError("damaged"), "damaged"),
        (MemoryError(), "MemoryError"),
        (SystemExit("its maker's\nend"), "its maker's end"),
    ],
)
def test_a_version_that_fails_is_told_once_and_tried_again_after_a_while(
    following: Following, fault: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, clock = following.registry, [1000.0]
    monkeypatch.setattr(follow, "monotonic", lambda: clock[0])
    registry.now, registry.faults = 2, {2: fault}
    assert following.look(3) == [None]
    clock[0] += follow.AGAIN_SECONDS - 0.001
    assert following.look(3) == []
    clock[0] += 0.001
    assert following.look(3) == [None]
    assert following.follower.served.label == "models:/made/1"
    clock[0] += follow.AGAIN_SECONDS
    del registry.faults[2]
    assert following.look(2) == [{"model": "models:/made/2"}]
    assert registry.opened == [1, 2, 2, 2]
    assert following.lines == [
        f"note: models:/made@up is version 2 now, which cannot be loaded ({reason}); "
        "models:/made/1 stays in service",
        "now serving models:/made/2, before: models:/made/1",
    ]


def test_another_version_is_not_kept_waiting_by_one_that_failed(following: Following) -> None:
    registry = following.registry
    registry.now, registry.faults = 2, {2: UserError("damaged")}
    following.look()
    registry.now = 3
    assert following.look() == [{"model": "models:/made/3"}]


def test_a_number_that_was_registered_anew_is_another_version(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following.registry, "target", lambda: (1, 5))
    assert following.look(2) == [{"model": "models:/made/1"}]


@pytest.mark.parametrize(
    ("reference", "label", "version"),
    [
        ("models:/followed/2", "models:/followed/2", 2),
        ("runs:/{run_id}/model", "runs:/{run_id}/model", None),
        ("{model_dir}", "{run_id}", None),
        ("latest", "{run_id}", None),
    ],
)
def test_other_references_stay_what_they_are(
    trained: dict[int, dict[str, Any]], reference: str, label: str, version: int | None
) -> None:
    source = Source(reference.format(**trained[2]), "cpu")
    assert source.target() is None
    served = source.open(None)
    assert (served.label, served.about["version"]) == (label.format(**trained[2]), version)
    assert served.about["alias"] is None
