"""What Linux's allocator costs on a CPU: memory returned and asked for again, or kept.

    python benchmarks/allocator.py

Times a training step of the quality model of configs/mslique/tiny.yaml (64 crops of 96 pixels) and an iteration of
configs/dlmap/tiny.yaml (one image of 128 pixels), in processes of their own that take turns: without and with KEEP in
the environment. Prints the medians and their ratio.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from figure1 import load
from torch import nn

from dlmap import enhance
from mslique import MSLIQE

KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
TURNS, WARM, TIMED = 3, 5, 6


def training_step() -> Callable[[], object]:
    model = MSLIQE.from_pretrained("data/mslique-tiny").train()
    optimizer, crops = torch.optim.AdamW(model.parameters()), list(torch.rand(64, 1, 3, 96, 96))

    def step() -> None:
        nn.functional.mse_loss(model.score(model.probabilities_of_views(crops)), torch.full((64,), 3.0)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def iteration() -> Callable[[], object]:
    model, image = load(Path("configs/dlmap/tiny.yaml")), torch.rand(1, 3, 128, 128)
    ascent = replace(model.ascent, iterations=1, target=float("inf"))
    return lambda: enhance(image, model.prior, model.objective, ascent)


WORK = {"training step": training_step, "inversion and one iteration": iteration}


def main() -> None:
    if len(sys.argv) > 1:
        seconds, work = [], WORK[sys.argv[1]]()
        for _ in range(WARM + TIMED):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        sys.stdout.write(f"{median(seconds[WARM:])}\n")
        return
    sys.stdout.write("| | as it is, s | kept, s | ratio |\n|---|---|---|---|\n")
    for name in WORK:
        turns = [(timed(name, {}), timed(name, KEEP)) for _ in range(TURNS)]
        plain, kept = (median(column) for column in zip(*turns, strict=True))
        sys.stdout.write(f"| {name} | {plain:.2f} | {kept:.2f} | {plain / kept:.2f} |\n")


def timed(name: str, variables: dict[str, str]) -> float:
    """Seconds that a unit of this work takes in a process with these environment variables."""
    command = [sys.executable, __file__, name]
    return float(subprocess.run(command, env=os.environ | variables, check=True, capture_output=True).stdout)


if __name__ == "__main__":
    main()
