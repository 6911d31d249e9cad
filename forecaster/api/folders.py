"""Folders of models that are neither tracked nor given a place."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_unless(given: bool) -> Iterator[Path | None]:
    """A temporary folder unless another one is given; removed after an error."""
    folder = None if given else Path(tempfile.mkdtemp(prefix="forecaster-"))
    try:
        yield folder
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_with(owner: object, folder: Path | None) -> None:
    """Remove the folder, if there is one, when its owner is no longer used."""
    if folder is not None:
        weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
