"""Files of tensors, whose sizes are compared with what they should hold before they are read."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from forecaster.errors import UserError

LARGEST = 2 << 30  # bytes of a file
_LONGEST = 16 << 20  # bytes of its header

Sizes = dict[str, tuple[int, ...]]


def read_sizes(path: Path) -> Sizes:
    """The name and the sizes of every tensor, by the file's header.

    Raises RuntimeError for a file that is too large, or that differs in length from its header.
    """
    length = path.stat().st_size
    if length > LARGEST:
        raise RuntimeError(f"{length} bytes, where {LARGEST} are the most")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        if header > min(length - 8, _LONGEST):
            raise RuntimeError("its header is longer than it may be")
        content = json.loads(file.read(header))
    content.pop("__metadata__", None)
    ends = [about["data_offsets"][1] for about in content.values()]
    if max(ends, default=0) != length - 8 - header:
        raise RuntimeError("its sizes do not make up its length")
    return {name: tuple(map(int, about["shape"])) for name, about in content.items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors, on the CPU."""
    return safetensors.torch.load_file(path, device="cpu")


def check_sizes(sizes: Sizes, wanted: Mapping[str, Tensor]) -> None:
    """Raise RuntimeError for a tensor of other sizes than the one it is for.

    The number of stored paths, or of phases, is the file's: their tensors have none, or one yet.
    """
    for name, size in sizes.items():
        due = tuple(wanted[name].shape) if name in wanted else size
        counted = due[:1] in {(0,), (1,)} and size[:1] > (0,)
        if size != due and not (counted and size[1:] == due[1:]):
            raise RuntimeError(f"'{name}' has sizes {size} where {due} are due")


def numbers_in(sizes: Sizes) -> int:
    """The number of numbers in a file."""
    return sum(math.prod(size) for size in sizes.values())


@contextmanager
def as_damaged(path: Path) -> Iterator[Path]:
    """Report any fault of a tensor file as a UserError."""
    try:
        yield path
    except (
        safetensors.SafetensorError,
        OSError,
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: damaged or of another model ({reason}); train or copy the model again"
        ) from error
