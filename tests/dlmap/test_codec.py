import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel
from torch import nn
from toys import photos, vae

from dlmap.activations import kept_bytes
from dlmap.codec import Codec, Identity


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


def test_a_shift_of_the_latents_is_honoured() -> None:
    model, plain = vae(), Codec(vae())
    model.register_to_config(shift_factor=0.5)
    shifted, images = Codec(model), photos()
    with torch.no_grad():
        latents = shifted.encode(images)
        torch.testing.assert_close(latents, plain.encode(images) - 0.5 * 0.37)
        torch.testing.assert_close(shifted.decode(latents), plain.decode(plain.encode(images)))


def test_a_tiny_autoencoder_has_latents_without_a_posterior() -> None:
    torch.manual_seed(0)
    blocks = {"num_encoder_blocks": (1, 1, 1), "num_decoder_blocks": (1, 1, 1)}
    channels = {"encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8)}
    model = AutoencoderTiny(**blocks, **channels, scaling_factor=0.5)
    codec, images = Codec(model), photos(1, 16, 24)
    with torch.no_grad():
        latents = codec.encode(images)
        torch.testing.assert_close(latents, 0.5 * model.encode(2 * images - 1).latents)
        decoded = (model.decode(latents / 0.5).sample / 2 + 0.5).clamp(0, 1)
        torch.testing.assert_close(codec.decode(latents), decoded)
    assert latents.shape == (1, 4, 4, 6) and decoded.shape == images.shape


def test_pixels_come_back_exactly() -> None:
    images = photos()
    torch.testing.assert_close(Identity().decode(Identity().encode(images).double()), images, rtol=0, atol=1e-7)


def test_latents_of_a_vq_model_are_not_quantised() -> None:
    torch.manual_seed(0)
    model = VQModel(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        num_vq_embeddings=4,
        scaling_factor=0.5,
    )
    codec, images = Codec(model), photos()
    latents = codec.encode(images).requires_grad_()
    torch.testing.assert_close(latents, 0.5 * model.encode(2 * images - 1).latents)
    (slope,) = torch.autograd.grad(codec.decode(latents).sum(), latents)
    step = 1e-2 * slope / slope.norm()
    rise = (codec.decode(latents + step) - codec.decode(latents - step)).double().sum() / 2
    assert rise.item() == pytest.approx(1e-2 * slope.norm().item(), rel=0.02)


def local_vae() -> AutoencoderKL:
    """One in which a pixel depends on its neighbourhood alone: no group statistics, no attention."""
    model = vae()
    for part in (model.encoder, model.decoder):
        part.mid_block.attentions[0] = None
        for parent in part.modules():
            for name, child in parent.named_children():
                if isinstance(child, nn.GroupNorm):
                    setattr(parent, name, nn.Identity())
    return model


def test_tiles_of_a_local_autoencoder_give_the_whole() -> None:
    """Up to what the network sees beyond a tile's border, where the window is near 0."""
    whole, tiled = Codec(local_vae()), Codec(local_vae(), tile=32)
    images = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = whole.encode(images)
        assert (tiled.encode(images) - latents).square().mean().sqrt() < 0.01 * latents.std()
        one, other = whole.decode(latents), tiled.decode(latents)
    assert one.std() > 0 and (one - other).square().mean().sqrt() < 0.02 * one.std()


def test_gradient_of_a_tiled_decoding() -> None:
    """Against finite differences along a direction."""
    model = vae().double()
    model.decoder.conv_out.weight.data.mul_(0.2)  # keeps clear of 0 and 1, where the clamp has its kinks
    codec = Codec(model, tile=8)
    latents = torch.randn(1, 4, 20, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(latents.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    point = latents.clone().requires_grad_()
    (slope,) = torch.autograd.grad(codec.decode(point).double().square().sum(), point)
    step = 1e-3
    with torch.no_grad():
        ends = [codec.decode(latents + k * step * direction).double().square().sum() for k in (1, -1)]
    torch.testing.assert_close((slope * direction).sum(), (ends[0] - ends[1]) / (2 * step), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("tile", [None, 4])
def test_images_that_are_decoded_alone_are_the_same_in_less_memory(tile: int | None) -> None:
    codec = Codec(vae(), tile)
    latents = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    results = [codec.decode(latents, alone=alone) for alone in (False, True)]
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)
    weights = torch.randn(results[0].shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((result * weights).sum(), latents)[0] for result in results]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_a_batch_that_is_decoded_alone_keeps_its_latents_only() -> None:
    codec, latents = Codec(vae()), torch.randn(4, 4, 8, 8)
    plain, alone = (kept_bytes(lambda x, _, a=alone: codec.decode(x, a), codec, latents, 0) for alone in (False, True))
    result = 4 * 3 * 16 * 16
    assert alone <= latents.nbytes + 2 * 4 * result < plain / 4  # the clamp keeps the result
