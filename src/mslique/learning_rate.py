"""The learning rate over the steps of a training: a linear rise, then a cosine."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .io.errors import UserError, at_least

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def training_steps(trainer: "Trainer") -> int:
    """The steps of the whole training, along which the learning rate falls.

    Raises:
        UserError: it has no end or no step.
    """
    at_least(1, accumulate_grad_batches=trainer.accumulate_grad_batches)
    total = trainer.estimated_stepping_batches if trainer.max_epochs and trainer.max_steps else 0
    if not 0 < total < math.inf or math.isinf(trainer.num_training_batches):
        raise UserError(
            f"the training has {total} steps, and the learning rate falls along all of them: give --trainer.max_epochs"
            " of 1 or more (--trainer.max_steps and --trainer.max_time can end it earlier)"
        )
    return int(total)


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
