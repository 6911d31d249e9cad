"""What forecasts parts in another process or on another machine, and what goes there and back."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.workflows.engines import PartForecast, Recipe, as_asked, forecast_part


@dataclass(frozen=True)
class Sent:
    """A saved model's files by their path in its folder, to be loaded on another machine."""

    files: Mapping[str, bytes]
    device: str

    @classmethod
    def of(cls, saved: SavedModel) -> "Sent":
        folder = saved.folder
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        return cls(files, saved.model.device.type)

    def load(self, folder: Path, recipe: Recipe) -> SavedModel:
        """The model, from its files written into ``folder``."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        saved = load_model(folder, self.device, recipe.trust_code)
        return as_asked(saved, recipe.resample_rate, recipe.conformal)


class Worker:
    """Forecasts rows of a distributed table, each of which is a part: ``{"part": bytes}``."""

    def __init__(self, sent: Sent, recipe: Recipe) -> None:
        self.recipe, self._open = recipe, ExitStack()
        folder = self._open.enter_context(TemporaryDirectory(prefix="forecaster-"))
        self.saved = sent.load(Path(folder), recipe)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The forecast as Arrow's bytes, or what it is refused for."""
        try:
            found = forecast_part(self.saved, self.recipe, row["part"])
        except UserError as error:
            return {"frame": b"", "decisions": [], "series": 0, "refusal": str(error)}
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pandas(found.frame, preserve_index=False)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        frame = sink.getvalue().to_pybytes()
        return {"frame": frame, "decisions": found.decisions, "series": found.series, "refusal": ""}


def told(row: Mapping[str, Any]) -> PartForecast:
    """A part's forecast from what ``Worker`` returned. Raises UserError if it was refused."""
    if row["refusal"]:
        raise UserError(row["refusal"])
    with pa.ipc.open_stream(row["frame"]) as reader:
        frame = reader.read_pandas()
    return PartForecast(frame, list(row["decisions"]), row["series"])
