"""A running server, and clients that mean it ill."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import Cli

import forecaster

DAYS = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
TABLE = pd.DataFrame({"date": DAYS, "a": np.arange(60) % 7 + 0.5})
HEAD = (
    b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
    b"Connection: close\r\n"
)
LOGGED = re.compile(  # the line of a request, or of what was none
    r"[\d-]{10}T[\d:]{8}Z 127\.0\.0\.1 "
    r"(- -|[A-Z]+ /[\w%/.~-]*) (\d{3}) \d+ \d+\.\d [\w%/:.~-]+\n"
)
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    forecaster.train(TABLE, model="seasonal-naive", horizon=3, lookback=14, tracking=False).save(
        folder
    )
    return folder


BODY = TABLE.to_csv(index=False).encode()


class Server:
    """``forecaster serve`` in a process of its own."""

    def __init__(self, home: Path, *args: object) -> None:
        self.process = Cli(home).start("serve", *args, "--port", 0)
        line = self.process.stderr.readline()
        self.port = int(re.search(r":(\d+)/invocations", line)[1])
        self.lines: list[str] = []
        self._reader = threading.Thread(
            target=lambda: self.lines.extend(self.process.stderr), daemon=True
        )
        self._reader.start()

    def raw(self, data: bytes, timeout: float = 60) -> bytes:
        """What is answered to these bytes, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as client:
            client.sendall(data)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        return answer

    def ask(self, body: bytes, kind: str = "text/csv") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/invocations", body, {"Content-Type": kind})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        status = self.process.wait(30)
        self._reader.join(30)
        self.process.stdout.close()
        self.process.stderr.close()
        return status


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("home"), "--model", model, "--allow-host", "my.host")
    yield served
    assert served.end() == 130
    others = [line for line in served.lines if not LOGGED.fullmatch(line)]
    assert others == ["interrupted\n"]  # no word of any of the attacks, and no traceback
    assert len(others) < len(served.lines)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (
            HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na,b\r\n0\r\n\r\n",
            400,
        ),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\na,b,", 400),
        (HEAD + b"Content-Length: -3\r\n\r\n", 400),
        (HEAD + b"Content-Length: 999999999999999\r\nExpect: 100-continue\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\nzz\r\n", 400),
        (HEAD.replace(b"Content-Type: text/csv\r\n", b"") + b"Content-Length: 0\r\n\r\n", 415),
        (PING.replace(b"localhost", b"evil.example"), 403),
        (PING.replace(b"localhost", b"my.host:80"), 200),
        (PING.replace(b"Host: localhost\r\n", b""), 400),
        (PING.replace(b"ping", b"../../etc/passwd"), 404),
        (PING.replace(b"ping", b"openapi.json"), 404),
        (PING.replace(b"GET", b"TRACE"), 405),
        (b"\x16\x03\x01\x00\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nX: " + b"a" * 20_000, 400),
    ],
)
def test_a_request_that_is_none_is_refused_and_logged(
    server: Server, request_: bytes, status: int
) -> None:
    before = len(server.lines)
    head, _, body = server.raw(request_).partition(b"\r\n\r\n")
    # the connection refuses what is no HTTP in a body, for which the application waits in vain
    wanted = {"400", "499"} if status == 400 else {str(status)}
    end = time.monotonic() + 10
    while not wanted & {LOGGED.fullmatch(line)[2] for line in server.lines[before:]}:
        assert time.monotonic() < end, server.lines[before:]
        time.sleep(0.01)
    assert head.split()[1] == str(status).encode()
    assert b"Traceback" not in body
    assert b"/site-packages/" not in body


def test_pings_are_answered_while_bodies_come_slowly(server: Server) -> None:
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for each in stalled:
        each.sendall(HEAD + b"Content-Length: 9\r\n\r\na")
    assert b" 200 OK" in server.raw(PING)
    assert server.ask(TABLE.to_csv(index=False).encode())[0] == 200
    for each in stalled:
        each.close()


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_none_behind_and_whole_lines_of_json(
    model: Path, tmp_path: Path
) -> None:
    server = Server(tmp_path, "--model", model, "--log-format", "json")
    server.raw(PING)
    assert server.ask(TABLE.to_csv(index=False).encode())[0] == 200
    others = psutil.Process(server.process.pid).children(recursive=True)
    assert others
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert psutil.wait_procs(others, timeout=30)[1] == []
    told = [json.loads(line) for line in server.lines]
    requests = [each for each in told if "method" in each]
    assert [(each["path"], each["model"]) for each in requests] == [
        ("/ping", None),
        ("/invocations", model.name),
    ]


def test_nothing_is_sent_home_from_any_command() -> None:
    """The switch of MLflow's telemetry is off as soon as anything of this package is imported."""
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_DISABLE_TELEMETRY"}
    code = (
        "import forecaster.serving.pyfunc; from mlflow.telemetry.client import get_telemetry_client;"
        "print(get_telemetry_client())"
    )
    environment.pop("PYTEST_CURRENT_TEST", None)  # by which MLflow tells that it is being tested
    environment.pop("CI", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "None\n", done.stderr


@pytest.mark.slow
def test_a_head_that_stalls_or_drips_ends_its_connection(server: Server) -> None:
    assert server.raw(b"GET /pi", timeout=90) == b""
    with socket.create_connection(("127.0.0.1", server.port), 1) as client:
        for _ in range(90):
            client.sendall(b"G")
            with suppress(TimeoutError):
                assert client.recv(1) == b""
                return
    raise AssertionError("the connection is still open")


@pytest.mark.slow
def test_a_body_in_chunks_of_one_byte_is_read(server: Server) -> None:
    body = TABLE.to_csv(index=False).encode() * 3_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    answers: list[bytes] = []
    sender = threading.Thread(
        target=lambda: answers.append(
            server.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", 300)
        )
    )
    sender.start()
    while sender.is_alive():
        assert b" 200 OK" in server.raw(PING)
    assert b" 400 " in answers[0]  # its times occur more than once
    assert b"occur more than once" in answers[0]


@pytest.mark.slow
def test_a_page_that_unpacks_to_much_more_than_it_should_is_refused(
    server: Server, tmp_path: Path
) -> None:
    """A page of half a gigabyte of zeros under the footer of a small file, made in another process."""
    code = """
import sys, io, numpy as np, pyarrow as pa, pyarrow.parquet as pq
def parts(values):
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": values}), sink, compression="zstd", use_dictionary=False,
        data_page_size=1 << 30, max_rows_per_page=1 << 30, write_batch_size=1 << 30,
        row_group_size=1 << 30, store_schema=False, write_statistics=False)
    file = sink.getvalue()
    footer = len(file) - 8 - int.from_bytes(file[-8:-4], "little")
    return file[4:footer], file[footer:]
small = parts(np.random.default_rng(0).integers(0, 2**62, 60_000))
pages = parts(np.zeros(200_000_000, np.int64))[0]
sys.stdout.buffer.write(b"PAR1" + pages.ljust(len(small[0]), b"\\0") + small[1])
"""
    body = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert len(body) < 1_000_000
    status, answer = server.ask(body, "application/vnd.apache.parquet")
    assert status == 413, answer
    assert json.loads(answer)["message"].startswith("a table that unpacks to more than 128 MiB")
    assert server.ask(TABLE.to_csv(index=False).encode())[0] == 200
