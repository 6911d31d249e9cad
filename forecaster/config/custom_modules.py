"""Modules of custom code: imported from a file or by name, failures reported in one line."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from forecaster.errors import UserError


def import_source(source: str, folder: Path | None) -> ModuleType:
    """Import a file ``NAME.py``, or a module by its name.

    ``folder``: the only one that files may lie in; None for any, relative to the working directory.
    """
    if source.endswith(".py"):
        return _import_file(_confined(source, folder))
    if source in sys.modules:
        return sys.modules[source]
    try:
        return importlib.import_module(source)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == source.partition(".")[0]:
            raise UserError(f"{source}: there is no such module; correct its name") from error
        raise UserError(f"{source}: its import failed ({_reason(error, None)}); mend it") from error


def _confined(source: str, folder: Path | None) -> Path:
    path = (folder or Path.cwd()).joinpath(source).resolve()
    if folder is not None and path.parent != folder.resolve():
        raise UserError(f"{source}: leads out of the saved model; its code lies in {folder.name}/")
    if not path.is_file():
        raise UserError(f"{path}: no such file; name your own part as FILE.py:Class")
    return path


def _import_file(path: Path) -> ModuleType:
    """Import a file, once for each content."""
    content = path.read_bytes()
    name = f"own_{path.stem}_{hashlib.sha256(str(path).encode() + content).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"{path}: its import failed ({_reason(error, path)}); mend it") from error
    return module


def _reason(error: BaseException, path: Path | None) -> str:
    """The error, and the line of the file where it came from."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if path is not None and frame.filename == str(path):
            line = frame.lineno
    place = "" if line is None else f", line {line}"
    return f"{type(error).__name__}: {error}{place}"
