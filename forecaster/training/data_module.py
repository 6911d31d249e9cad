"""The Lightning data module: which windows a training meets, in which order, and which share of
them is one device's.
"""

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
    """The part of the windows that is one device's: number ``rank`` of ``devices``."""

    rank: int = 0
    devices: int = 1

    def of(self, numbers: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
        """Every ``devices``-th number; the first ones are met again at the end where the shares
        would not be equal.
        """
        size = self.size(len(numbers))
        return numbers[(self.rank + self.devices * torch.arange(size)) % len(numbers)]

    def size(self, count: int) -> int:
        """The length of a share of ``count`` numbers."""
        return -(-count // self.devices)


class _EpochSampler:
    """Batches of window numbers in an order that depends on the seed and the epoch alone, so a
    resumed run meets it too.

    Several devices share that order out, so that their n-th batches together are the n-th stretch
    of it.
    """

    def __init__(self, count: int, batch_size: int, seed: int, share: Share) -> None:
        self.count, self.batch_size, self.seed, self.share, self.epoch = (
            count,
            batch_size,
            seed,
            share,
            0,
        )

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Int[Tensor, " B"]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        yield from self.share.of(torch.randperm(self.count, generator=generator)).split(
            self.batch_size
        )

    def __len__(self) -> int:
        return -(-self.share.size(self.count) // self.batch_size)


class WindowData(pl.LightningDataModule):
    """The Lightning data module: shuffled training batches and ordered validation batches, all or
    one device's share.
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
        self.use_share(Share())

    def use_share(self, share: Share) -> None:
        """Give from now on this share of each epoch; ``batch_size`` is a share's own."""
        self.share = share
        self.sampler = _EpochSampler(len(self.train), self.batch_size, self.seed, share)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Every training window once an epoch, in a seeded order."""
        return DataLoader(self.train, sampler=self.sampler, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation windows, all or evenly spaced ones."""
        numbers = self.share.of(evenly_spaced(len(self.validation), self.validation_limit))
        return loader_of(self.validation, numbers, max(self.batch_size, 64))

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move a batch to the training device."""
        return batch.to(device)
