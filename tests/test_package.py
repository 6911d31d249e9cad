"""The wheel: installed into an environment of its own and run in an empty folder, without the
checkout.
"""

import ast
import csv
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLE

HEAVY = {"torch", "lightning", "mlflow", "gluonts", "matplotlib", "scipy"}
TABLES = {"numpy", "pandas", "pydantic", "yaml"}
SHAPE = ["--horizon", "14", "--lookback", "56"]
BRIEF = {"max_steps": 3, "score_windows": 0, "point_windows": 4, "validation_windows": 8}
# for what only some ask for
EXTRAS = ("tune", "excel", "locales", "exchanges", "lightgbm", "plots", "ray", "statsforecast")
# declared for what others load by themselves: GluonTS's estimators
FOR_OTHERS = {"pytorch-lightning"}


class Installed:
    """The wheel in an environment that finds the third-party packages of this one; a shell without
    this project's variables, in an empty folder.
    """

    def __init__(self, place: Path) -> None:
        self.wheel, self.python = _build(place), place / "env" / "bin" / "python"
        venv.create(place / "env", symlinks=True)
        self.packages = next((place / "env" / "lib").glob("python*/site-packages"))
        (self.packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.pip("install", "--no-deps", "--no-index", self.wheel)
        self.folder, self.home = place / "empty", place / "data" / "forecaster"
        self.folder.mkdir()
        ours = {"FORECASTER_HOME", "MLFLOW_TRACKING_URI", "PYTHONPATH"}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment = {
            **kept,
            "OMP_NUM_THREADS": "1",
            "XDG_DATA_HOME": str(place / "data"),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }

    def pip(self, *args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pip", "--python", self.python, *args]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)

    def run(self, *command: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done


def _build(place: Path) -> Path:
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(place)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return next(place.glob("forecaster-*.whl"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def trained(installed: Installed) -> dict:
    """A few steps on a copy of the sample; what ``train --json`` printed."""
    shutil.copy(SAMPLE, installed.folder / "sample.csv")
    brief = [part for key, value in BRIEF.items() for part in ("--set", f"trainer.{key}={value}")]
    done = installed.run(
        "forecaster", "train", "nlinear", "--csv", "sample.csv", *SHAPE, *brief, "--json"
    )
    return json.loads(done.stdout)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_wheel_holds_the_package_and_what_it_reads(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    shipped = {
        name.removeprefix("forecaster/shipped/"): content
        for name, content in held.items()
        if name.startswith("forecaster/shipped/")
    }
    expected = {f"configs/{name}": text for name, text in files_of(ROOT / "configs").items()}
    for name in ("README.md", "catalog.yaml", "seattle_weather.csv"):
        expected[f"datasets/{name}"] = (ROOT / "datasets" / name).read_bytes()
    assert shipped == expected
    assert "forecaster/reporting/templates/report.html" in held
    assert "forecaster/py.typed" in held
    assert {name.split("/")[0] for name in held} == {"forecaster", "forecaster-0.1.0.dist-info"}


def test_check_says_what_the_checkout_says(installed: Installed) -> None:
    command = ["check", "--csv", SAMPLE, *SHAPE]
    here = subprocess.run(
        list(map(str, [sys.executable, ROOT / "cli.py", *command])), capture_output=True, text=True
    )
    there = installed.run("forecaster", *command)
    said = here.stdout.replace("python cli.py ", "forecaster ")  # in the command that it proposes
    assert (there.stdout, there.stderr) == (said, "")
    assert there.stdout.startswith("command:         forecaster train --csv ")


def test_lists_of_the_installed_copy_are_those_of_the_checkout(installed: Installed) -> None:
    names = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    assert set(json.loads(installed.run("forecaster", "models", "list", "--json").stdout)) == names
    listed = installed.run("python", "-m", "forecaster", "datasets", "list", "--json").stdout
    assert "etth1" in json.loads(listed)


def test_module_and_script_are_the_same_program(installed: Installed) -> None:
    script = installed.run("forecaster", "--help").stdout
    module = installed.run("python", "-m", "forecaster", "--help").stdout
    assert script.startswith("Usage: forecaster [OPTIONS] COMMAND")
    assert module == script.replace("Usage: forecaster", "Usage: python -m forecaster")
    assert installed.run("forecaster").stdout == script
    assert installed.run("forecaster", "--version").stdout == "forecaster, version 0.1.0\n"


def test_trains_and_forecasts_and_leaves_site_packages_alone(
    installed: Installed, trained: dict
) -> None:
    before = files_of(installed.packages / "forecaster"), set(installed.packages.iterdir())
    output = ["--mode", "point", "--output", "forecast.csv"]
    installed.run("forecaster", "forecast", "--model", "latest", "--csv", "sample.csv", *output)
    with (installed.folder / "forecast.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 14
    assert rows[0]["timestamp"] == "2016-01-01"
    assert before == (
        files_of(installed.packages / "forecaster"),
        set(installed.packages.iterdir()),
    )
    assert {path.name for path in installed.packages.iterdir()} == {
        "forecaster",
        "forecaster-0.1.0.dist-info",
        "others.pth",
    }


def test_store_lies_in_the_users_data(installed: Installed, trained: dict) -> None:
    model = Path(trained["model_dir"])
    assert model.is_relative_to(installed.home / "models")
    assert (installed.home / "mlflow.db").is_file()
    assert {path.name for path in installed.folder.iterdir()} <= {
        "sample.csv",
        "forecast.csv",
        "forecast.csv.meta.json",
    }
    assert json.loads((model / "metadata.json").read_text())["code"] == "0.1.0"


@pytest.mark.slow
def test_logged_code_of_an_installed_copy_loads_alone(installed: Installed, trained: dict) -> None:
    """By this environment, which has no forecaster of its own, outside the checkout: what a copy
    asks for its home with is among its requirements.
    """
    logged = next(installed.home.glob("artifacts/**/MLmodel")).parent
    assert "platformdirs==" in (logged / "requirements.txt").read_text()
    code = f"""
import mlflow, sys
model = mlflow.pyfunc.load_model({str(logged)!r})
import forecaster, pandas
print(forecaster.__file__)
print(len(model.predict(pandas.read_csv("sample.csv"), params={{"mode": "point"}})))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(
        command, cwd=installed.folder, env=installed.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(logged / "code" / "forecaster" / "__init__.py"), "56"]


@pytest.mark.slow
def test_five_lines_of_python(installed: Installed, trained: dict) -> None:
    code = """
import forecaster
few = {"trainer.max_steps": 3}
model = forecaster.train(
    "sample.csv", preset="nlinear", horizon=14, lookback=56, tracking=False, settings=few)
frame = model.forecast("sample.csv").frame
print(len(frame))
"""
    assert installed.run("python", "-c", code).stdout == "56\n"


def test_variable_names_the_home(installed: Installed) -> None:
    code = "from forecaster.config import paths; print(paths.HOME, paths.FILES)"
    found = installed.run("env", "FORECASTER_HOME=there", "python", "-c", code).stdout.split()
    assert found == [str(installed.folder / "there"), str(installed.folder / "there" / "datasets")]


@pytest.mark.slow
def test_missing_extra_is_told_with_a_remedy_that_works(installed: Installed) -> None:
    code = """
import sys
sys.modules["optuna"] = None
from forecaster.commands.main import run
sys.argv[1:] = ["tune", "nlinear", "--csv", "sample.csv"]
run()
"""
    told = installed.run("python", "-c", code, status=1).stderr
    assert told == "error: tune needs Optuna: pip install 'forecaster[tune]'\n"
    _, *remedy = shlex.split(told.partition(": ")[2].partition(": ")[2])
    done = installed.pip(*remedy, "--no-index", "--dry-run")
    assert "Requirement already satisfied: optuna" in done.stdout
    assert "does not provide the extra" not in done.stderr


def test_a_data_set_that_is_not_here_is_told_with_a_command_that_is(installed: Installed) -> None:
    code = "from forecaster.data.catalog import read_dataset; read_dataset('etth1')"
    told = installed.run("python", "-c", code, status=1).stderr.splitlines()[-1]
    assert told.endswith("data set 'etth1' is not here yet; run: forecaster datasets fetch etth1")


def requirements(wheel: Path) -> dict[str, set[str]]:
    """Names of distributions by extra, of the metadata; '': always."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode()
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE):
        extra = re.search(r"extra == '(\w+)'", line)
        found.setdefault(extra[1] if extra else "", set()).add(plain(re.match(r"[\w.-]+", line)[0]))  # type: ignore[index]
    return found


def plain(name: str) -> str:
    """A distribution's name, as names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Top-level names of all third-party modules that the package imports anywhere."""
    names: set[str] = set()
    for path in (ROOT / "forecaster").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"forecaster"}


def test_imports_are_those_that_the_metadata_declares(installed: Installed) -> None:
    declared = requirements(installed.wheel)
    assert set(declared) == {"", *EXTRAS, "spark", "docs", "test"}
    known = importlib.metadata.packages_distributions()
    assert declared["spark"] == {"pyspark"}
    # imported where a user asks for one, and named in the message when it is missing
    others = {"xarray", "pyspark"}
    others |= {"neuralforecast", "autogluon"}  # by the script that environments of peers run
    providers = {name: set(map(plain, known[name])) for name in imported() - others}
    extras = set().union(*(declared[name] for name in EXTRAS))
    needed = {name: given & (declared[""] | extras) for name, given in providers.items()}
    assert not [name for name, given in needed.items() if not given]
    assert declared[""] - set().union(*needed.values()) == FOR_OTHERS
    asked_for = {name for name, given in needed.items() if given <= extras}
    known_extras = {
        "optuna",
        "babel",
        "exchange_calendars",
        "python_calamine",
        "lightgbm",
        "plotly",
        "ray",
        "statsforecast",
    }
    assert asked_for == known_extras


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        ([], HEAVY | TABLES),
        (["--help"], HEAVY | TABLES),
        (["train", "--help"], HEAVY | TABLES),
        (["models", "list"], HEAVY | {"pandas"}),
        (["datasets", "list"], HEAVY),
        (["datasets", "show", "etth1"], HEAVY),
        (["check", "--csv", str(SAMPLE), *SHAPE], HEAVY),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_short_commands_start_without_the_heavy_packages(
    arguments: Sequence[str], heavy: set[str]
) -> None:
    code = f"""
import sys
from forecaster.commands.main import main
try:
    main({list(arguments)!r})
except SystemExit as end:
    assert not end.code, end.code
print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_import_is_light() -> None:
    light = HEAVY | TABLES | {"click", "jinja2"}
    code = f"import sys, forecaster; assert not {light!r} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_everything_locked_has_sums_and_nothing_names_an_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = "\n".join(lines).replace("\\\n", "").splitlines()
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+ +(--hash=sha256:[0-9a-f]{64} *)+", entry), entry
    names = [entry.split("==")[0] for entry in entries]
    assert names == sorted(set(names))
    assert "torch" not in names


def test_what_builds_the_wheel_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == ["hatchling>=1.27"]
    assert re.search(r"^hatchling==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@pytest.mark.slow
def test_a_fresh_machine_installs_from_the_lock(tmp_path: Path) -> None:
    """The Makefile's own installation, then the wheel built and installed beside it."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    make = ["make", ".venv/installed", f"PYTHON={sys.executable}"]
    subprocess.run(make, cwd=tmp_path, check=True)
    python, target = tmp_path / ".venv" / "bin" / "python", tmp_path / "elsewhere"
    options = ["--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([python, "-m", "pip", "install", *options, tmp_path], check=True)
    target.mkdir()
    command = [python.with_name("forecaster"), "check", "--csv", SAMPLE, *SHAPE]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=True)
    assert "forecasting:     14 steps, 2016-01-01 to 2016-01-14" in done.stdout
