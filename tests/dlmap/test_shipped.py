"""The prior that the repository ships."""

from pathlib import Path

import pytest
import torch
from toys import photos

from dlmap import DiffusionPrior

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("num_steps", [20, 50])
def test_the_round_trip_is_exact(num_steps: int) -> None:
    prior = DiffusionPrior.from_pretrained(str(DATA / "ldm-tiny"), num_steps=num_steps)
    latents = prior.encode(photos(1, 64, 64))
    with torch.no_grad():
        assert (prior.sample(prior.invert_latents(latents)) - latents[:, None]).abs().max() <= 1e-10


def test_it_predicts_noise_on_photographs() -> None:
    """A quarter of the noise's variance is left at most, at a level where signal and noise are alike."""
    prior = DiffusionPrior.from_pretrained(str(DATA / "ldm-tiny"), num_steps=20)
    i = min(range(1, 21), key=lambda k: abs(prior.schedule.alphas[k] - prior.schedule.sigmas[k]))
    clean = prior.encode(photos(1, 96, 96)).double()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        predicted = prior.denoiser(prior.schedule.alphas[i] * clean + prior.schedule.sigmas[i] * noise, i)
    assert (predicted - noise).square().mean() < 0.25


def test_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in DATA.rglob("*.safetensors")) < 40_000_000
