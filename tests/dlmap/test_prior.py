from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    LDMPipeline,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from test_codec import vae
from toys import SCHEDULE, photos, prior, save_prior, unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from dlmap import DiffusionPrior
from dlmap.solvers import generate
from mslique import UserError


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_pixel_space_prior_gives_back_the_photograph(patch: int) -> None:
    model, images = prior(20, patch), photos()
    noise = model.invert(images)
    with torch.no_grad():
        torch.testing.assert_close(model.generate(noise), images, rtol=0, atol=1e-6)
    assert noise.shape == (2, 2, 3, 32, 32) and noise.dtype == torch.float64


def test_gradient_through_20_steps_is_that_of_plain_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    model = prior(20)
    noise = model.invert(photos(1, 16, 16)).requires_grad_()

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(model.generate(noise).square().sum(), noise)[0]

    reversible = gradient()
    monkeypatch.setattr(
        "dlmap.prior.generate_reversibly", lambda noise, moves, denoise, _: generate(noise, moves, denoise)
    )
    plain = gradient()
    assert (reversible - plain).norm() <= 1e-5 * plain.norm()


def test_loading_a_folder_gives_the_saved_weights(tmp_path: Path) -> None:
    save_prior(str(tmp_path))
    loaded, made = DiffusionPrior.from_pretrained(str(tmp_path), num_steps=4), prior(4)
    torch.testing.assert_close(loaded.invert(photos()), made.invert(photos()))
    assert loaded.schedule == made.schedule


def test_a_latent_model_loads_and_inverts_its_latents(tmp_path: Path) -> None:
    network, codec = unet(1), vae()
    network = type(network).from_config({**network.config, "in_channels": 4, "out_channels": 4})
    LDMPipeline(vqvae=codec, unet=network, scheduler=DDIMScheduler(**SCHEDULE)).save_pretrained(tmp_path)
    model = DiffusionPrior.from_pretrained(str(tmp_path), num_steps=5)
    assert isinstance(model.codec.vae, AutoencoderKL) and model.multiple == 4
    latents = model.encode(photos())
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents))[:, 0] - latents).abs().max() < 1e-10


def test_sides_must_fit() -> None:
    with pytest.raises(ValueError, match="multiples of 4, got"):
        prior().invert(photos(1, 30, 32))


def test_missing_and_wrong_folders_say_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a diffusers folder"):
        DiffusionPrior.from_pretrained(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="holds no model_index.json"):
        DiffusionPrior.from_pretrained(str(tmp_path))


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    save_prior(str(tmp_path))
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(prior().denoiser.unet.state_dict(), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match="not a diffusers folder with safetensors"):
        DiffusionPrior.from_pretrained(str(tmp_path))


def stable_diffusion(folder: Path) -> StableDiffusionPipeline:
    """Stable Diffusion's parts, a few thousand parameters each, with a vocabulary of four tokens."""
    torch.manual_seed(0)
    (folder / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "a": 3}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=7)
    text = CLIPTextConfig(
        vocab_size=4, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=7, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    network = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    scheduler = PNDMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
    return StableDiffusionPipeline(
        vae(), CLIPTextModel(text), tokenizer, network, scheduler, None, None, requires_safety_checker=False
    )


def test_stable_diffusion_is_conditioned_on_the_empty_prompt(tmp_path: Path) -> None:
    pipe = stable_diffusion(tmp_path)
    pipe.save_pretrained(tmp_path / "sd")
    model = DiffusionPrior.from_pretrained(str(tmp_path / "sd"), num_steps=5)
    expected = pipe.encode_prompt("", "cpu", 1, do_classifier_free_guidance=False)[0]
    assert model.denoiser.embedding is not None
    torch.testing.assert_close(model.denoiser.embedding, expected)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents))[:, 0] - latents).abs().max() < 1e-10
