"""The Lightning data module: the windows of a training, their order, and each device's share."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader

from forecaster.data.windows import Batch, Windows, evenly_spaced, loader_of


@dataclass(frozen=True)
class Share:
    """One device's part of the windows: number ``rank`` of ``devices``."""

    rank: int = 0
    devices: int = 1

    def of(self, numbers: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
        """Every ``devices``-th number; the first ones are repeated so that all shares are equal."""
        size = self.size(len(numbers))
        return numbers[(self.rank + self.devices * torch.arange(size)) % len(numbers)]

    def size(self, count: int) -> int:
        """The length of a share of ``count`` numbers."""
        return -(-count // self.devices)


class _EpochSampler:
    """Batches of window numbers in an order that is a function of the seed and the epoch alone.

    So a resumed run sees the same order. Several devices share it: their n-th batches together are
    the n-th section of it. ``batches``: the length of an epoch, in which windows are repeated in
    another order once all were seen (None: all windows once).
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, share: Share, batches: int | None = None
    ) -> None:
        self.count, self.batch_size, self.seed, self.share = count, batch_size, seed, share
        self.batches, self.epoch = batches, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Int[Tensor, " B"]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        passes = (torch.randperm(self.count, generator=generator) for _ in itertools.count())
        batches = (
            batch for order in passes for batch in self.share.of(order).split(self.batch_size)
        )
        return itertools.islice(batches, len(self))

    def __len__(self) -> int:
        every = -(-self.share.size(self.count) // self.batch_size)
        return every if self.batches is None else self.batches


class WindowData(pl.LightningDataModule):
    """Shuffled training batches and ordered validation batches, all of them or one device's share.

    ``batch_size`` is per device; ``validation_limit``: this many evenly spaced windows, or all.
    """

    def __init__(
        self,
        train: Windows,
        validation: Windows,
        batch_size: int,
        seed: int,
        validation_limit: int | None = None,
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.batch_size, self.seed, self.validation_limit = batch_size, seed, validation_limit
        self.epoch_batches: int | None = None
        self.use_share(Share())

    def use_share(self, share: Share) -> None:
        """Restrict all further epochs to this share."""
        self.share = share
        self.use_batches(self.epoch_batches)

    def use_batches(self, batches: int | None) -> None:
        """Let all further epochs have this number of batches (None: every window once)."""
        self.epoch_batches = batches
        self.sampler = _EpochSampler(
            len(self.train), self.batch_size, self.seed, self.share, batches
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.train, sampler=self.sampler, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        numbers = self.share.of(evenly_spaced(len(self.validation), self.validation_limit))
        return loader_of(self.validation, numbers, max(self.batch_size, 64))

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)
