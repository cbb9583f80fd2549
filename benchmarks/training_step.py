"""A training step of data/mslique-tiny (64 crops of 96 pixels) on a CPU, in three ways that take turns.

    python benchmarks/training_step.py

As it is; with KEEP in the environment, so that Linux's allocator keeps memory and does not ask for it at every step;
and in bf16 with KEEP. Every turn is a process of its own. Prints the medians over the turns of their median steps, and
ratios.
"""

import os
import subprocess
import sys
import time
from statistics import median

import torch
from torch import nn

from mslique import MSLIQE

KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
TURNS, WARM, TIMED = 3, 4, 5
STEP, BF16 = "step", "bf16"


def main() -> None:
    if sys.argv[1:2] == [STEP]:
        sys.stdout.write(f"{seconds_of_a_step(BF16 in sys.argv)}\n")
        return
    turns = [(timed({}), timed(KEEP), timed(KEEP, BF16)) for _ in range(TURNS)]
    plain, kept, bf16 = (median(column) for column in zip(*turns, strict=True))
    sys.stdout.write(f"a training step: {plain:.2f} s, with memory kept {kept:.2f} s, ratio {plain / kept:.2f};")
    sys.stdout.write(f" and in bf16 {bf16:.2f} s, ratio {bf16 / kept:.2f}\n")


def timed(variables: dict[str, str], *options: str) -> float:
    """Seconds of a step in a process with these environment variables."""
    command = [sys.executable, __file__, STEP, *options]
    return float(subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.PIPE).stdout)


def seconds_of_a_step(bf16: bool) -> float:
    model = MSLIQE.from_pretrained("data/mslique-tiny").train()
    optimizer, crops = torch.optim.AdamW(model.parameters()), list(torch.rand(64, 1, 3, 96, 96))
    seconds = []
    for _ in range(WARM + TIMED):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = model.score(model.probabilities_of_views(crops))
        nn.functional.mse_loss(scores, torch.full((64,), 3.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return median(seconds[WARM:])


if __name__ == "__main__":
    main()
