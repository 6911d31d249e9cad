"""The Lightning data module: the windows of a training, their order, and each device's share."""

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
    the n-th section of it.
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
        self.use_share(Share())

    def use_share(self, share: Share) -> None:
        """Restrict all further epochs to this share."""
        self.share = share
        self.sampler = _EpochSampler(len(self.train), self.batch_size, self.seed, share)

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.train, sampler=self.sampler, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        numbers = self.share.of(evenly_spaced(len(self.validation), self.validation_limit))
        return loader_of(self.validation, numbers, max(self.batch_size, 64))

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)
