"""Where a served model comes from, and what is told of it."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecaster.inference.locate import open_model
from forecaster.inference.saved_model import SavedModel
from forecaster.tracking.query import download_into, version_of

_ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)")
_VERSION = re.compile(r"models:/([^/@]+)/(\d+)")

Target = tuple[int, int]  # a version, and when it was registered


@dataclass(frozen=True)
class Served:
    """A loaded model. ``about``: what answers and ``/health`` tell of it.

    ``target``, ``scratch``: of a model found by its alias, the version and the folder of its files.
    """

    saved: SavedModel
    about: Mapping[str, Any]
    target: Target | None = None
    scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def label(self) -> str:
        """The model's name in answers and in the log."""
        return str(self.about["model"])

    def discard(self) -> None:
        """Remove the files that were downloaded for it."""
        if self.scratch is not None:
            self.scratch.cleanup()


class Source:
    """A reference to a model; one by its alias leads to another version when the alias is moved."""

    def __init__(self, reference: str, accelerator: str | None, trust_code: bool = False) -> None:
        self.reference = reference
        self._accelerator, self._trust = accelerator, trust_code
        match = _ALIAS.fullmatch(reference)
        self._name: str | None = match[1] if match else None
        self._alias: str | None = match[2] if match else None

    def target(self) -> Target | None:
        """The version that the alias names now; None of a reference that always names the same."""
        if self._name is None or self._alias is None:
            return None
        return version_of(self._name, self._alias)

    def open(self, target: Target | None) -> Served:
        """Load the model, a version of ``target``."""
        if target is None:
            saved = self._load(self.reference)
            version = _VERSION.fullmatch(self.reference)
            name, number = (version[1], int(version[2])) if version else (None, None)
            tracked = self.reference.startswith(("models:/", "runs:/"))
            label = self.reference if tracked else saved.folder.resolve().name
            return Served(saved, self._about(saved, label, name, number))
        number, _ = target
        label = f"models:/{self._name}/{number}"
        scratch = tempfile.TemporaryDirectory(prefix="forecaster-served-")
        try:
            saved = self._load(str(download_into(Path(scratch.name), label)))
            about = self._about(saved, label, self._name, number)
        except BaseException:
            scratch.cleanup()
            raise
        return Served(saved, about, target, scratch)

    def _load(self, reference: str) -> SavedModel:
        return open_model(reference, self._accelerator, self._trust)

    def _about(
        self, saved: SavedModel, label: str, name: str | None, version: int | None
    ) -> dict[str, Any]:
        until = saved.said_until().values()
        return {
            "model": label,
            "name": name,
            "version": version,
            "alias": self._alias,
            "run_id": saved.metadata.get("run_id"),
            "trained_until": max(until).isoformat() if until else None,
            "loaded_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "horizon": saved.config.data.horizon,
            "columns": list(saved.schema.names),
        }
