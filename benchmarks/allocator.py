"""What Linux's allocator costs training on a CPU: memory returned and asked for again at every step, or kept.

    python benchmarks/allocator.py

Times a training step of data/mslique-tiny (64 crops of 96 pixels) in processes of their own that take turns: without
and with KEEP in the environment. Prints the medians over the processes of their median steps, and the ratio.
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
STEP = "step"


def main() -> None:
    if sys.argv[1:] == [STEP]:
        sys.stdout.write(f"{seconds_of_a_step()}\n")
        return
    turns = [(timed({}), timed(KEEP)) for _ in range(TURNS)]
    plain, kept = (median(column) for column in zip(*turns, strict=True))
    sys.stdout.write(f"a training step: {plain:.2f} s, with memory kept {kept:.2f} s, ratio {plain / kept:.2f}\n")


def timed(variables: dict[str, str]) -> float:
    """Seconds of a step in a process with these environment variables."""
    command = [sys.executable, __file__, STEP]
    return float(subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.PIPE).stdout)


def seconds_of_a_step() -> float:
    model = MSLIQE.from_pretrained("data/mslique-tiny").train()
    optimizer, crops = torch.optim.AdamW(model.parameters()), list(torch.rand(64, 1, 3, 96, 96))
    seconds = []
    for _ in range(WARM + TIMED):
        start = time.perf_counter()
        nn.functional.mse_loss(model.score(model.probabilities_of_views(crops)), torch.full((64,), 3.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return median(seconds[WARM:])


if __name__ == "__main__":
    main()
