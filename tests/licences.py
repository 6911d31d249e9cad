"""Writes docs/licences.md: the licence of every package of requirements.lock, as it names it itself.

Part of ``make licences``.
"""

import importlib.metadata
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Licences

The licences of all packages that `make` installs, as the packages name them; written by `make licences`. The program itself is under the
Apache License 2.0.

| Package | Version | Licence |
| --- | --- | --- |
"""


def packages() -> list[tuple[str, str]]:
    """The names and versions in both lock files."""
    text = "".join((ROOT / f"requirements{part}.lock").read_text() for part in ("", "-torch"))
    return sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)))


def licence(name: str) -> str:
    """The licence by the package's expression, its classifiers, or the first line of its text."""
    about = importlib.metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classifiers:
        return ", ".join(classifiers)
    lines = [line.strip() for line in (about.get("License") or "").splitlines() if line.strip()]
    return lines[0][:60] if lines else "not named"


def main(path: Path) -> None:
    """Write the table; a package that is not installed ends it."""
    rows = [f"| {name} | {version} | {licence(name)} |" for name, version in packages()]
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    kinds: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        kinds[row.rpartition(" | ")[2].removesuffix(" |")] += 1
    for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        print(f"{count:4} {kind}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
