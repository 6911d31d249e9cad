"""A local store → a team's database and artifact store: python move.py FOLDER DATABASE_URI
DESTINATION.

FOLDER holds mlflow.db and the artifacts. Runs, models and versions keep their ids, so what refers
to them still holds. The target is a database that a server of the same MLflow version has set up,
without runs; it is written in one transaction, after the files are in place.
"""

import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy.dialects.postgresql import insert

PROXY = "mlflow-artifacts:/"
# columns that say where files are, in the tables that have an experiment of their own
_PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}


def main(folder: Path, database: str, destination: str) -> str:
    """Copy files, then rows."""
    if not (folder / "mlflow.db").is_file():
        sys.exit(f"{folder}: holds no mlflow.db")
    source = sa.create_engine(f"sqlite:///file:{(folder / 'mlflow.db').resolve()}?mode=ro&uri=true")
    target, tables = sa.create_engine(database), sa.MetaData()
    with source.connect() as old, target.begin() as new:
        tables.reflect(new)
        _check(old, new, tables)
        rows = {table: _read(old, table) for table in tables.sorted_tables if _is_moved(old, table)}
        roots = {
            row["experiment_id"]: row["artifact_location"]
            for row in rows[tables.tables["experiments"]]
        }
        moved = _places(rows, roots)
        files = _upload(folder / "artifacts", moved, roots, destination)
        for table, content in rows.items():
            _write(
                new,
                table,
                [{key: _moved(value, moved) for key, value in row.items()} for row in content],
            )
        runs = len(rows[tables.tables["runs"]])
    return f"moved {runs} run(s) and {files} folder(s) of files"


def _check(old: sa.Connection, new: sa.Connection, tables: sa.MetaData) -> None:
    if "runs" not in tables.tables:
        sys.exit("the target holds no MLflow tables; start the server once")
    if new.scalar(sa.text("SELECT count(*) FROM runs")):
        sys.exit("the target holds runs already; only an empty one can be filled")
    versions = [c.scalar(sa.text("SELECT version_num FROM alembic_version")) for c in (old, new)]
    if versions[0] != versions[1]:
        sys.exit(
            "the two stores are of different MLflow versions; run 'mlflow db upgrade' on the older "
            "one"
        )


def _is_moved(old: sa.Connection, table: sa.Table) -> bool:
    return table.name != "alembic_version" and sa.inspect(old).has_table(table.name)


def _read(old: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    return [dict(row) for row in old.execute(sa.select(table)).mappings()]


def _places(rows: dict[sa.Table, list[dict[str, Any]]], roots: dict[int, str]) -> dict[str, str]:
    """Where each run's and model's files were → where they will be; the longest first."""
    found = {}
    for table, content in rows.items():
        if column := _PLACES.get(table.name):
            for row in content:
                root, place = roots[row["experiment_id"]], row[column]
                if place.startswith(root):
                    found[place] = f"{PROXY}{row['experiment_id']}{place.removeprefix(root)}"
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _moved(value: Any, moved: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return next(
        (new + value.removeprefix(old) for old, new in moved.items() if value.startswith(old)),
        value,
    )


def _upload(folder: Path, moved: dict[str, str], roots: dict[int, str], destination: str) -> int:
    store, count = get_artifact_repository(destination), 0
    for old, new in moved.items():
        root = max((r for r in roots.values() if old.startswith(r)), key=len)
        here = folder / old.removeprefix(root).strip("/")
        if old != root and here.is_dir():
            store.log_artifacts(str(here), new.removeprefix(PROXY))
            count += 1
    return count


def _write(new: sa.Connection, table: sa.Table, content: list[dict[str, Any]]) -> None:
    """What a fresh server has already, such as its default experiment, stays; counters go on after
    the last row.
    """
    if content:
        new.execute(insert(table).on_conflict_do_nothing(), content)
    for column in table.primary_key:
        counter = new.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        if counter:
            last = new.scalar(sa.select(sa.func.max(column)))
            new.execute(sa.select(sa.func.setval(counter, (last or 0) + 1, False)))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
