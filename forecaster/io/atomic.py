"""Outputs that appear whole or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from forecaster.errors import UserError


def check_folder(path: Path) -> None:
    """Create the folder ``path``; raises UserError if no file can be written in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another --output"
        ) from error


def check_file(
    path: Path, endings: Sequence[str] = (), *read: object, option: str = "--output"
) -> None:
    """Create the folder of the file ``path``; raises UserError if it cannot be written.

    ``endings``: of the kinds of files that are written (none: any); ``read``: the files and folders
    that are read, which are not to be written over.
    """
    where, others = f"{option} {path}", " or ".join(endings)
    if path.is_dir():
        raise UserError(f"{where}: a folder; give the name of a file in it")
    if str(path) == "-" or (path.exists() and not path.is_file()):
        raise UserError(f"{where}: not a file, as outputs are; give the name of one")
    if endings and path.suffix.lower() not in endings:
        raise UserError(
            f"{where}: not a kind of file that is written here; end the name in {others}"
        )
    for source in (each for each in read if isinstance(each, Path) and each.exists()):
        if path.exists() and path.samefile(source):
            raise UserError(f"{where}: is read here, and would be lost; choose another name")
        if source.is_dir() and path.resolve().is_relative_to(source.resolve()):
            raise UserError(f"{where}: lies in the folder that is read; choose another folder")
    check_folder(Path(os.path.realpath(path)).parent)


def check_model_folder(path: Path, *read: Path | None) -> None:
    """Raise UserError if a model cannot be saved at ``path``: other files, or no permission.

    ``read``: the files that are read, which are not to be replaced with the folder.
    """
    for source in read:
        if source is not None and source.resolve().is_relative_to(path.resolve()):
            raise UserError(f"--output {path}: holds {source}, which is read; choose another name")
    if (
        path.exists()
        and not (path / "metadata.json").is_file()
        and (not path.is_dir() or any(path.iterdir()))
    ):
        raise UserError(f"{path}: exists and is not a saved model; choose another --output")
    check_folder(path.parent)


def write_together(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write all files under temporary names, then rename them; on an error the temporary ones go.

    Those of a process that was killed are removed, too. ``files``: path → a function that writes
    the content to the temporary path it is given. Of a symbolic link its target is written.
    """
    places = {path: Path(os.path.realpath(path)) for path in files}
    partial = {
        path: place.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
        for path, place in places.items()
    }
    for path, place in places.items():
        _remove_left(place.with_name(path.name))
    try:
        for path, write in files.items():
            write(partial[path])
        for path in files:
            partial[path].replace(places[path])
    except OSError as error:
        given = {str(place): path for path, place in partial.items()}
        where = given.get(str(error.filename), error.filename or next(iter(files)))
        raise UserError(
            f"{where}: cannot be written ({error.strerror}); free some space or choose another "
            "--output"
        ) from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    """Remove temporary files of ``path`` whose process is no more."""
    import psutil

    name = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)\.part{re.escape(path.suffix)}")
    for other in path.parent.glob(".*.part*"):
        found = name.fullmatch(other.name)
        if found and not psutil.pid_exists(int(found[1])):
            with suppress(OSError):  # it is in nobody's way
                other.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that replaces ``path`` when the block ends without an error."""
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
    """Hold the file ``lock``; raises UserError with ``refusal`` if another process holds it."""
    file_lock = FileLock(lock)
    try:
        file_lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(refusal) from error
    try:
        yield
    finally:
        file_lock.release()
