"""Options of the commands with their defaults, limits and help texts; imports nothing heavy."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from mslique import UserError

Correction = Literal["holm", "none"]


def _option(default: Any, text: str) -> Any:
    """A field that is also an option of a command; ``text`` is its help."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Plan:
    """The length of a session that begins from now on; raises a UserError if a number is out of range."""

    trials: int = _option(120, "pairs that an observer judges, at most as many as there are")
    catches: int = _option(8, "trials with a plainly worse picture, mixed in; they show who is careless")
    practice: int = _option(3, "trials before them that do not count")
    break_every: int = _option(40, "trials between two breaks; 0: no break")

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("catches", 0), ("practice", 0), ("break_every", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{_flag(name)} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Bounds:
    """The bounds of :func:`~.screening.screen`; raises a UserError if a bound is out of range."""

    fewest: int = _option(10, "answers to pairs that an observer must have given")
    attentive: float = _option(0.95, "share of catch trials that an attentive observer gets right")
    one_sided: float = _option(0.9, "largest share of answers on one side")
    fast: float = _option(0.4, "seconds; a faster answer cannot come from comparing two pictures")
    fast_share: float = _option(0.3, "largest share of answers that are so fast")

    def __post_init__(self) -> None:
        for name in ("attentive", "one_sided", "fast_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{_flag(name)} is a share between 0 and 1, got {getattr(self, name):g}")
        for name in ("fewest", "fast"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{_flag(name)} must be a number from 0, got {getattr(self, name):g}")


@dataclass(frozen=True)
class Options:
    """Options of :func:`~.ranking.rank`; raises a UserError if there are too few resamples or the seed is negative.

    Args:
        correction: of the p-values for the number of pairs.
        keep_all: exclude no observer; the reasons are still reported.
    """

    resamples: int = _option(500, "resamples of the bootstrap, of each kind")
    seed: int = _option(0, "seed of the bootstrap")
    correction: Correction = "holm"
    keep_all: bool = False
    bounds: Bounds = Bounds()

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise UserError(f"--resamples {self.resamples} is too few for an interval: give 100 or more, such as 500")
        if self.seed < 0:
            raise UserError(f"--seed must be at least 0, got {self.seed}")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
