"""Where the random numbers of a training come from: generators that depend on a few numbers alone.

The state of torch's global generator depends on all that was drawn before. It differs after a restart, and it is the
same in all processes.
"""

import os
from typing import TYPE_CHECKING

import torch
from numpy.random import SeedSequence

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule


def generator_of(*numbers: int) -> torch.Generator:
    """A generator on the CPU that depends on these numbers, each 0 or more, alone; move what it draws."""
    return torch.Generator().manual_seed(int(SeedSequence(numbers).generate_state(1)[0]))


def training_generator(module: "LightningModule", batch: int) -> torch.Generator:
    """The generator of a training batch.

    It depends on the seed (``seed_everything``; 0 without one), the process, the epoch and the batch alone, also
    after a restart. The batches of one step of the optimiser have different ones.

    Args:
        batch: its number in the epoch.
    """
    seed = int(os.environ.get("PL_GLOBAL_SEED", 0))  # where Lightning's seed_everything keeps it
    return generator_of(seed, module.global_rank, module.current_epoch, batch)
