"""The small interface that the samplers share: each is a list of moves on a pair of latent sequences.

A move changes one sequence of the pair by an amount that the other one decides,

    moved <- own * moved + other * other sequence + noise * u(other sequence, i),

so that it can be undone whatever u is: the network's noise, or the velocity of a flow (:mod:`dlmap.schedule.grid`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Move:
    """One move of sequence ``moved`` (0 or 1); ``own`` is not 0. Without a grid ``index`` it calls no network."""

    moved: int
    own: float
    other: float = 0.0
    noise: float = 0.0
    index: int | None = None


class Solver(Protocol):
    """A sampler on a schedule.

    Its noise state is a pair that the same N(0, I) sample, taken twice, starts; both sequences of an inversion start
    at the clean latents.

    Attributes:
        moves: from noise to data.
        start: further moves that only an inversion undoes, before all others.
        images: how many of the pair that ``moves`` end with, counted from the first, are images.
    """

    @property
    def moves(self) -> Sequence[Move]: ...

    @property
    def start(self) -> Sequence[Move]: ...

    @property
    def images(self) -> int: ...
