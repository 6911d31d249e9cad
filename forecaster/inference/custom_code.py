"""The code of custom parts: stored with the model, and run only where it is trusted."""

import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from forecaster.config.parts import Trust, is_custom
from forecaster.errors import UserError

# the folder of a saved model that holds their files
FOLDER = "code"


def store_custom_code(content: Any, folder: Path) -> Any:
    """Copy the files of custom parts into ``folder``; the configuration with their new references.

    Parts of an installed module, or of a package, stay as they are.
    """

    def store_file(reference: str) -> str:
        source, _, name = reference.rpartition(":")
        file = _file_of(source)
        if file is None:
            return reference
        target = folder / FOLDER / file.name
        target.parent.mkdir(exist_ok=True)
        if target.exists() and target.read_bytes() != file.read_bytes():
            raise UserError(f"{source}: another part's file has the same name; rename one of them")
        shutil.copyfile(file, target)
        return f"{target.name}:{name}"

    return _with_references(content, store_file)


def _file_of(source: str) -> Path | None:
    """The file of a custom part: a file itself, or a module that is one and is not installed."""
    if source.endswith(".py"):
        return Path(source)
    file = getattr(sys.modules.get(source), "__file__", None)
    if file is None or source == "__main__" or "." in source or not file.endswith(".py"):
        return None
    installed = map(Path, {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
    return None if any(Path(file).is_relative_to(place) for place in installed) else Path(file)


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
