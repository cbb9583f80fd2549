"""The learning rate over the steps of a training: a linear rise, then a cosine."""

import math
from collections.abc import Callable


def warm_cosine(total: int, warmup: int, epoch: int, cosine_epochs: int | None) -> Callable[[int], float]:
    """The factor of the learning rate, in [0, 1], of every step.

    Args:
        total: steps of the training.
        warmup: steps of the rise from 0.
        epoch: steps of an epoch.
        cosine_epochs: half a period of the cosine, which has one value an epoch; None: one fall to 0, step by step.
    """

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / (warmup + 1))
        passed = step / total if cosine_epochs is None else step // epoch / cosine_epochs
        return rise * (1 + math.cos(math.pi * passed)) / 2

    return factor
