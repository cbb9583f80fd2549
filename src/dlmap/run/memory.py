"""What happens when memory runs out: nothing is kept, fewer photographs at a time, smaller tiles, at last a failure."""

import gc
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from mslique import UserError

from ..activations import is_out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def _never() -> bool:
    return False


class MemoryGuard:
    """Runs work on groups of equal-sized photographs in pieces that fit.

    It remembers what fitted: photographs of a size that fitted only two at a time come two at a time from then on, and
    tiles stay small.

    Args:
        shrink_tiles: makes the tiles smaller; returns False if they are the smallest already.
        keep_nothing: from now on activations are computed again instead of kept; returns False if they are already.
    """

    def __init__(self, shrink_tiles: Callable[[], bool] = _never, keep_nothing: Callable[[], bool] = _never) -> None:
        self.shrink_tiles, self.keep_nothing = shrink_tiles, keep_nothing
        self._most: dict[Hashable, int] = {}
        self._halvings = 0

    def run(
        self, items: Sequence[Item], size: Hashable, work: Callable[[Sequence[Item]], list[Result]]
    ) -> list[Result]:
        """Do ``work`` on all ``items``, which have the same ``size``; returns one result an item.

        Raises:
            UserError: not even one item with the smallest tiles fits.
        """
        results: list[Result] = []
        while len(results) < len(items):
            rest = items[len(results) :]
            part = rest[: self._most.get(size, len(rest))]
            try:
                results += work(part)
                continue
            except (RuntimeError, MemoryError) as reason:  # torch.OutOfMemoryError is a RuntimeError
                if not is_out_of_memory(reason):
                    raise
            # here, after the except block, nothing refers to the exception, whose frames hold the tensors
            self._make_room(size, len(part))
        return results

    def note(self, size: Hashable) -> str:
        """What was changed so far for photographs of this size; empty if nothing was."""
        notes = [f"memory ran out: {self._most[size]} at a time"] if size in self._most else []
        if self._halvings:
            notes.append(f"memory ran out: side of the tiles divided by {2**self._halvings}")
        return "; ".join(notes)

    def _make_room(self, size: Hashable, count: int) -> None:
        gc.collect()  # the exception and its frames may refer to one another
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.keep_nothing():
            return
        if count > 1:
            self._most[size] = (count + 1) // 2
        elif self.shrink_tiles():
            self._halvings += 1
        else:
            raise UserError(
                "memory does not suffice for this photograph, alone and with the smallest tiles: give it a machine with"
                " more memory, or make it smaller"
            )
