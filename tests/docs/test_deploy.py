"""The examples of docs/deploy, executed as far as this machine can."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, free_port, inside, wait_for
from documents import DOCS
from serving.test_hostile_clients import Server

from cli import main
from forecaster.tracking import store

DEPLOY = DOCS / "deploy"
HOME = Path(os.environ["FORECASTER_HOME"])
PROGRAM = "/opt/forecaster/bin/forecaster"
DAYS = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
TABLE = pd.DataFrame({"date": DAYS, "sold": np.arange(60) % 7 + 0.5})


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The model 'sales', whose version 1 is the champion."""
    file = tmp_path_factory.mktemp("sales") / "sales.csv"
    TABLE.to_csv(file, index=False)
    shape = ["--horizon", 3, "--lookback", 14, "--register", "sales", "--json"]
    trained = json.loads(inside("train", "seasonal-naive", "--csv", file, *shape).stdout)
    client = store.connect().MlflowClient()
    client.set_registered_model_alias("sales", "champion", str(trained["version"]))


def instructions() -> list[tuple[str, str]]:
    """The lines of the Dockerfile: each instruction and what it is given."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name, given) for name, _, given in pairs]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, given in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, given))
    return found


def only(name: str) -> str:
    """What the one instruction of this name in the last stage is given."""
    (given,) = (given for each, given in stages()[-1] if each == name)
    return given


def command() -> list[str]:
    """What a container runs."""
    return json.loads(only("ENTRYPOINT")) + json.loads(only("CMD"))


def variables() -> dict[str, str]:
    """What the last stage sets in the environment."""
    return dict(given.split("=", 1) for name, given in stages()[-1] if name == "ENV")  # type: ignore[misc]


def health_check(port: int) -> list[str]:
    check = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert check[0] == "python"
    return [sys.executable, *(word.replace(":5001/", f":{port}/") for word in check[1:])]


def test_the_image_is_made_of_files_of_the_checkout_alone() -> None:
    sources = []
    for name, given in instructions():
        assert name != "ADD"
        if name == "COPY" and not given.startswith("--from=build "):
            sources += shlex.split(given)[:-1]
    listed = subprocess.run(
        ["git", "ls-files", *sources], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for source in sources:
        assert any(name == source or name.startswith(f"{source}/") for name in listed), source
    package = (ROOT / "pyproject.toml").read_text()
    for shipped in re.findall(r'^"([\w./]+)" = "forecaster/shipped', package, re.MULTILINE):
        assert shipped in sources


def test_the_image_runs_as_a_user_of_its_own_on_the_port_that_it_names() -> None:
    user = only("USER")
    assert user not in {"root", "0"}
    made = [given for name, given in stages()[-1] if name == "RUN"]
    assert made == [f"useradd --uid 10001 --no-create-home --home-dir /tmp {user}"]
    (port,) = (each for each in main.commands["serve"].params if each.name == "port")
    assert str(port.default) == only("EXPOSE")
    for given in (only("HEALTHCHECK"), only("USER")):
        assert "root" not in given


@pytest.mark.slow
def test_the_images_command_serves_and_its_check_tells_so(champion: None) -> None:
    program, *words = command()
    assert (program, words[0]) == ("forecaster", "serve")
    server = Server(HOME, *words[1:])
    try:
        assert subprocess.run(health_check(server.port), timeout=60).returncode == 0
        assert server.ask(TABLE.to_csv(index=False).encode())[0] == 200
    finally:
        server.end()
    gone = subprocess.run(health_check(server.port), stderr=subprocess.DEVNULL, timeout=60)
    assert gone.returncode == 1


def nightly() -> list[str]:
    """The command of the nightly training, as the unit has it."""
    return shlex.split(setting("forecaster-retrain.service", "ExecStart"))


def setting(unit: str, name: str) -> str:
    lines = (DEPLOY / unit).read_text().splitlines()
    (value,) = (line.partition("=")[2] for line in lines if line.startswith(f"{name}="))
    return value


def test_cron_trains_every_night_without_a_path(tmp_path: Path) -> None:
    """The line as cron runs it, with a program that says how it was called."""
    lines = (DEPLOY / "forecaster.cron").read_text().splitlines()
    environment = dict(re.findall(r"^(\w+)=(.*)$", "\n".join(lines), re.MULTILINE))
    *_, line = lines
    schedule, user, run = re.fullmatch(r"((?:\S+ ){5})(\S+) (.*)", line).groups()  # type: ignore[union-attr]
    assert (schedule, user) == ("30 2 * * * ", "forecaster")
    assert "%" not in run  # which cron takes for the end of a line
    fake = tmp_path / "forecaster"
    fake.write_text('#!/bin/sh\necho "$FORECASTER_HOME $*"\necho told >&2\nexit 3\n')
    fake.chmod(0o755)
    home = environment["FORECASTER_HOME"]
    run = run.replace(PROGRAM, str(fake)).replace(home, str(tmp_path))
    assert environment.pop("SHELL") == "/bin/sh"
    for nights in (1, 2):
        done = subprocess.run(
            ["/bin/sh", "-c", run], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
        logged = (tmp_path / "retrain.log").read_text()
        assert logged == f"{home} {' '.join(nightly()[1:])}\ntold\n" * nights


def test_cron_leaves_a_night_out_while_another_one_trains(tmp_path: Path) -> None:
    *_, line = (DEPLOY / "forecaster.cron").read_text().splitlines()
    run = line.split(maxsplit=6)[6].replace("/srv/forecaster", str(tmp_path))
    run = run.replace(PROGRAM, "/bin/echo")
    with subprocess.Popen(
        ["/usr/bin/flock", tmp_path / "retrain.lock", "/bin/sh", "-c", "echo held; read end"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as held:
        assert held.stdout.readline() == b"held\n"  # type: ignore[union-attr]
        assert subprocess.run(["/bin/sh", "-c", run]).returncode == 1
        held.communicate(b"\n")
    assert (tmp_path / "retrain.log").read_text() == ""
    assert subprocess.run(["/bin/sh", "-c", run]).returncode == 0
    assert (tmp_path / "retrain.log").read_text().startswith("retrain models:/sales@champion ")


def test_the_nightly_command_is_one_of_the_programs() -> None:
    program, name, *arguments = nightly()
    assert program == PROGRAM
    command = main.commands[name]
    context = command.make_context(name, arguments, resilient_parsing=True)
    assert not context.args


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    units = [*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")]
    assert len(units) == 3
    program = Path(sys.executable).with_name("forecaster")
    for unit in units:
        text = unit.read_text()
        assert text.startswith(f"# /etc/systemd/system/{unit.name}")
        (tmp_path / unit.name).write_text(text.replace(PROGRAM, str(program)))
    verify = ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in units)]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_unit_serves_with_its_token_and_ends_as_it_says(champion: None, tmp_path: Path) -> None:
    credential, file = setting("forecaster-serve.service", "LoadCredential").split(":")
    assert (credential, file) == ("token", "/etc/forecaster/token")
    (tmp_path / credential).write_text("of-the-unit\n")
    (tmp_path / credential).chmod(0o400)
    words = shlex.split(
        setting("forecaster-serve.service", "ExecStart").replace("%d", str(tmp_path))
    )
    assert words[:2] == [PROGRAM, "serve"]
    server = Server(HOME, *words[2:])
    try:
        for headers, status in (({"Authorization": "Bearer of-the-unit"}, 200), ({}, 401)):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/health", headers=headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            connection.close()
            assert answer.status == status
            if status == 200:
                assert told["model"] == "models:/sales/1"
    finally:
        ended = server.end(signal.SIGTERM)
    assert str(ended) == setting("forecaster-serve.service", "SuccessExitStatus")


def test_every_example_is_on_the_page() -> None:
    page = (DOCS / "service.md").read_text()
    for file in DEPLOY.iterdir():
        assert f"(deploy/{file.name})" in page


class Steps:
    """The Dockerfile's steps by a shell, with a folder in place of the root."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(root),
        }

    def at(self, text: str) -> str:
        return re.sub(r"(?<![\w.:/])/(opt|src|srv)\b", rf"{self.root}/\1", text)

    def step(self, name: str, given: str) -> None:
        given = self.at(given)
        if name == "RUN" and not given.startswith("useradd "):
            done = subprocess.run(
                ["/bin/sh", "-c", given], cwd=self.folder, env=self.environment, capture_output=True
            )
            assert done.returncode == 0, done.stderr.decode()
        elif name == "ENV":
            key, _, value = given.partition("=")
            self.environment[key] = value.replace("$PATH", self.environment["PATH"])
        elif name == "WORKDIR" and not given.startswith("/tmp"):
            self.folder = Path(given)
            self.folder.mkdir(parents=True)
        elif name == "COPY" and not given.startswith("--from"):
            *sources, target = shlex.split(given)
            copy = ["cp", "--recursive", *(str(ROOT / source) for source in sources)]
            into = self.folder / target
            into.parent.mkdir(exist_ok=True)
            if target.endswith("/"):
                into.mkdir(exist_ok=True)
            subprocess.run([*copy, str(into)], check=True)


@pytest.fixture
def answering(champion: None, tmp_path: Path) -> Iterator[Any]:
    """Start what is given as a server of the champion, and ask it on its port."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(words: list[str], port: int, environment: dict[str, str]) -> None:
        processes.append(subprocess.Popen(words, env=environment, cwd=tmp_path))
        wait_for(f"http://127.0.0.1:{port}/ping", 120)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = TABLE.to_csv(index=False).encode()
        connection.request("POST", "/invocations", body, {"Content-Type": "text/csv"})
        answer = connection.getresponse()
        rows = json.loads(answer.read())["predictions"]
        assert (answer.status, answer.getheader("x-forecaster-model")) == (200, "models:/sales/1")
        assert [row["mean"] for row in rows] == [4.5, 5.5, 6.5]
        connection.close()

    yield start
    for process in processes:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_the_steps_of_the_image_make_a_program_that_serves(answering: Any, tmp_path: Path) -> None:
    """Where no container engine is there, too: a folder takes the place of the container."""
    steps = Steps(tmp_path)
    for stage in stages():
        for name, given in stage:
            steps.step(name, given)
    environment = steps.environment | {"FORECASTER_HOME": str(HOME), "HOME": str(tmp_path)}
    program, *words = command()
    found = shutil.which(program, path=environment["PATH"])
    assert found == str(tmp_path / "opt" / "forecaster" / "bin" / "forecaster")
    packages = tmp_path / "opt" / "forecaster" / "lib" / "python3.11" / "site-packages"
    assert (packages / "forecaster" / "shipped" / "configs").is_dir()
    assert not (packages / "pyspark").exists()
    port = free_port()
    answering([found, *words, "--port", str(port)], port, environment)
    assert subprocess.run(health_check(port), env=environment, timeout=60).returncode == 0


@pytest.mark.slow
def test_the_image_serves(answering: Any) -> None:
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode:
        pytest.skip("no container engine runs here")
    tag, port = "forecaster-test", free_port()
    build = ["build", "--file", str(DEPLOY / "Dockerfile"), "--tag", tag, str(ROOT)]
    subprocess.run([engine, *build], check=True)
    run = [engine, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--user", str(os.getuid())]
    run += ["--volume", f"{HOME}:{HOME}", "--env", f"FORECASTER_HOME={HOME}"]
    answering([*run, "--publish", f"127.0.0.1:{port}:5001", tag], port, dict(os.environ))
