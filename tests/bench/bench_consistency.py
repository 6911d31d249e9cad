"""The bridge in one network call by consistency, beside the bridge in its recommended steps.

``bench_consistency.py run DATA FILE.json`` trains the prior of a named data set once, and on it the
bridge, and one-step models from scratch and distilled from that bridge, with adaptive steps and
with fixed ones. ``bench_consistency.py table FILE.json… [DOCUMENT.md]`` makes a table of such
files, in a document between its marks (``<!-- bench-consistency -->``).
"""

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from forecaster.config.load import find_config, load_config  # noqa: E402
from forecaster.config.schema import Config  # noqa: E402
from forecaster.data.catalog import find_dataset  # noqa: E402
from forecaster.data.problem import load_problem  # noqa: E402
from forecaster.evaluation.score import Scoring, evaluate  # noqa: E402
from forecaster.models.base import Forecaster  # noqa: E402
from forecaster.reporting.markdown import markdown_table, put_between  # noqa: E402
from forecaster.tracking.provenance import code_version  # noqa: E402
from forecaster.training.fit import fit, new_model, window_data  # noqa: E402
from forecaster.training.progress import Silent  # noqa: E402
from forecaster.training.stages import on_cuda  # noqa: E402

FIXED = "model.objective.discretisation=fixed"
DISTILLED = "model.objective.distilled=true"
VARIANTS = {
    "adaptive": ("s2dbm_consistency",),
    "fixed": ("s2dbm_consistency", FIXED),
    "adaptive, distilled": ("s2dbm_consistency", DISTILLED),
    "fixed, distilled": ("s2dbm_consistency", DISTILLED, FIXED),
}
WINDOWS = 256
METRICS = {"CRPS": "crps", "coverage": "coverage/90"}
# the share of the bridge's best validation score that "batches" are counted to
WITHIN = 1.01


def settings(data: str, preset: str, *changed: str) -> Config:
    """The configuration of a preset on a named data set, at its shortest horizon."""
    entry = find_dataset(data)
    sizes = [f"data.horizon={entry.horizons[0]}", f"data.lookback={entry.lookback}"]
    named = [f"data.dataset={data}", "trainer.refit=none", *sizes]
    return load_config(find_config(preset), [*named, *changed])


def trained(
    config: Config, folder: Path, count: int | None = None
) -> tuple[Forecaster, list[float]]:
    """A trained model, and its validation score after each epoch of the model itself."""
    problem, scores = load_problem(config.data), list[float]()
    model = new_model(config, problem)

    def report(losses: dict[str, float], epoch: int) -> None:
        scores.extend(losses[name] for name in losses if name == "val/loss")

    data = window_data(config, problem)
    fit(model, data, config.trainer, folder, report, Silent(), count=count)
    return model.to("cuda" if on_cuda(config.trainer) else "cpu").eval(), scores


def scored(config: Config, model: Forecaster, steps: int) -> dict[str, float]:
    """Test metrics of a model in a number of network calls."""
    scoring = Scoring("probabilistic", 100, steps, WINDOWS, config.trainer.seed)
    found = evaluate(model, load_problem(config.data), "test", scoring)
    return {title: found[name] for title, name in METRICS.items()}


def run(data: str, file: Path) -> None:
    """All rows of a data set."""
    rows, folder = list[dict[str, Any]](), Path(tempfile.mkdtemp())

    def add(name: str, config: Config, model: Forecaster, steps: int, scores: list[float]) -> None:
        row = {"model": name, "calls": steps, "scores": scores, "batches": batches(config, scores)}
        rows.append({**row, **scored(config, model, steps)})
        print(data, rows[-1], flush=True)

    def batches(config: Config, scores: list[float]) -> int | None:
        reached = [n for n, score in enumerate(scores, start=1) if score <= WITHIN * goal]
        return reached[0] * (config.trainer.epoch_batches or 0) if reached else None

    began, config = time.time(), settings(data, "s2dbm")
    bridge, scores = trained(config, folder / "bridge")
    goal, model_stage = min(scores), f"stage{len(bridge.stages())}"
    for steps in (5, 1):
        add("bridge", config, bridge, steps, scores)
    for name, (preset, *changed) in VARIANTS.items():
        config, place = settings(data, preset, *changed), folder / name
        left_out = [] if DISTILLED in changed else [model_stage]  # the bridge is the teacher
        shutil.copytree(folder / "bridge", place, ignore=shutil.ignore_patterns(*left_out))
        if name == "adaptive":
            untrained, _ = trained(config, place, len(bridge.stages()))
            add("untrained", config, untrained, 1, [])
        model, scores = trained(config, place)
        add(name, config, model, 1, scores)
    shutil.rmtree(folder)
    machine = f"{os.cpu_count()} {platform.machine()} cores"
    if torch.cuda.is_available():
        machine = torch.cuda.get_device_name()
    about = {"code": code_version(), "machine": machine, "torch": torch.__version__.split("+")[0]}
    content = {"data": data, **about, "seconds": time.time() - began, "rows": rows}
    file.write_text(json.dumps(content), encoding="utf-8")


def table(files: list[Path], document: Path | None) -> None:
    """The table of all files."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    rows = [
        [
            each["data"],
            row["model"],
            str(row["calls"]),
            *(f"{row[title]:.3f}".replace("0.", ".", 1) for title in METRICS),
            "–" if row["batches"] is None else f"{row['batches']:,}",
        ]
        for each in found
        for row in each["rows"]
    ]
    facts = {
        name: ", ".join(sorted({each[name] for each in found})) for name in ("code", "machine")
    }
    said = (
        f"`bench_consistency.py`: {time.strftime('%Y-%m-%d')}, code {facts['code']}, "
        f"{facts['machine']}, torch {found[0]['torch']}, seed 0, 100 samples of {WINDOWS} test "
        "windows, of all where there are fewer"
    )
    text = f"{said}\n\n{markdown_table(['data', 'model', 'calls', *METRICS, 'batches'], rows)}"
    print(text)
    if document is not None:
        put_between(document, "bench-consistency", text)


def main() -> None:
    """See the module."""
    torch.set_num_threads(1)
    if sys.argv[1] == "run":
        run(sys.argv[2], Path(sys.argv[3]))
        return
    paths = [Path(name) for name in sys.argv[2:]]
    documents = [path for path in paths if path.suffix == ".md"]
    table([path for path in paths if path not in documents], next(iter(documents), None))


if __name__ == "__main__":
    main()
