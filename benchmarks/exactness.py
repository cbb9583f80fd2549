"""How exact are inversion and gradient of every solver, and what do they cost? Prints a Markdown table.

    python benchmarks/exactness.py [PRIOR [SIDE]]

PRIOR is a diffusers folder (default data/ldm-tiny), SIDE that of the square image (default 128). Round trip: largest
difference between latents and f(f^-1(latents)). Picture: root-mean-square change, in 8-bit levels, when the noise moves
by next to nothing: what the rounding of the network puts into every step of an ascent. Gradient: of a sum of squares
through all steps, against autograd on the whole graph. Seconds: of one inversion, and of one gradient. Memory: peak
resident memory of a process that does one gradient, and what it added to the process with the model loaded. Tiles: the
same with the image cut into tiles of half its side.
"""

import subprocess
import sys
import time
from typing import Any

import torch
from memory import forget_peak, resident
from torch import Tensor

from dlmap import DiffusionPrior
from dlmap.solvers import SOLVERS, generate


def main() -> None:
    if len(sys.argv) == 6 and sys.argv[1] == "--memory":
        measure_memory(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
        return
    path = sys.argv[1] if len(sys.argv) > 1 else "data/ldm-tiny"
    side = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    print(f"| | steps | {' | '.join(SOLVERS)} |\n|---|---|{'---|' * len(SOLVERS)}")
    for steps in (20, 50):
        for precision in ("float32", "bf16"):
            row(f"round trip, {precision} network, max error", steps, round_trip, path, side, precision=precision)
    for precision in ("float32", "bf16"):
        row(f"picture, noise moved by 1e-6, {precision} network, levels", 20, jitter, path, side, precision=precision)
    row("round trip, float32 network, tiles", 20, round_trip, path, side, tile=side // 2)
    row("gradient against plain autograd, relative error", 20, gradient_error, path, side)
    row("the same, tiles", 20, gradient_error, path, side, tile=side // 2)
    row("seconds, inversion / gradient", 20, seconds, path, side)
    for steps in (5, 50):
        row("peak resident memory of one gradient, MB (added to the loaded model)", steps, memory, path, side)


def row(label: str, steps: int, measure: Any, path: str, side: int, **options: Any) -> None:
    values = [measure(path, side, solver=name, num_steps=steps, spacing="trailing", **options) for name in SOLVERS]
    cells = [value if isinstance(value, str) else f"{value:.2g}" for value in values]
    print(f"| {label} | {steps} | {' | '.join(cells)} |", flush=True)


def image(side: int) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def round_trip(path: str, side: int, **options: Any) -> float:
    prior = DiffusionPrior.from_pretrained(path, **options)
    with torch.no_grad():
        latents = prior.encode(image(side))
        return float((prior.sample(prior.invert_latents(latents)) - latents.double()[:, None]).abs().max())


def jitter(path: str, side: int, **options: Any) -> float:
    prior = DiffusionPrior.from_pretrained(path, **options)
    with torch.no_grad():
        noise = prior.invert(image(side))
        pictures = prior.generate(noise + 1e-6 * torch.randn(noise.shape, generator=torch.Generator().manual_seed(0)))
        return 255 * float((pictures - image(side)).square().mean().sqrt())


def gradient(prior: DiffusionPrior, noise: Tensor, plainly: bool = False) -> Tensor:
    noise = noise.detach().requires_grad_()
    if plainly:
        latents = generate(noise, prior.solver.moves, prior.denoiser)[:, : prior.solver.images]
    else:
        latents = prior.sample(noise)
    return torch.autograd.grad(latents.square().sum(), noise)[0]


def gradient_error(path: str, side: int, **options: Any) -> float:
    prior = DiffusionPrior.from_pretrained(path, **options)
    noise = prior.invert(image(side))
    plain = gradient(prior, noise, plainly=True)
    return float((gradient(prior, noise) - plain).norm() / plain.norm())


def seconds(path: str, side: int, **options: Any) -> str:
    prior = DiffusionPrior.from_pretrained(path, **options)
    start = time.perf_counter()
    noise = prior.invert(image(side))
    middle = time.perf_counter()
    gradient(prior, noise)
    return f"{middle - start:.1f} / {time.perf_counter() - middle:.1f}"


def memory(path: str, side: int, solver: str, num_steps: int, **_: Any) -> str:
    command = [sys.executable, __file__, "--memory", path, str(side), solver, str(num_steps)]
    peak, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return f"{peak} ({added})"


def measure_memory(path: str, side: int, solver: str, steps: int) -> None:
    prior = DiffusionPrior.from_pretrained(path, solver=solver, num_steps=steps, spacing="trailing")
    noise = prior.invert(image(side))  # what the first call of any size sets up is not counted
    forget_peak()
    before = resident("VmRSS") // 1024**2
    gradient(prior, noise)
    peak = resident("VmHWM") // 1024**2
    print(peak, peak - before)


if __name__ == "__main__":
    main()
