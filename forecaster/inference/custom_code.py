"""The code of custom parts: stored with the model, and run only where it is trusted."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from forecaster.config.parts import Trust, is_custom
from forecaster.errors import UserError

# the folder of a saved model that holds their files
FOLDER = "code"


def store_custom_code(content: Any, folder: Path) -> Any:
    """Copy the files of custom parts into ``folder``; the configuration with their new references.

    Parts of an importable module stay as they are.
    """

    def store_file(reference: str) -> str:
        source, _, name = reference.rpartition(":")
        if not source.endswith(".py"):
            return reference
        target = folder / FOLDER / Path(source).name
        target.parent.mkdir(exist_ok=True)
        if target.exists() and target.read_bytes() != Path(source).read_bytes():
            raise UserError(f"{source}: another part's file has the same name; rename one of them")
        shutil.copyfile(source, target)
        return f"{target.name}:{name}"

    return _with_references(content, store_file)


def _with_references(content: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(content, Mapping):
        named = {key: _with_references(value, rename) for key, value in content.items()}
        return (
            named | {"name": rename(content["name"])} if is_custom(content.get("name")) else named
        )
    if isinstance(content, list | tuple):
        return [_with_references(value, rename) for value in content]
    return content


def custom_code(folder: Path) -> Iterator[Path]:
    """The files of a saved model's custom parts, sorted by name."""
    for path in sorted((folder / FOLDER).glob("*.py")):
        if path.resolve().parent != (folder / FOLDER).resolve():
            raise UserError(f"{path}: a link to outside the saved model; put the file itself there")
        yield path


def trust_of(folder: Path, trusted: bool) -> Trust:
    """Trust in a saved model's custom code, whose files are in the model's folder."""
    return Trust(trusted, folder / FOLDER)
