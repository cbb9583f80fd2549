"""Which process sees which sample.

Both are DistributedSamplers: Lightning then tells them the epoch, and does not replace them by its own.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, DistributedSampler

from ..io.errors import UserError


class FreshSamples(DistributedSampler[int]):
    """New indices in every epoch: epoch e of n samples has e n to (e + 1) n - 1, in one block for every process.

    Neighbours belong together: they may be versions of one crop.

    Args:
        seen: tells how many samples of the epoch this process has seen already, before a restart; they are left out.
    """

    def __init__(self, dataset: Dataset[Any], num_replicas: int, rank: int, seen: Callable[[], int] = int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)
        self.seen = seen

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.total_size + self.rank * self.num_samples
        return iter(range(first + self.seen(), first + self.num_samples))


class EverySampleOnce(DistributedSampler[int]):
    """Every index exactly once over all processes. Torch's sampler repeats some, to make the shares equal.

    Raises:
        UserError: there are fewer samples than processes, so that one would wait for ever for the others.
    """

    def __init__(self, dataset: Dataset[Any], num_replicas: int, rank: int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)
        if 0 < len(dataset) < num_replicas:  # type: ignore[arg-type]
            count = len(dataset)  # type: ignore[arg-type]
            raise UserError(f"{num_replicas} processes cannot share {count} images: give --trainer.devices {count}")
        self.num_samples = len(range(rank, len(dataset), num_replicas))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, len(self.dataset), self.num_replicas))  # type: ignore[arg-type]
