"""`make bench`: windows a second, training, forecasts, memory, and what Lightning costs. Prints
Markdown tables, and puts them into the document that is named, between its marks (``<!-- bench
-->``).

Figures are for this machine and this moment; nothing here asserts anything.
"""

import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lightning.pytorch as pl  # noqa: E402
from bench_serving import serving  # noqa: E402
from bench_startup import startup  # noqa: E402
from gluonts.dataset.loader import TrainDataLoader  # noqa: E402
from gluonts.itertools import Cyclic  # noqa: E402
from gluonts.torch.batchify import batchify  # noqa: E402
from gluonts.transform import (  # noqa: E402
    AddObservedValuesIndicator,
    Chain,
    ExpectedNumInstanceSampler,
    InstanceSplitter,
)

from forecaster.config.load import find_config, load_config  # noqa: E402
from forecaster.config.parts import build  # noqa: E402
from forecaster.data.splits import Borders  # noqa: E402
from forecaster.data.windows import Batch, Windows, cut_windows  # noqa: E402
from forecaster.diffusion.drawing import Draws  # noqa: E402
from forecaster.models.adjusted import Adjustment, plus  # noqa: E402
from forecaster.models.base import Forecaster, Shape  # noqa: E402
from forecaster.reporting.markdown import markdown_table, put_between  # noqa: E402
from forecaster.ssm.diagonal import S4D  # noqa: E402
from forecaster.ssm.lssl import LSSL  # noqa: E402
from forecaster.ssm.s4 import S4  # noqa: E402
from forecaster.tracking.provenance import code_version  # noqa: E402
from forecaster.training.data_module import WindowData  # noqa: E402
from forecaster.training.stages import Training, make_trainer, quiet_libraries  # noqa: E402

K, L, H, ROWS = 7, 336, 96, 8640
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def rate(step: Callable[[], int], seconds: float = 3.0) -> float:
    """Things a second: ``step`` does some and says how many; the first call warms up."""
    step()
    _wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += step()
    _wait()
    return count / (time.perf_counter() - began)


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


REPORT: list[str] = []


def say(text: str) -> None:
    """Print, and keep for the document."""
    REPORT.append(text)
    print(text, flush=True)


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    """A Markdown table."""
    say(f"\n### {title}\n\n{markdown_table(head, rows)}")


def data() -> tuple[np.ndarray, Windows]:
    """A table of ETTh1's training size, with a daily wave and noise."""
    generator = np.random.default_rng(0)
    hours = np.arange(ROWS)[:, None]
    values = np.sin(2 * np.pi * (hours / 24 + np.arange(K) / K)) + generator.normal(size=(ROWS, K))
    return values, cut_windows([values], [Borders(ROWS, ROWS, ROWS)], "train", L, H, [0])


def loaders(values: np.ndarray, windows: Windows) -> None:
    """Training windows a second: ours, and GluonTS's own training loader over the same array."""
    import pandas as pd

    def epochs() -> Iterator[Batch]:
        loader = WindowData(windows, windows, 64, 0)
        while True:
            yield from loader.train_dataloader()

    entry = {
        "start": pd.Period("2016-07-01", "h"),
        "target": values.T.astype(np.float32),
        "item_id": "",
    }
    splitter = InstanceSplitter(
        target_field="target",
        is_pad_field="is_pad",
        start_field="start",
        forecast_start_field="forecast_start",
        instance_sampler=ExpectedNumInstanceSampler(num_instances=1.0, min_past=L, min_future=H),
        past_length=L,
        future_length=H,
        time_series_fields=["observed"],
    )
    transform = Chain([AddObservedValuesIndicator("target", "observed")]) + splitter
    theirs = iter(
        TrainDataLoader(Cyclic([entry]), batch_size=64, stack_fn=batchify, transform=transform)
    )
    ours = epochs()
    fast = rate(lambda: len(next(ours)))
    slow = rate(lambda: len(next(theirs)["past_target"]))
    table(
        "Windows (7 × 432) a second",
        ["loader", "windows/s"],
        [
            ["this project", f"{fast:,.0f}"],
            ["GluonTS TrainDataLoader", f"{slow:,.0f}"],
            ["ratio", f"{fast / slow:.0f}"],
        ],
    )


def make(name: str) -> tuple[Forecaster, object]:
    """A model of a configuration, for the benchmark's shape."""
    config = load_config(find_config(name))
    torch.manual_seed(0)
    model, (_, windows) = build(config.model, Shape(K, L, H, 24)).to(DEVICE), data()
    for stage in model.stages():
        stage.calibrate(windows, windows)
    return model, config.trainer


def bare_loop(model: Forecaster, batch: Batch) -> Callable[[], int]:
    """A training step without Lightning."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> int:
        model.loss(batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        return len(batch)

    return step


def training(windows: Windows) -> None:
    """Training windows a second of each model."""
    rows = []
    for name in ("nlinear", "quantile-linear", "s2dbm", "s2dbm_paper"):
        model, _ = make(name)
        batch = windows[torch.arange(32)].to(DEVICE)
        rows.append([name, f"{rate(bare_loop(model.train(), batch), 6.0):,.0f}"])
    table("Training windows a second (batches of 32)", ["model", "windows/s"], rows)


def overhead(windows: Windows) -> None:
    """The Lightning step over a bare loop on the same batch, alternating, the median of three."""
    quiet_libraries()
    steps, ratios = 20, []
    for _ in range(3):
        model, settings = make("s2dbm")
        batch = windows[torch.arange(32)]
        clock = _StepClock(3)
        loader = torch.utils.data.DataLoader([batch] * (steps + 3), batch_size=None)
        with tempfile.TemporaryDirectory() as folder:
            limited = settings.model_copy(update={"max_epochs": 1, "max_steps": steps + 3})
            trainer = make_trainer(limited, Path(folder), steps + 3, [clock])
            trainer.fit(_OnDevice(model.train(), settings), loader)
        bare = bare_loop(make("s2dbm")[0].train(), batch.to(DEVICE))
        for _ in range(3):
            bare()
        _wait()
        began = time.perf_counter()
        for _ in range(steps):
            bare()
        _wait()
        ratios.append(clock.seconds / (time.perf_counter() - began))
    overhead_percent = 100 * (float(np.median(ratios)) - 1)
    rows = [["s2dbm", f"{overhead_percent:+.1f} %"]]
    table(
        "Lightning step over a bare loop (batch 32, median of three)", ["model", "overhead"], rows
    )


def without_covariates(windows: Windows) -> None:
    """What the code for covariates takes of a training step and a forecast without any."""
    rows, batch = [], windows[torch.arange(32)].to(DEVICE)
    for name in ("nlinear", "quantile-linear", "s4d"):
        model, _ = make(name)
        adjustments = [part for part in model.modules() if isinstance(part, Adjustment)]

        def nothing(parts: list[Adjustment] = adjustments) -> int:
            return len([plus(batch.future, part(batch)[1]) for part in parts])

        def forecast(model: Forecaster = model) -> int:
            with torch.no_grad():
                return len(model.eval().predict(batch))

        spent = len(adjustments) / rate(nothing, 1.0)
        step, ahead = 32 / rate(bare_loop(model.train(), batch)), 32 / rate(forecast)
        cells = (f"{1e6 * spent:.1f}", *(f"{100 * spent / whole:.2f} %" for whole in (step, ahead)))
        rows.append([name, *cells])
    table(
        "Without covariates: their code in a training step and a forecast (batch 32)",
        ["model", "µs", "of a training step", "of a forecast"],
        rows,
    )


class _OnDevice(Training):
    """The training module with the move of a batch that the data module makes otherwise."""

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)


class _StepClock(pl.Callback):
    """The time of all steps after the first few."""

    def __init__(self, warm: int) -> None:
        self.warm, self.seconds, self._began = warm, 0.0, 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:  # type: ignore[no-untyped-def]
        if batch_idx == self.warm:
            _wait()
            self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module) -> None:  # type: ignore[no-untyped-def]
        _wait()
        self.seconds = time.perf_counter() - self._began


@torch.no_grad()
def forecasts(windows: Windows) -> None:
    """Point and probabilistic (100 samples) forecasts a second, by the number of steps."""
    rows = []
    for name in ("s2dbm", "s2dbm_paper"):
        model, _ = make(name)
        model.eval()
        many, one = windows[torch.arange(32)].to(DEVICE), windows[torch.arange(1)].to(DEVICE)
        for steps in (1, 5, 10, 50):
            point = rate(lambda m=model, b=many, s=steps: (m.predict(b, s), len(b))[1])  # type: ignore[misc]
            drawn = rate(lambda m=model, b=one, s=steps: (m.sample(b, Draws(100, [0], s)), 1)[1])  # type: ignore[misc]
            rows.append([name, str(steps), f"{point:,.1f}", f"{drawn:,.2f}"])
    table(
        "Forecasts a second (7 channels, horizon 96)",
        ["model", "steps", "point", "100 samples"],
        rows,
    )


@torch.no_grad()
def state_space() -> None:
    """The kernel of each layer against L and N, one step, and S4's kernel over a walk through a
    dense recurrence.
    """
    kinds = {"S4D": S4D, "S4": S4, "LSSL": LSSL}
    for title, cells in (
        (
            "Kernel, ms, of 16 features against L (N = 64)",
            [(length, 64) for length in (256, 1024, 4096, 16384)],
        ),
        ("Kernel, ms, of 16 features against N (L = 1024)", [(1024, n) for n in (16, 32, 64, 128)]),
    ):
        rows = []
        for name, kind in kinds.items():
            times = []
            for length, n in cells:
                layer = kind(16, n).to(DEVICE)
                times.append(
                    f"{1000 / rate(lambda a=layer, b=length: (a.kernel(b), 1)[1], 0.5):.2f}"
                )  # type: ignore[misc]
            rows.append([name, *times])
        table(
            title,
            ["layer", *(str(length if "against L" in title else n) for length, n in cells)],
            rows,
        )
    rows = []
    for name, kind in kinds.items():
        times = []
        for n in (16, 32, 64, 128):
            layer = kind(16, n).to(DEVICE)
            u, state = torch.randn(1, 16, device=DEVICE), layer.initial(1)
            times.append(
                f"{1000 / rate(lambda a=layer, b=u, c=state: (a.step(b, c), 1)[1], 0.5):.2f}"
            )  # type: ignore[misc]
        rows.append([name, *times])
    table("One step, ms, of 16 features against N", ["layer", "16", "32", "64", "128"], rows)
    length, rows = 16384, []
    for features in (1, 16):
        layer = S4(features, 64).to(DEVICE)
        A, x = layer.system().dense(), torch.randn(features, 64, 1, device=DEVICE)
        fast = 1 / rate(lambda a=layer: (a.kernel(length), 1)[1], 1.0)  # type: ignore[misc]
        slow = length / rate(lambda m=A, v=x: (m @ v, 1)[1], 1.0)  # type: ignore[misc]
        rows.append([str(features), f"{fast:.4f}", f"{slow:.3f}", f"{slow / fast:.0f}"])
    table(
        "A kernel of length 16384, N = 64, seconds",
        ["features", "S4", "a walk through the dense LSSL", "ratio"],
        rows,
    )


class _Recall:
    """Noise after a value that is held for twenty steps, ``length`` steps back: that value is asked
    for at the end.
    """

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        u = torch.zeros(batch, 2, self.length, device=DEVICE)
        value = torch.rand(batch, device=DEVICE) * 2 - 1
        u[:, 0] = 0.1 * torch.randn(batch, self.length, device=DEVICE)
        u[:, 0, :20], u[:, 1, :20] = value[:, None], 1.0
        return u, value


class _LastOutput(torch.nn.Module):
    """Two channels → features → a state-space layer → GELU → one number, at the last position."""

    def __init__(self, layer: torch.nn.Module, width: int) -> None:
        super().__init__()
        self.enter, self.layer = torch.nn.Linear(2, width), layer
        self.out = torch.nn.Sequential(torch.nn.GELU(), torch.nn.Linear(width, 1))

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        y = self.layer(self.enter(u.mT).mT)[..., -1]
        return self.out(30 * y)[..., 0]  # twenty of 2000 steps fill little of the state


class _Window(torch.nn.Module):
    """One linear layer over the last 336 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2 * L, 1)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        return self.layer(u[..., -L:].flatten(1))[..., 0]


def long_memory(length: int = 2000, steps: int = 300, width: int = 8) -> None:
    """A value to be recalled from 2000 steps back: the error's variance over the value's own (1:
    nothing was recalled).
    """
    task, rows, near = _Recall(length), [], {"dt_min": 0.2 / length, "dt_max": 5.0 / length}
    models = {
        "LSSL": lambda: _LastOutput(LSSL(width, 32, **near), width),
        "S4": lambda: _LastOutput(S4(width, 32, **near), width),
        "linear, 336 steps": _Window,
    }
    for name, make in models.items():
        torch.manual_seed(0)
        model = make().to(DEVICE)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        began = time.perf_counter()
        for _ in range(steps):
            u, value = task(32)
            loss = ((model(u) - value) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            u, value = task(512)
            share = float(((model(u) - value) ** 2).mean() / value.var())
        rows.append([name, f"{share:.3f}", f"{time.perf_counter() - began:.0f}"])
    table(
        f"A value recalled from {length} steps back", ["model", "error / variance", "seconds"], rows
    )


def main() -> None:
    """Everything, in a few minutes."""
    gpu = f", {torch.cuda.get_device_name()}" if DEVICE == "cuda" else ""
    cores = f"{os.cpu_count()} {platform.machine()} cores{gpu}"
    say(
        f"`make bench`: {time.strftime('%Y-%m-%d')}, code {code_version()}, {cores}, torch {torch.__version__.split('+')[0]}"
    )
    values, windows = data()
    loaders(values, windows)
    training(windows)
    overhead(windows)
    without_covariates(windows)
    forecasts(windows)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices: more threads wait for one another
    state_space()
    torch.set_num_threads(threads)
    long_memory()
    serving(table)
    startup(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rows = [["process (resident)", f"{peak:.2f} GiB"]]
    if DEVICE == "cuda":
        rows.append(["GPU (allocated)", f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB"])
    table("Peak memory", ["of", "peak"], rows)
    if len(sys.argv) > 1:
        put_between(Path(sys.argv[1]), "bench", "\n".join(REPORT))


if __name__ == "__main__":
    main()
