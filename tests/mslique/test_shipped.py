"""The models that the repository ships."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from torch import Tensor

from mslique import DEGRADATIONS, MSLIQE
from mslique.data.degradations.mixture import GLOBAL_CHANGES

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module", params=["mslique-tiny", "mslique-witness"])
def folder(request: pytest.FixtureRequest) -> Path:
    return DATA / request.param


@pytest.mark.parametrize("name", sorted(set(DEGRADATIONS) - set(GLOBAL_CHANGES)))  # blind to those, as the cards say
def test_clean_photographs_score_above_degraded_ones(name: str, folder: Path, photo: Callable[..., Tensor]) -> None:
    clean = torch.stack([photo(n, side=256) for n in ("astronaut", "chelsea", "coffee", "rocket")])
    pixels = [DEGRADATIONS[name](image.permute(1, 2, 0).numpy(), 0.8, default_rng(0)) for image in clean]
    degraded = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    model = MSLIQE.from_pretrained(folder)
    with torch.no_grad():
        loss = model(clean) - model(degraded)
    assert loss.mean() > 0.1, loss


def test_the_files_are_small_and_the_card_is_complete(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_size < (12_000_000 if folder.name == "mslique-tiny" else 9_000_000)
    card = (folder / "README.md").read_text()
    for expected in ("commons.wikimedia.org", "lightning fit", "Seed", "SRCC", "licence"):
        assert expected in card
