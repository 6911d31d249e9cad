"""The set-up of mlflow/compose.yaml: the file itself, and the same server on a PostgreSQL of this
machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SAMPLE, Cli, free_port, wait_for

SERVER = ROOT / "mlflow"
TOOLS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))
needs_postgres = pytest.mark.skipif(
    not (TOOLS / "initdb").is_file(),
    reason="no PostgreSQL here; Debian: apt-get install postgresql",
)
PASSWORD, USER_PASSWORD = "of-the-database-1", "of-the-user-12345"


def test_compose_file_asks_for_every_password_and_listens_here_only() -> None:
    text = (SERVER / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"database", "artifacts", "server"}
    assert [port for service in services.values() for port in service.get("ports", [])] == [
        "127.0.0.1:${MLFLOW_PORT:-5000}:5000"
    ]
    secrets = {
        f"{s}/{key}": str(value)
        for s, content in services.items()
        for key, value in content["environment"].items()
        if re.search("PASSWORD|SECRET|ACCESS_KEY", key)
    }
    assert len(secrets) == 8
    assert all(re.fullmatch(r"\$\{\w+:\?set it in \.env\}", value) for value in secrets.values()), (
        secrets
    )
    example = [
        line
        for line in (SERVER / ".env.example").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert {line.partition("=")[0] for line in example} == set(re.findall(r"\$\{(\w+):\?", text))
    assert all(line.endswith("=") for line in example)
    assert "--app-name basic-auth" in services["server"]["command"]
    locked = (ROOT / "requirements.lock").read_text()
    build = services["server"]["build"]["dockerfile_inline"]
    for pin in re.findall(r"\b([\w-]+)(?:\[\w+\])?==([\d.]+)", build):
        assert "==".join(pin) in locked
    for name in re.findall(r"COPY (.*) /", build)[0].split():
        assert (SERVER / name).is_file()


def test_readme_makes_a_secret_for_every_line(tmp_path: Path) -> None:
    """The command that the page gives for .env, run as it stands there."""
    page = (SERVER / "README.md").read_text()
    command = next(
        line.strip()
        for line in page.splitlines()
        if ".env.example" in line and line.startswith("    ")
    )
    shutil.copy(SERVER / ".env.example", tmp_path)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    lines = [
        line for line in (tmp_path / ".env").read_text().splitlines() if not line.startswith("#")
    ]
    values = [line.partition("=")[2] for line in lines]
    assert len(set(values)) == len(values) == 5
    assert all(len(value) >= 32 for value in values)


@dataclass
class Team:
    """A server with PostgreSQL behind it; ``environment`` leads to its database, ``files`` is its
    artifact store.
    """

    address: str
    environment: dict[str, str]
    files: Path

    def client(self, home: Path, password: str = USER_PASSWORD) -> Cli:
        cli = Cli(home)
        user = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
        cli.env |= {"MLFLOW_TRACKING_URI": self.address, **user}
        return cli


def unprivileged(command: Sequence[object]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    return [*prefix, *map(str, command)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cluster of its own with a password, on a free port: the variables that lead to it."""
    folder, port = Path(os.path.realpath("/tmp")) / f"forecaster-pg-{os.getpid()}", free_port()
    folder.mkdir(mode=0o755)
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            unprivileged(
                [
                    TOOLS / "initdb",
                    "-D",
                    folder / "data",
                    "-U",
                    "mlflow",
                    "-A",
                    "scram-sha-256",
                    "--pwfile",
                    secret,
                    "--no-sync",
                ]
            ),
            check=True,
            capture_output=True,
            cwd="/",
        )
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
        )
        control = [TOOLS / "pg_ctl", "-D", folder / "data", "-w"]
        log = ["-l", folder / "log", "-o", options]
        subprocess.run(
            unprivileged([*control, *log, "start"]), check=True, stdout=subprocess.DEVNULL, cwd="/"
        )
        try:
            found = {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(port),
                "PGUSER": "mlflow",
                "PGPASSWORD": PASSWORD,
            }
            subprocess.run(
                [TOOLS / "createdb", "mlflow"], env={**os.environ, **found}, check=True, cwd="/"
            )
            yield found
        finally:
            subprocess.run(
                unprivileged([*control, "-m", "immediate", "stop"]),
                check=True,
                capture_output=True,
                cwd="/",
            )
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def team(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The compose file's own command and settings, but for what a container gives them."""
    folder, port = tmp_path_factory.mktemp("team"), free_port()
    service = yaml.safe_load((SERVER / "compose.yaml").read_text())["services"]["server"]
    command = service["command"].replace("0.0.0.0", "127.0.0.1").replace("5000", str(port))
    command = command.replace("s3://mlflow", str(folder / "files")).replace(
        "--workers 2", "--workers 1"
    )
    plain = {
        key: value
        for key, value in service["environment"].items()
        if "$" not in value and key[:2] != "PG"
    }
    environment = {
        **os.environ,
        **plain,
        **database,
        "MLFLOW_AUTH_CONFIG_PATH": str(SERVER / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": USER_PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "x" * 48,
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", 120)
            yield Team(f"http://127.0.0.1:{port}", environment, folder / "files")
        finally:
            server.terminate()
            server.wait(30)


ARGS = [
    "train",
    "--model",
    "seasonal-naive",
    "--csv",
    SAMPLE,
    "--horizon",
    7,
    "--lookback",
    28,
    "--json",
]


@pytest.mark.slow
@needs_postgres
def test_local_store_is_moved_with_its_ids_and_files(team: Team, tmp_path: Path) -> None:
    """Runs into the empty database; first in this file, for a database with runs is refused."""
    local = Cli(tmp_path / "home")
    run = json.loads(local(*ARGS).stdout)["run_id"]
    before = json.loads(local("runs", "list", "--json").stdout)["runs"]
    move = [
        sys.executable,
        SERVER / "move.py",
        tmp_path / "home",
        "postgresql+psycopg2:///mlflow",
        team.files,
    ]
    done = subprocess.run(
        move, env=team.environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout.split("\n")[0][:12]) == (0, "moved 1 run("), done.stderr
    client = team.client(tmp_path / "other")
    assert json.loads(client("runs", "list", "--json").stdout)["runs"] == before
    forecasts = []
    for cli in (local, client):
        forecasts.append(tmp_path / f"{len(forecasts)}.csv")
        cli(
            "forecast",
            "--model",
            f"runs:/{run}/model",
            "--csv",
            SAMPLE,
            "--mode",
            "point",
            "--output",
            forecasts[-1],
        )
    assert forecasts[0].read_text() == forecasts[1].read_text()
    again = subprocess.run(move, env=team.environment, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (
        1,
        "the target holds runs already; only an empty one can be filled\n",
    )


@pytest.mark.slow
@needs_postgres
def test_training_and_forecast_through_the_server(team: Team, tmp_path: Path) -> None:
    client = team.client(tmp_path / "home")
    run = json.loads(client(*ARGS, "--experiment", "shared").stdout)
    output = tmp_path / "forecast.csv"
    model = f"runs:/{run['run_id']}/model"
    client("forecast", "--model", model, "--csv", SAMPLE, "--mode", "point", "--output", output)
    assert len(output.read_text().splitlines()) == 1 + 4 * 7
    (listed,) = json.loads(client("runs", "list", "--experiment", "shared", "--json").stdout)[
        "runs"
    ]
    assert (listed["run_id"], listed["status"]) == (run["run_id"], "FINISHED")
    assert listed["metrics"]["test/mse"] == pytest.approx(run["metrics"]["test/mse"])
    assert list(team.files.rglob("saved/weights.safetensors"))  # it went to the team's artifacts
    assert not (tmp_path / "home" / "mlflow.db").exists()
    assert client("ui").stdout.startswith(f"{team.address}/#/experiments/")


@pytest.mark.slow
@needs_postgres
def test_wrong_password_is_one_clear_line(team: Team, tmp_path: Path) -> None:
    told = team.client(tmp_path / "home", "wrong").__call__(*ARGS, status=1).stderr
    assert told.splitlines() == [
        f"error: the tracking server {team.address} does not accept this user and password; "
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    ]
