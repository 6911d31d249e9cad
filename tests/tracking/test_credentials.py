"""Passwords of tracking stores: used, and never printed; servers that hardly answer."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import SAMPLE, Cli

from forecaster.errors import UserError, masked
from forecaster.tracking.store import unreachable

ADDRESSES = {
    "http://ann:s3cret@host:5000/api": "http://***@host:5000/api",
    "https://s3cret@host": "https://***@host",
    "http://ann:s3c@ret@host/x": "http://***@host/x",
    "postgresql+psycopg2://ann:s3cret@db/runs": "postgresql+psycopg2://***@db/runs",
    "mysql://db/runs?user=ann&password=s3cret&x=1": "mysql://db/runs?user=ann&password=***&x=1",
    "see http://a:s3cret@h/1, http://b:s3cret@h/2": "see http://***@h/1, http://***@h/2",
    "mail ann@host about http://host/a@b": "mail ann@host about http://host/a@b",
    "sqlite:////home/ann@work/mlflow.db": "sqlite:////home/ann@work/mlflow.db",
}


@pytest.mark.parametrize(("text", "shown"), ADDRESSES.items())
def test_no_message_holds_a_password(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert str(UserError(text)) == shown


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"])
def test_secrets_of_the_environment_are_masked(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "s3cret")
    assert masked("Authorization: s3cret") == "Authorization: ***"


class Refusing(BaseHTTPRequestHandler):
    """Health without a password, everything else refused; keeps what it was asked with."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(200 if self.path == "/health" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    asked: list[tuple[str, str | None]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (Refusing,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_password_in_the_address_is_used_and_not_printed(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")
    with serving() as (port, asked):
        cli.env["MLFLOW_TRACKING_URI"] = f"http://ann:s3cret@127.0.0.1:{port}"
        done = cli("runs", "list", status=1)
    assert asked[0][0] == "/health"
    expected = "Basic " + base64.b64encode(b"ann:s3cret").decode()
    assert (asked[-1][0] != "/health", asked[-1][1]) == (True, expected)
    assert f"the tracking server http://***@127.0.0.1:{port} does not accept" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_an_unreachable_server_is_named_without_the_password(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")
    cli.env["MLFLOW_TRACKING_URI"] = "http://ann:s3cret@127.0.0.1:9"
    done = cli("train", "nlinear", "--csv", SAMPLE, status=1)
    assert "the tracking server http://***@127.0.0.1:9 cannot be reached" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_server_of_a_byte_a_second_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = time.monotonic()
        closed = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + 60 * b"X: y\r\n":
                    if closed.wait(1):
                        return
                    connection.sendall(bytes([byte]))

        threading.Thread(target=drip, daemon=True).start()
        port = listening.getsockname()[1]
        assert unreachable(f"http://127.0.0.1:{port}") == "no answer in 5 seconds"
        assert time.monotonic() - begun < 30
        closed.set()
