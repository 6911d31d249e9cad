"""Who may ask a server that has a token, and where that comes from."""

import asyncio
import http.client
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import inside
from serving.test_front import ABOUT, POST, Exchange, Link
from serving.test_hostile_clients import BODY, Server, model  # noqa: F401 (a fixture)

from forecaster.errors import UserError
from forecaster.serving.front import Front
from forecaster.serving.hosts import Hosts
from forecaster.serving.token import Token, read_token

SECRET = "c0ffee-.~+/Z=="
RIGHT = {"authorization": f"Bearer {SECRET}"}


def ask(exchange: Exchange, link: Link | None = None) -> Exchange:
    front = Front(link or Link(), Hosts("127.0.0.1"), ABOUT, Token(SECRET))  # type: ignore[arg-type]
    return asyncio.run(exchange.by(front))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": SECRET},
        {"authorization": f"Basic {SECRET}"},
        {"authorization": f"Bearer {SECRET}x"},
        {"authorization": f"Bearer {SECRET[:-1]}"},
        {"authorization": f"Bearer {SECRET.upper()}"},
        {"authorization": "Bearer été"},
    ],
)
def test_without_the_token_nothing_is_told(headers: dict[str, str]) -> None:
    link = Link()
    for method, path in (
        ("POST", "/invocations"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/version"),
        ("GET", "/docs"),
        ("POST", "/health"),
    ):
        refused = ask(Exchange([b"a", b"b"], POST | headers, method, path), link)
        assert refused.status == 401
        assert refused.line == "this server asks for a token; send Authorization: Bearer TOKEN"
        assert refused.headers[b"www-authenticate"] == b"Bearer"
    assert link.sent == []


def test_two_tokens_are_none() -> None:
    exchange = Exchange(headers=POST | RIGHT)
    exchange.scope["headers"].append((b"authorization", f"Bearer {SECRET}".encode()))
    assert ask(exchange).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_with_the_token_all_is_told(scheme: str) -> None:
    headers = POST | {"authorization": f"{scheme} {SECRET}"}
    assert ask(Exchange([b"ab"], headers)).body == b"4"
    for path in ("/health", "/metrics", "/version", "/ping"):
        answer = ask(Exchange(headers=headers, method="GET", path=path))
        assert answer.status == 200
        assert b"www-authenticate" not in answer.headers


def test_a_load_balancer_needs_no_token() -> None:
    answer = ask(Exchange(method="GET", path="/ping", headers={"host": "localhost"}))
    assert (answer.status, answer.body) == (200, b"\n")


def test_the_name_of_another_site_is_no_way_in_with_the_token() -> None:
    assert ask(Exchange(headers=POST | RIGHT | {"host": "evil.example"})).status == 403


def test_a_token_is_not_printed() -> None:
    assert SECRET not in repr(Token(SECRET))


def test_a_token_of_the_environment_is_taken_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECASTER_TOKEN", SECRET)
    assert read_token(None, pytest.fail) == Token(SECRET)
    assert "FORECASTER_TOKEN" not in os.environ
    assert read_token(None, pytest.fail) is None


def test_a_file_that_every_user_can_read_is_told_with_a_remedy(tmp_path: Path) -> None:
    file, notes = tmp_path / "token", []
    file.write_text(SECRET + "\n")
    for mode in (0o644, 0o604, 0o640, 0o400):
        file.chmod(mode)
        assert read_token(file, notes.append) == Token(SECRET)
    line = f"note: {file}: every user can read the token; run: chmod 600 {file}"
    assert notes == [line, line]
    subprocess.run(shlex.split(line.rpartition("run: ")[2]), check=True)
    assert read_token(file, pytest.fail) == Token(SECRET)


REMEDY = "make one with: openssl rand -hex 32"
FORM = f"not a token (letters, digits and - . _ ~ + / alone, 4096 at most); {REMEDY}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", f"an empty token; {REMEDY}"),
        (" \n", f"an empty token; {REMEDY}"),
        ("two words", FORM),
        ("été", FORM),
        ("a\x1b[2J", FORM),
        ("=", FORM),
        ("a" * 4097, FORM),
    ],
)
def test_what_is_no_token_starts_no_server(
    content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(0o600)
    told = inside("serve", "--model", "x", "--token-file", file, status=1).stderr
    assert told == f"error: {file}: {reason}\n"
    monkeypatch.setenv("FORECASTER_TOKEN", content)
    with pytest.raises(UserError) as caught:
        read_token(None, pytest.fail)
    assert str(caught.value) == f"FORECASTER_TOKEN: {reason}"


def test_the_remedy_makes_a_token(tmp_path: Path) -> None:
    command = shlex.split(REMEDY.partition(": ")[2])
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    file = tmp_path / "token"
    file.write_text(made)
    file.chmod(0o600)
    assert read_token(file, pytest.fail) == Token(made.strip())


def test_a_longest_token_is_one(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a" * 4096 + "\n")
    file.chmod(0o600)
    assert read_token(file, pytest.fail) == Token("a" * 4096)


def test_two_places_for_the_token_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORECASTER_TOKEN", SECRET)
    with pytest.raises(UserError, match="there are --token-file and FORECASTER_TOKEN; leave one"):
        read_token(tmp_path / "token", pytest.fail)


def test_a_running_server_keeps_its_token_to_itself(model: Path, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(0o600)
    server = Server(tmp_path, "--model", model, "--token-file", file)
    try:
        for headers, status in ((RIGHT, 200), ({}, 401)):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            kind = {"Content-Type": "text/csv"}
            connection.request("POST", "/invocations?token=" + SECRET, BODY, kind | headers)
            answer = connection.getresponse()
            assert (answer.status, SECRET.encode() in answer.read()) == (status, False)
            connection.close()
    finally:
        server.end()
    assert [line.split()[4] for line in server.lines[:-1]] == ["200", "401"]
    assert SECRET not in "".join(server.lines)
