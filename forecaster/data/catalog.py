"""The named data sets of ``datasets/catalog.yaml``: fetch, verify, read and split them."""

import os
import shutil
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from forecaster.config.paths import CATALOG, FILES
from forecaster.config.program import program
from forecaster.config.schema import Columns
from forecaster.config.sections import nearest
from forecaster.data.reading import file_digest
from forecaster.data.splits import Borders, share_borders
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError


class Dataset(BaseModel):
    """One entry of the catalogue: source, checksum, interval, split rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    url: str
    sha256: str
    about: str
    interval: str
    lookback: int
    horizons: tuple[int, ...]
    borders: tuple[int, int, int] | None = None
    shares: tuple[float, float] | None = None

    @property
    def path(self) -> Path:
        """The path of the fetched file."""
        return FILES / self.file

    def split(self, length: int) -> Borders:
        """The protocol's borders for a file of ``length`` rows."""
        if self.borders is not None:
            return Borders(*self.borders)
        assert self.shares is not None
        return share_borders(length, *self.shares)


@cache
def catalog() -> dict[str, Dataset]:
    """All entries by name, in the order of the file."""
    content = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    return {name: Dataset.model_validate(entry) for name, entry in content.items()}


def find_dataset(name: str) -> Dataset:
    """An entry by its name."""
    known = list(catalog())
    if name not in known:
        raise UserError(f"no data set '{name}'{nearest(name, known)}; there are {', '.join(known)}")
    return catalog()[name]


def fetch(name: str, source: Path | None = None) -> Path:
    """Download a data set, or copy it from the folder ``source``, and verify its checksum."""
    dataset = find_dataset(name)
    if dataset.path.is_file() and file_digest(dataset.path) == dataset.sha256:
        return dataset.path
    dataset.path.parent.mkdir(parents=True, exist_ok=True)
    if source is None:
        return _download(name, dataset)
    origin = source / dataset.file
    if not origin.is_file():
        raise UserError(
            f"{origin}: no such file; --from needs the folder that holds {dataset.file}"
        )
    if file_digest(origin) != dataset.sha256:
        raise UserError(
            f"{origin}: its SHA-256 is not that of data set '{name}'; get the original file"
        )
    partial = dataset.path.with_suffix(f".{os.getpid()}.part")
    shutil.copyfile(origin, partial)
    partial.replace(dataset.path)
    return dataset.path


def _download(name: str, dataset: Dataset) -> Path:
    import pooch

    try:
        downloaded = pooch.retrieve(
            dataset.url,
            known_hash=f"sha256:{dataset.sha256}",
            fname=dataset.file,
            path=dataset.path.parent,
        )
    except ValueError as error:
        raise UserError(
            f"{dataset.url}: the file is not the one known as '{name}' (SHA-256 differs)"
        ) from error
    except OSError as error:
        raise UserError(
            f"{dataset.url}: cannot be downloaded ({type(error).__name__}); check the network, or "
            f"take the file from a folder with: {program()} datasets fetch {name} --from DIR"
        ) from error
    return Path(downloaded)


def read_dataset(name: str) -> Table:
    """A fetched data set as a table, with equally spaced rows as in the protocol."""
    dataset = find_dataset(name)
    if not dataset.path.is_file():
        raise UserError(
            f"data set '{name}' is not here yet; run: {program()} datasets fetch {name}"
        )
    if file_digest(dataset.path) != dataset.sha256:
        raise UserError(f"{dataset.path}: damaged (SHA-256 differs); remove it and fetch it again")
    return read_table(dataset.path, Columns(freq=dataset.interval), by_row=True)
