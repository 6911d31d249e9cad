"""Outputs that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from forecaster.errors import UserError


def check_folder(path: Path) -> None:
    """Make ``path`` and refuse it, before any work is done, if nothing can be written in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another --output"
        ) from error


def check_model_folder(path: Path) -> None:
    """Refuse, before any work is done, a place for a saved model that holds something else or
    cannot be written.
    """
    if (
        path.exists()
        and not (path / "metadata.json").is_file()
        and (not path.is_dir() or any(path.iterdir()))
    ):
        raise UserError(f"{path}: exists and is not a saved model; choose another --output")
    check_folder(path.parent)


def write_together(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write every file under a temporary name beside its own, then rename all; on an error none is
    left behind.

    ``files``: path → a function that writes to the (temporary) path it is given.
    """
    partial = {
        path: path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}") for path in files
    }
    try:
        for path, write in files.items():
            write(partial[path])
        for path in files:
            partial[path].replace(path)
    except OSError as error:
        raise UserError(
            f"{error.filename or next(iter(files))}: cannot be written ({error.strerror}); "
            "free some space or choose another --output"
        ) from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` (replacing what was there) once the block has ended
    well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another "
            "--output"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def exclusive_lock(lock: Path, refusal: str) -> Iterator[None]:
    """Meanwhile no other process holds ``lock``; where one does, ``refusal`` says what it is at."""
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise UserError(refusal) from error
    try:
        yield
    finally:
        held.release()
