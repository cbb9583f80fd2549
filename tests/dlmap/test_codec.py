import torch
from diffusers import AutoencoderKL
from toys import photos

from dlmap.codec import Codec, Identity


def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
        scaling_factor=0.37,
    )


def test_latents_are_the_scaled_mean_of_the_posterior() -> None:
    model, images = vae(), photos()
    with torch.no_grad():
        latents = Codec(model).encode(images)
        torch.testing.assert_close(latents, model.encode(2 * images - 1).latent_dist.mean * 0.37)
    assert latents.shape == (2, 4, 16, 16)


def test_decoding_undoes_the_scale_and_stays_in_range() -> None:
    model = vae()
    latents = 5 * torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        images = Codec(model).decode(latents)
        torch.testing.assert_close(images, (model.decode(latents / 0.37).sample / 2 + 0.5).clamp(0, 1))
    assert images.shape == (2, 3, 16, 16)


def test_pixels_come_back_exactly() -> None:
    images = photos()
    torch.testing.assert_close(Identity().decode(Identity().encode(images).double()), images, rtol=0, atol=1e-7)
