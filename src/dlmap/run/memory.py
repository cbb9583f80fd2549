"""What to do when memory runs out: keep no activations, take fewer photographs or smaller tiles, give this one up."""

import gc
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from mslique import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
CPU_MESSAGES = ("not enough memory", "can't allocate memory")
"""PyTorch's CPU allocator raises a plain RuntimeError; these are its words."""


class MemoryGuard:
    """Runs work on groups of equal-sized photographs in pieces that fit.

    What has been learned stays: a size that fitted only two at a time is not tried with four again, and tiles stay
    small, since whatever filled the memory is likely to come again.

    Args:
        shrink_tiles: makes the tiles smaller; False when they are the smallest already.
        keep_nothing: has activations computed again instead of kept; False when that is so already.
    """

    def __init__(self, shrink_tiles: Callable[[], bool], keep_nothing: Callable[[], bool] = lambda: False) -> None:
        self.shrink_tiles, self.keep_nothing = shrink_tiles, keep_nothing
        self._most: dict[Hashable, int] = {}
        self._halvings = 0

    def run(
        self, items: Sequence[Item], size: Hashable, work: Callable[[Sequence[Item]], list[Result]]
    ) -> list[Result]:
        """``work`` on all ``items``, which have ``size`` in common; one result an item.

        Raises:
            UserError: not even one item with the smallest tiles fits.
        """
        results: list[Result] = []
        while len(results) < len(items):
            rest = items[len(results) :]
            part = rest[: self._most.get(size, len(rest))]
            done = _attempt(work, part)
            if done is None:
                self._make_room(size, len(part))
            else:
                results += done
        return results

    def note(self, size: Hashable) -> str:
        """What had to be done so far for photographs of this size, or nothing."""
        notes = [f"memory ran out: {self._most[size]} at a time"] if size in self._most else []
        if self._halvings:
            notes.append(f"memory ran out: side of the tiles divided by {2**self._halvings}")
        return "; ".join(notes)

    def _make_room(self, size: Hashable, count: int) -> None:
        gc.collect()  # the exception's frames held the tensors
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


def _attempt(work: Callable[[Sequence[Item]], list[Result]], part: Sequence[Item]) -> list[Result] | None:
    """The results, or None if memory ran out."""
    try:
        return work(part)
    except (RuntimeError, MemoryError) as reason:  # torch.OutOfMemoryError is a RuntimeError
        if not _is_out_of_memory(reason):
            raise
        return None


def _is_out_of_memory(reason: BaseException) -> bool:
    if isinstance(reason, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(reason).lower() for words in CPU_MESSAGES)
