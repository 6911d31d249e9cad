"""The paths of presets, catalogue, data and store, in a checkout or an installed copy.

    =============  ================  ============================================
    what           in a checkout     installed
    =============  ================  ============================================
    presets        configs/          forecaster/shipped/configs/
    catalogue      datasets/         forecaster/shipped/datasets/
    fetched files  datasets/files/   datasets/ in the store's home
    store's home   mlflow/           the operating system's folder for user data
    =============  ================  ============================================

``FORECASTER_HOME`` overrides the store's home. The package's folder is never written to.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Layout:
    """The roots of all paths: ``checkout`` is None for an installed copy.

    ``shipped``: the parent of ``configs/`` and ``datasets/``.
    """

    checkout: Path | None
    shipped: Path
    files: Path
    home: Path


def layout(package: Path, environment: Mapping[str, str]) -> Layout:
    """The layout of a package folder.

    A copy of the package without its data, as in a logged model, counts as installed.
    """
    root, shipped = package.parent, package / "shipped"
    override = environment.get("FORECASTER_HOME")
    if not shipped.is_dir() and (root / "cli.py").is_file() and (root / "configs").is_dir():
        home = Path(override or root / "mlflow").resolve()
        return Layout(root, root, root / "datasets" / "files", home)
    home = Path(override or _user_data()).resolve()
    return Layout(None, shipped, home / "datasets", home)


def _user_data() -> Path:
    from platformdirs import user_data_path  # not needed in a checkout

    return user_data_path("forecaster", appauthor=False)


_LAYOUT = layout(PACKAGE, os.environ)
CHECKOUT, FILES, HOME = _LAYOUT.checkout, _LAYOUT.files, _LAYOUT.home
CONFIGS = _LAYOUT.shipped / "configs"
SUITES = CONFIGS / "suites"
PEERS = CONFIGS / "peers"
CATALOG = _LAYOUT.shipped / "datasets" / "catalog.yaml"
SAMPLE = _LAYOUT.shipped / "datasets" / "seattle_weather.csv"
