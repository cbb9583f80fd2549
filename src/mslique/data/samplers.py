"""Which process sees which sample.

Both are DistributedSamplers: Lightning then tells them the epoch, and does not replace them by its own.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, DistributedSampler


class FreshSamples(DistributedSampler[int]):
    """New indices in every epoch, shared out between processes: epoch e of n samples has e n to (e + 1) n - 1.

    Args:
        seen: tells how many samples of the epoch this process has seen already, before a restart; they are left out.
    """

    def __init__(self, dataset: Dataset[Any], num_replicas: int, rank: int, seen: Callable[[], int] = int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)
        self.seen = seen

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.total_size + self.rank + self.seen() * self.num_replicas
        return iter(range(first, (self.epoch + 1) * self.total_size, self.num_replicas))


class EverySampleOnce(DistributedSampler[int]):
    """Every index exactly once over all processes. Torch's sampler repeats some, to make the shares equal."""

    def __init__(self, dataset: Dataset[Any], num_replicas: int, rank: int) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)
        self.num_samples = len(range(rank, len(dataset), num_replicas))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, len(self.dataset), self.num_replicas))  # type: ignore[arg-type]
