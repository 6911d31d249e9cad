"""`make bench`: what the delta-rule layers cost against the length of a sequence.

CPU milliseconds on one thread, the best of five, of a forward pass and the backward pass that
follows, chunk by chunk. With a document as its argument the table is put there, between its marks
(``<!-- bench-delta -->``).
"""

import os
import platform
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from forecaster.delta.layer import DeltaOptions, DeltaRule  # noqa: E402
from forecaster.reporting.markdown import markdown_table, put_between  # noqa: E402
from forecaster.ssm.diagonal import S4D  # noqa: E402
from forecaster.tracking.provenance import code_version  # noqa: E402

LENGTHS = (256, 1024, 4096, 16384)
WIDTH, STATE = 16, 16
LAYERS = {
    "DeltaNet": DeltaOptions(heads=1),
    "Gated DeltaNet": DeltaOptions(heads=1, gate=True),
    "DeltaProduct, two steps": DeltaOptions(heads=1, steps=2, beta=2),
}


def milliseconds(layer: torch.nn.Module, length: int) -> str:
    """Of one forward and one backward pass over a sequence."""
    u = torch.randn(1, WIDTH, length)
    times = []
    for _ in range(6):
        began = time.process_time()
        layer(u).square().mean().backward()
        times.append(time.process_time() - began)
    return f"{1000 * min(times[1:]):.1f}"


def main() -> None:
    """One table, into a document if one is named."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = {name: DeltaRule(WIDTH, STATE, options) for name, options in LAYERS.items()}
    rows = [
        [name, *(milliseconds(layer, length) for length in LENGTHS)]
        for name, layer in {**layers, "S4D": S4D(WIDTH, STATE)}.items()
    ]
    machine = f"{os.cpu_count()} {platform.machine()} cores"
    said = (
        f"`make bench`: {time.strftime('%Y-%m-%d')}, code {code_version()}, {machine}, "
        f"torch {torch.__version__.split('+')[0]}"
    )
    table = markdown_table(["layer", *map(str, LENGTHS)], rows)
    text = f"{said}\n\n{table}"
    print(text)
    if len(sys.argv) > 1:
        put_between(Path(sys.argv[1]), "bench-delta", text)


if __name__ == "__main__":
    main()
