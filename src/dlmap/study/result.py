"""A ranking as values: what was found, and how."""

from dataclasses import dataclass, field

from scipy.special import expit

from mslique import UserError

from .bounds import Bounds
from .groups import Correction
from .screening import Observer
from .tally import Tally

ALPHA = 0.05
"""Intervals cover 1 - ALPHA; contestants whose p-value is below ALPHA are told apart."""


@dataclass(frozen=True)
class Options:
    """How to rank.

    Args:
        resamples: of the bootstrap, of observers and of photographs each.
        seed: of its random numbers.
        correction: of the p-values for the number of pairs.
        keep_all: exclude nobody; what screening would have done is still told.
        bounds: of the screening.
    """

    resamples: int = 500
    seed: int = 0
    correction: Correction = "holm"
    keep_all: bool = False
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise UserError(f"--resamples {self.resamples} is too few for an interval: give 100 or more, such as 500")


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """One contestant: score in logits (0 on average), letters of its groups, how often it was shown and chosen."""

    rank: int
    contestant: str
    score: Estimate
    groups: str
    comparisons: int
    wins: int


@dataclass(frozen=True)
class Pair:
    """The test of two contestants: ``better`` has the higher score. ``p`` is corrected for the number of pairs."""

    better: str
    worse: str
    difference: Estimate
    error: float
    t: float
    p_alone: float
    p: float

    @property
    def distinct(self) -> bool:
        return self.p < ALPHA


@dataclass(frozen=True)
class Ranking:
    """The result.

    Args:
        standings: in rank order, best first.
        pairs: all of them, in rank order of the better, then of the worse.
        runs: first and last place (from 0) of every group of contestants that cannot be told apart.
        observers: all of them, excluded or not.
        tally: the answers that count.
        side: how much observers lean to the left, in logits.
        freedom: degrees of freedom of the tests.
        separated: groups of which one won every comparison with another, if there are such.
        options: with which it was made.
    """

    standings: list[Standing]
    pairs: list[Pair]
    runs: list[tuple[int, int]]
    observers: list[Observer]
    tally: Tally
    side: Estimate
    freedom: int
    separated: list[str]
    options: Options

    @property
    def side_chance(self) -> Estimate:
        """The same as the chance that the left of two equal pictures is chosen."""
        return Estimate(*(float(expit(v)) for v in (self.side.value, self.side.low, self.side.high)))

    @property
    def excluded(self) -> list[Observer]:
        return [] if self.options.keep_all else [observer for observer in self.observers if observer.reasons]
