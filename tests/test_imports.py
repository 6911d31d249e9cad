"""The house: which room may import which, read from the imports against one table."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from forecaster import _HOMES

PACKAGE = ROOT / "forecaster"
# a room imports from rooms of earlier lines alone; those of one line do not know each other
LAYERS = (
    ("errors",),
    ("config", "io"),
    ("ssm", "delta", "diffusion", "data"),
    ("networks",),
    ("models",),
    ("training", "evaluation", "tracking"),
    ("inference", "reporting"),
    ("serving",),
    ("workflows",),
    ("commands", "api"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# beside the table: networks know diffusion's and data's rooms neither
STRANGERS = {("networks", "data"), ("networks", "diffusion")}
# the packages that few rooms may import
OWNERS = {
    "mlflow": {"tracking", *(f"serving/{n}" for n in ("pyfunc", "logged_model", "registry"))},
    "lightning": {"training"},
    "pytorch_lightning": set(),
    "click": {"commands"},
    "optuna": {"workflows"},
    "uvicorn": {"serving"},
    "prometheus_client": {"serving"},
    "matplotlib": {"reporting"},
    "plotly": {"reporting"},
    "ray": {"workflows/ray_engine"},
    "pyspark": {"workflows/spark_engine"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


def imports(tree: ast.AST, top_level: bool = False) -> Iterator[str]:
    """Every imported module, those of ``from x import y`` as ``x.y``, too; also by its name, with
    ``import_module``.
    """
    nodes = ast.iter_child_nodes(tree) if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "rooms are imported by their full names"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def room(module: str) -> str:
    """The room of a module, or of one of the package's public names."""
    name = module.split(".")[1] if module.count(".") else ""
    return _HOMES[name].split(".")[1] if name in _HOMES else name


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules()}


def test_every_room_has_its_place_in_the_table() -> None:
    rooms = {room(name) for name in TREES} - {"", "__main__"}
    assert rooms <= set(LEVEL), rooms - set(LEVEL)
    assert set(LEVEL) - rooms <= {"api"}


@pytest.mark.parametrize("name", TREES)
def test_imports_lead_to_lower_layers(name: str) -> None:
    here = room(name)
    for imported in set(imports(TREES[name])):
        there = room(imported)
        if not imported.startswith("forecaster.") or there not in LEVEL or there == here:
            continue
        if here in LEVEL:
            assert LEVEL[there] < LEVEL[here], f"{name} imports {imported}"
            assert (here, there) not in STRANGERS, f"{name} imports {imported}"


def test_there_are_no_import_circles() -> None:
    graph = {
        name: {other for other in imports(tree, top_level=True) if other in TREES and other != name}
        for name, tree in TREES.items()
    }
    settled: set[str] = set()
    while ready := {
        name for name, needs in graph.items() if name not in settled and needs <= settled
    }:
        settled |= ready
    assert settled == set(TREES), sorted(set(TREES) - settled)


@pytest.mark.parametrize(("package", "owners"), OWNERS.items())
def test_few_rooms_know_the_large_packages(package: str, owners: set[str]) -> None:
    users = {
        name
        for name, tree in TREES.items()
        if any(imported.split(".")[0] == package for imported in imports(tree))
    }
    for name in users:
        assert {room(name), name.removeprefix("forecaster.").replace(".", "/")} & owners, name
