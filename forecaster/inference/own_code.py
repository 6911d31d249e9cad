"""The files of a model's own parts: stored with it, and run only where they are trusted."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from forecaster.config.parts import Trust, is_own
from forecaster.errors import UserError

# the folder of a saved model that holds them
FOLDER = "code"


def store_own_code(content: Any, folder: Path) -> Any:
    """A configuration's content with its own parts named by their files alone; the files are copied
    to ``folder``. What is named by an importable module stays as it is.
    """

    def store(reference: str) -> str:
        place, _, name = reference.rpartition(":")
        if not place.endswith(".py"):
            return reference
        target = folder / FOLDER / Path(place).name
        target.parent.mkdir(exist_ok=True)
        if target.exists() and target.read_bytes() != Path(place).read_bytes():
            raise UserError(f"{place}: another part's file has this name, too; rename one of them")
        shutil.copyfile(place, target)
        return f"{target.name}:{name}"

    return _renamed(content, store)


def _renamed(content: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(content, Mapping):
        named = {key: _renamed(value, rename) for key, value in content.items()}
        return named | {"name": rename(content["name"])} if is_own(content.get("name")) else named
    if isinstance(content, list | tuple):
        return [_renamed(value, rename) for value in content]
    return content


def own_code(folder: Path) -> Iterator[Path]:
    """The files of a saved model's own parts, in the order of their names."""
    for path in sorted((folder / FOLDER).glob("*.py")):
        if path.resolve().parent != (folder / FOLDER).resolve():
            raise UserError(f"{path}: a link to outside the saved model; put the file itself there")
        yield path


def trust_of(folder: Path, trusted: bool) -> Trust:
    """Whether a saved model's own code may run, and where its files are."""
    return Trust(trusted, folder / FOLDER)
