import gc
import os
import platform
import subprocess
import sys
import weakref
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from dlmap.activations import _limit, free_bytes, kept_bytes


def test_what_a_layer_keeps_is_counted_without_its_weights() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Sigmoid()).requires_grad_(False)
    x = torch.rand(2, 3, 10, 10)
    # the convolution keeps its input, the sigmoid its result
    assert kept_bytes(lambda x, _: layer(x), layer, x, 1) == 4 * (2 * 3 * 10 * 10 + 2 * 5 * 8 * 8)
    square = kept_bytes(lambda x, _: (x * x).square(), layer, x, 1)
    assert square == 2 * 4 * x.numel()  # x once, though it is used twice, and x * x


def test_counting_leaves_nothing_in_memory() -> None:
    layer, x, given = nn.Sigmoid(), torch.rand(2, 3), []

    def call(x: torch.Tensor, _: int) -> torch.Tensor:
        result = layer(x)  # kept by the step that made it
        given.append(weakref.ref(result))
        return result

    assert kept_bytes(call, layer, x, 1) == 4 * x.numel()
    gc.collect()
    assert given[0]() is None


PEAKS = """
from dlmap import prior as priors
from dlmap.activations import SHARE, kept_bytes
from memory import forget_peak, resident
from toys import photos, prior

model = prior(8, patch=1)
noise = model.invert(photos(1, 192, 192)).requires_grad_()
budget = 8 * kept_bytes(model.denoiser, model.denoiser, noise[:, 0], 1)
priors.free_bytes = lambda device: budget / SHARE
for model.gradient in ("checkpoint", "checkpoint", "auto", "full"):
    forget_peak()
    model.generate(noise).sum().backward()
    print(resident("VmHWM"))
print(budget)
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
@pytest.mark.slow
def test_auto_fills_its_budget_and_never_more() -> None:
    """In a process of its own, where nothing else has left memory that could be used again."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(map(str, [root / "src", root / "benchmarks", Path(__file__).parent]))
    command = [sys.executable, "-c", PEAKS]
    result = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    _, checkpoint, auto, full, budget = map(int, result.stdout.split())
    assert checkpoint + 0.5 * budget < auto <= checkpoint + budget < full


def test_free_memory_is_that_of_the_machine() -> None:
    assert 0 < free_bytes(torch.device("cpu")) <= psutil.virtual_memory().total


def test_the_limit_of_a_control_group(tmp_path: Path) -> None:
    assert _limit(tmp_path) == 2**63
    (tmp_path / "memory.max").write_text("max\n")
    assert _limit(tmp_path) == 2**63
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert _limit(tmp_path) == 450
    (tmp_path / "memory.current").write_text("1300\n")
    assert _limit(tmp_path) == 0
