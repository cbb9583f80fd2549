"""The prior that the repository ships."""

from pathlib import Path

import pytest
import skimage.data
import torch
from toys import photos

from dlmap import DiffusionPrior, cli
from dlmap.run.pictures import save_png
from mslique import read_image

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("num_steps", [20, pytest.param(50, marks=pytest.mark.slow)])
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


def test_the_default_denoises_and_leaves_an_undamaged_photograph_alone(tmp_path: Path) -> None:
    """``dlmap enhance`` as it is: noise on a face goes, and the face without noise is not touched."""
    clean = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[:, 30:190, 140:300] / 255
    noise = 0.08 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = (clean + noise).clamp(0, 1)
    save_png(clean, tmp_path / "in" / "clean.png")
    save_png(noisy, tmp_path / "in" / "noisy.png")
    assert cli.main(["enhance", str(tmp_path / "in"), str(tmp_path / "out"), "--trainer.accelerator=cpu"]) == 0
    after = read_image(tmp_path / "out" / "noisy.png")
    assert (after - clean).square().mean() < 0.4 * (noisy - clean).square().mean()
    assert torch.equal(read_image(tmp_path / "out" / "clean.png"), clean)


def test_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in DATA.rglob("*.safetensors")) < 40_000_000


def test_tiles_show_no_seam_and_give_the_same_picture_up_to_the_blend() -> None:
    """A photograph, its noise displaced: tiled against untiled, and across the borders of tiles against elsewhere."""
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None, :, 64:192, 128:320] / 255
    pictures, displacement = [], 0.1 * torch.randn(1, 1, *photo.shape[1:], generator=torch.Generator().manual_seed(0))
    for tile in (None, 96):
        prior = DiffusionPrior.from_pretrained(
            str(DATA / "ldm-tiny"), solver="obelm", num_steps=4, spacing="trailing", tile=tile
        )
        with torch.no_grad():
            pictures.append(prior.generate(prior.invert(photo) + displacement))
    whole, tiled = pictures
    difference, moved = tiled - whole, whole - photo
    assert difference.square().mean() < 0.05 * moved.square().mean()
    for axis, borders in ((-1, (48, 96, 144)), (-2, (32, 96))):  # where a tile begins or ends
        changes = difference.transpose(axis, -1).diff(dim=-1).abs().mean(dim=(0, 1, 2))
        assert torch.stack([changes[k - 1] for k in borders]).mean() < 1.3 * changes.mean()
