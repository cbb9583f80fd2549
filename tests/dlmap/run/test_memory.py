from collections.abc import Sequence

import pytest
import torch

from dlmap.run.memory import MemoryGuard
from mslique import UserError

KINDS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


class Work:
    """Doubles numbers; memory holds ``room`` of them, or one with tiles of at most ``tile``."""

    def __init__(self, room: int, tile: int = 64, error: Exception = KINDS[0]) -> None:
        self.room, self.tile, self.error, self.calls, self.tiles = room, tile, error, [], 64  # type: ignore[var-annotated]

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(len(items))
        if len(items) > self.room or self.tiles > self.tile:
            raise self.error
        return [2 * item for item in items]

    def shrink(self) -> bool:
        self.tiles //= 2
        return self.tiles >= 16


@pytest.mark.parametrize("error", KINDS, ids=str)
def test_groups_are_halved_until_they_fit(error: Exception) -> None:
    work = Work(room=2, error=error)
    guard = MemoryGuard(work.shrink)
    assert guard.run([1, 2, 3, 4, 5], "size", work) == [2, 4, 6, 8, 10]
    assert work.calls == [5, 3, 2, 2, 1] and work.tiles == 64
    assert guard.note("size") == "memory ran out: 2 at a time" and guard.note("other") == ""


def test_first_of_all_nothing_is_kept() -> None:
    work, keeping = Work(room=2), [True]

    def keep_nothing() -> bool:
        work.room, kept = 4, keeping[0]
        keeping[0] = False
        return kept

    assert MemoryGuard(work.shrink, keep_nothing).run([1, 2, 3, 4], "size", work) == [2, 4, 6, 8]
    assert work.calls == [4, 4]


def test_what_was_learned_is_kept_for_the_size() -> None:
    work = Work(room=2)
    guard = MemoryGuard(work.shrink)
    guard.run([1, 2, 3, 4], "size", work)
    work.calls.clear()
    guard.run([1, 2, 3, 4], "size", work)
    assert work.calls == [2, 2]
    guard.run([1, 2, 3, 4], "other", work)
    assert work.calls[2] == 4


def test_then_tiles_are_halved() -> None:
    work = Work(room=1, tile=16)
    guard = MemoryGuard(work.shrink)
    assert guard.run([1, 2], "size", work) == [2, 4]
    assert work.calls == [2, 1, 1, 1, 1]
    assert guard.note("size").endswith("side of the tiles divided by 4")


def test_then_the_photograph_is_given_up() -> None:
    work = Work(room=0)
    with pytest.raises(UserError, match="memory does not suffice"):
        MemoryGuard(work.shrink).run([1], "size", work)


def test_other_errors_pass() -> None:
    work = Work(room=0, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        MemoryGuard(work.shrink).run([1, 2], "size", work)
    assert work.calls == [2]
