"""How long does scoring take, and what memory, against pyiqa's LIQE? Prints a Markdown table.

    python benchmarks/scoring.py

Both have a ViT-B/32 at the same random weights and look at 15 views of 224x224, on the CPU in float32, without
gradients. Images are in memory; decoding is not counted. Times are medians of REPEATS, the two models taking turns in
one process. Memory is what scoring adds at its peak to a process that holds the model and the image.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from memory import forget_peak, resident
from torch import Tensor

from mslique import MSLIQE

SIZES = ((512, 512), (3024, 4032))
REPEATS = 9
MODELS = ("MS-LIQE", "pyiqa's LIQE")


def main() -> None:
    if len(sys.argv) == 4:
        print(added_memory(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
        return
    times = {size: durations(size) for size in SIZES}
    print(
        "| image | model | seconds | of pyiqa's | of its own at 512x512 | memory added, MB |\n|---|---|---|---|---|---|"
    )
    for height, width in SIZES:
        for name in MODELS:
            seconds = times[height, width][name]
            peer, small = seconds / times[height, width][MODELS[1]], seconds / times[SIZES[0]][name]
            memory = subprocess.run(
                [sys.executable, __file__, name, str(height), str(width)], capture_output=True, text=True, check=True
            ).stdout.split()[-1]
            print(f"| {width}x{height} | {name} | {seconds:.2f} | {peer:.2f} | {small:.2f} | {memory} |")


def build(name: str) -> Callable[[Tensor], Tensor]:
    torch.manual_seed(0)
    model = MSLIQE().eval()
    if name == MODELS[0]:
        return model
    from pyiqa.archs import clip_model, liqe_arch

    peer = clip_model.build_model(model.clip.state_dict()).float()
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.object(liqe_arch, "load", lambda *_: peer),
        patch.object(liqe_arch, "DEFAULT_CACHE_DIR", cache),
    ):
        return liqe_arch.LIQE(pretrained=False).eval()


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def durations(size: tuple[int, int]) -> dict[str, float]:
    models = {name: build(name) for name in MODELS}
    picture = image(*size)
    found: dict[str, list[float]] = {name: [] for name in MODELS}
    for repeat in range(REPEATS + 1):
        for name, model in models.items():
            start = time.perf_counter()
            model(picture)
            if repeat:  # the first one warms up
                found[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in found.items()}


@torch.inference_mode()
def added_memory(name: str, height: int, width: int) -> int:
    """In MB of 10^6 bytes."""
    model, picture = build(name), image(height, width)
    forget_peak()
    before = resident("VmRSS")
    model(picture)
    return round((resident("VmHWM") - before) / 1e6)


if __name__ == "__main__":
    main()
