"""The posterior mean at a noise level: against a closed form, the network called by hand, and autograd."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import skimage.data
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle
from toys import SCHEDULE, photos, prior, stable_diffusion, unet, vae

from dlmap import DiffusionPrior, PriorOptions
from dlmap.codec import Codec, Identity
from dlmap.networks.network import Network
from dlmap.networks.unet import UNet
from mslique import UserError

STD = 0.3
DATA = Path(__file__).parents[2] / "data"


class GaussianNetwork(nn.Module):
    """What a perfect network says of data whose numbers are independent N(0, STD^2), in any prediction type."""

    def __init__(self, prediction: str) -> None:
        super().__init__()
        self.prediction = prediction
        self.config = SimpleNamespace(in_channels=3, out_channels=3)
        self.register_buffer("abar", DDIMScheduler(**SCHEDULE).alphas_cumprod)

    def forward(self, x: Tensor, timestep: Tensor) -> Any:
        abar = self.abar[timestep.round().long()]
        alpha, sigma = abar.sqrt(), (1 - abar).sqrt()
        noise = sigma * x / (abar * STD**2 + 1 - abar)
        clean = (x - sigma * noise) / alpha
        outputs = {"epsilon": noise, "sample": clean, "v_prediction": alpha * noise - sigma * clean}
        return SimpleNamespace(sample=outputs[self.prediction])


class Known(UNet):
    """A network of no diffusers class."""

    cell = 2

    def __init__(self, model: nn.Module) -> None:
        Network.__init__(self, model)


@pytest.mark.parametrize("timestep", [0, 40, 400])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_of_gaussian_data_it_is_the_wiener_filter(prediction: str, timestep: int) -> None:
    scheduler = DDIMScheduler(prediction_type=prediction, **SCHEDULE)
    model = DiffusionPrior(Known(GaussianNetwork(prediction)), Identity(), scheduler, PriorOptions(num_steps=4))
    level, images = model.schedule.levels[timestep], photos(2, 30, 37)
    shrunk = STD**2 / (STD**2 + level**2) * (2 * images - 1)
    torch.testing.assert_close(model.denoise(images, level), shrunk / 2 + 0.5, rtol=0, atol=1e-5)


@torch.no_grad()
def test_patches_are_denoised_on_shifted_grids_as_by_hand() -> None:
    model, images, level = prior(), photos(1, 32, 32), 0.2
    at, clean = model.schedule.at_level(level), []
    x = at.alpha * (2 * images - 1)
    for k in (0, 1):  # patches of 2 pixels; the margin is that of two scales
        shifted = pixel_unshuffle(pad(x, (k, 4 - k, k, 4 - k), mode="reflect"), 2)
        v = pixel_shuffle(model.denoiser.network.model(shifted, torch.tensor(at.timestep)).sample, 2)[
            ..., k : k + 32, k : k + 32
        ]
        clean.append((at.alpha * x - at.sigma * v).clamp(-1, 1))
    by_hand = (sum(clean) / 2) / 2 + 0.5
    assert ((by_hand > 0.01) & (by_hand < 0.99)).all()  # else the clamps of both would hide a difference
    torch.testing.assert_close(model.denoise(images, level), by_hand, rtol=0, atol=1e-5)


def latent_prior(**options: Any) -> DiffusionPrior:
    network = unet(1)
    network = UNet2DModel.from_config({**network.config, "in_channels": 4, "out_channels": 4})
    return DiffusionPrior(network, Codec(vae()), DDIMScheduler(**SCHEDULE), PriorOptions(num_steps=3, **options))


@torch.no_grad()
def test_of_a_latent_prior_nothing_is_lost_but_what_is_denoised() -> None:
    model, images = latent_prior(), photos(2, 32, 32)
    latents = model.encode(images)
    lost = images - model.decode(latents)
    assert lost.abs().max() > 0.1
    clean = model.denoiser.posterior_mean(latents, 0.1)
    expected = (model.decode(clean) + lost).clamp(0, 1)
    torch.testing.assert_close(model.denoise(images, 0.1), expected, rtol=0, atol=1e-6)
    assert model.denoise(photos(1, 21, 19), 0.1).shape == (1, 3, 21, 19)


@torch.no_grad()
def test_tiles_are_the_whole_but_for_the_blend() -> None:
    """The prior that ships, on a photograph with noise."""
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None, :, 64:192, 128:320] / 255
    noisy = (photo + 0.05 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    whole, tiled = (DiffusionPrior.from_pretrained(str(DATA / "ldm-tiny"), tile=tile) for tile in (None, 96))
    calls: list[torch.Size] = []
    tiled.denoiser.network.model.register_forward_hook(lambda _, args, __: calls.append(args[0].shape))
    of_whole, of_tiles = whole.denoise(noisy, 0.1), tiled.denoise(noisy, 0.1)
    assert len(calls) == 2 * 2 * 3  # shifts, rows and columns of tiles
    assert (of_tiles - of_whole).square().mean() < 0.01 * (of_whole - noisy).square().mean()
    assert (of_whole - photo).square().mean() < 0.5 * (noisy - photo).square().mean()


def test_a_whole_that_one_tile_holds_is_not_cut() -> None:
    images = photos(1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(prior(tile=64).denoise(images, 0.1), prior(tile=None).denoise(images, 0.1))


@pytest.mark.parametrize("tile", [None, 16])
def test_it_is_differentiable(tile: int | None) -> None:
    """The slope along a random direction, against central differences."""
    model = prior(tile=tile)
    model.denoiser.to(torch.float64)
    model.denoiser.dtype = torch.float64
    x, direction, weights = (
        torch.randn(1, 3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(k)) for k in range(3)
    )

    def value(x: Tensor) -> Tensor:
        return (weights * model.denoiser.posterior_mean(x, 0.2)).sum()

    (gradient,) = torch.autograd.grad(value(x.requires_grad_()), x)
    with torch.no_grad():
        slope = (value(x + 1e-4 * direction) - value(x - 1e-4 * direction)) / 2e-4
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5)
    images = photos(1).requires_grad_()
    model = prior(tile=tile)
    model.denoise(images, 0.2).sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0


def test_a_level_the_prior_was_not_trained_at_is_refused() -> None:
    with pytest.raises(UserError, match=r"noise levels from 0\.02917 to 14\.61, got 0\.01"):
        prior().denoise(photos(1), 0.01)


@torch.no_grad()
def test_stable_diffusion_denoises_its_latents_under_its_prompt(tmp_path: Path) -> None:
    stable_diffusion(tmp_path).save_pretrained(tmp_path / "sd")
    model, images, level = DiffusionPrior.from_pretrained(str(tmp_path / "sd"), num_steps=2), photos(1, 32, 32), 0.3
    latents, at = model.encode(images), model.denoiser.schedule.at_level(level)
    noise = model.denoiser.network.model(
        at.alpha * latents, torch.tensor(at.timestep), **model.denoiser.condition.tensors()
    ).sample
    clean = model.decode(latents - level * noise)
    expected = (clean + images - model.decode(latents)).clamp(0, 1)
    torch.testing.assert_close(model.denoise(images, level), expected, rtol=0, atol=1e-5)
