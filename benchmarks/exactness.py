"""How exact are inversion and gradient, and what do they cost in memory? Prints a Markdown table.

    python benchmarks/exactness.py [PRIOR]

PRIOR is a diffusers folder (default data/ldm-tiny). Round trip: largest difference between latents and
f(f^-1(latents)). Gradient: of a sum of squares through all steps, against autograd on the whole graph. Memory: peak
resident memory of a process that does one gradient, and what it added to the process with the model loaded.
"""

import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from dlmap import DiffusionPrior
from dlmap.solvers import generate

SIDE = 128


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "--memory":
        measure_memory(sys.argv[2], int(sys.argv[3]))
        return
    path = sys.argv[1] if len(sys.argv) > 1 else "data/ldm-tiny"
    print("| | steps | value |\n|---|---|---|")
    for precision in ("float32", "bf16"):
        for steps in (20, 50):
            print(
                f"| round trip, {precision} network, max error | {steps} | {round_trip(path, steps, precision):.2g} |"
            )
    print(f"| gradient against plain autograd, relative error | 20 | {gradient_error(path, 20):.2g} |")
    for steps in (5, 50):
        command = [sys.executable, __file__, "--memory", path, str(steps)]
        peak, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"| peak resident memory of one gradient, MB (added to the loaded model) | {steps} | {peak} ({added}) |")


def images() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def round_trip(path: str, steps: int, precision: str) -> float:
    prior = DiffusionPrior.from_pretrained(path, num_steps=steps, precision=precision)
    with torch.no_grad():
        latents = prior.encode(images())
        return float((prior.sample(prior.invert_latents(latents)) - latents.double()[:, None]).abs().max())


def gradient(prior: DiffusionPrior, noise: Tensor) -> Tensor:
    noise = noise.detach().requires_grad_()
    return torch.autograd.grad(prior.sample(noise).square().sum(), noise)[0]


def gradient_error(path: str, steps: int) -> float:
    prior = DiffusionPrior.from_pretrained(path, num_steps=steps)
    noise = prior.invert(images())
    recomputed = gradient(prior, noise)
    with patch("dlmap.prior.generate_reversibly", generate):
        plain = gradient(prior, noise)
    return float((recomputed - plain).norm() / plain.norm())


def measure_memory(path: str, steps: int) -> None:
    prior = DiffusionPrior.from_pretrained(path, num_steps=steps)
    noise = torch.randn(1, 2, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient(prior, noise[..., :32, :32])  # what the first call of any size sets up is not counted
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
    before = resident("VmRSS")
    gradient(prior, noise)
    peak = resident("VmHWM")
    print(peak, peak - before)


def resident(entry: str) -> int:
    """An entry of /proc/self/status, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[entry].split()[0]) // 1024


if __name__ == "__main__":
    main()
