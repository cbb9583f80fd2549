import pytest
import torch
from diffusers import DDIMScheduler
from toys import SCHEDULE, schedule, unet

from dlmap.denoiser import Denoiser, patch_size
from dlmap.schedule import Schedule
from mslique import UserError


def grid(prediction: str) -> Schedule:
    return schedule(8, prediction_type=prediction)


def latents(channels: int = 3, side: int = 8) -> torch.Tensor:
    return torch.randn(2, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_every_prediction_type_tells_the_same_noise() -> None:
    """A network that returns 0 says: no noise, v = 0, or clean = 0; each has its own noise, computed by hand."""
    network = unet(1)
    network.conv_out.weight.data.zero_()
    network.conv_out.bias.data.zero_()
    x, i = latents(), 5
    alpha, sigma = grid("epsilon").alphas[i], grid("epsilon").sigmas[i]
    for prediction, factor in (("epsilon", 0.0), ("v_prediction", sigma), ("sample", 1 / sigma)):
        noise = Denoiser(network, grid(prediction))(x, i)
        torch.testing.assert_close(noise, factor * x)
    assert alpha**2 + sigma**2 == pytest.approx(1)


def test_v_prediction_agrees_with_diffusers() -> None:
    scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)
    scheduler.set_timesteps(20)
    model = Denoiser(unet(1), schedule(20, prediction_type="v_prediction"))
    x, i = latents().float(), 11
    t = model.schedule.timesteps[i - 1]
    a, b = model.schedule.jump(i, i - 1)
    theirs = scheduler.step(model.network.model(x, t).sample, t, x).prev_sample
    torch.testing.assert_close(a * x + b * model(x, i), theirs, rtol=1e-5, atol=1e-5)


def test_patches_move_with_the_step_and_their_prediction_with_them() -> None:
    """A network that marks the first pixel of each patch: over 4 steps every pixel is marked once."""
    network = unet(2)
    network.conv_out.weight.data.zero_()
    network.conv_out.bias.data.copy_(torch.eye(4)[0].repeat(3))
    model = Denoiser(network, grid("epsilon"), patch=2)
    with torch.no_grad():
        marked = sum(model(torch.zeros(1, 3, 8, 8), i) for i in range(1, 5))
    torch.testing.assert_close(marked, torch.ones(1, 3, 8, 8))


def test_an_image_alone_is_as_in_a_batch() -> None:
    model, x = Denoiser(unet(2), grid("v_prediction"), patch=2), latents(side=16)
    with torch.no_grad():
        torch.testing.assert_close(model(x, 2)[1:], model(x[1:], 2), rtol=0, atol=1e-6)


def test_wrong_options_are_named() -> None:
    with pytest.raises(UserError, match="precision must be one of float32, bf16, auto, got 'fp8'"):
        Denoiser(unet(), grid("epsilon"), precision="fp8")
    with pytest.raises(UserError, match=r"3 k\^2 channels .*, got 4"):
        patch_size(4, 4)
