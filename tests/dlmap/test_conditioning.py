from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import save_file
from torch import Tensor
from toys import SCHEDULE, save_prior, stable_diffusion

from dlmap import DiffusionPrior
from dlmap.conditioning import Condition
from dlmap.networks import make_network
from mslique import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sd")
    stable_diffusion(path).save_pretrained(path / "sd")
    return str(path / "sd")


@pytest.mark.parametrize("prompt", ["", "a aa", "a " * 50])
def test_the_prompt_is_embedded_as_by_diffusers(prompt: str, folder: str, tmp_path: Path) -> None:
    model = DiffusionPrior.from_pretrained(folder, num_steps=5, prompt=prompt)
    expected = stable_diffusion(tmp_path).encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)[0]
    torch.testing.assert_close(model.denoiser.condition.tensors()["encoder_hidden_states"], expected)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents))[:, 0] - latents).abs().max() < 1e-10


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_guided_step_is_that_of_diffusers(prediction: str, folder: str, tmp_path: Path) -> None:
    """One DDIM step of the pipeline from the same noise; with one step, EDICT's first move is that step."""
    pipe = stable_diffusion(tmp_path)
    pipe.scheduler = DDIMScheduler(prediction_type=prediction, **SCHEDULE)
    pipe.save_pretrained(tmp_path / "sd")
    model = DiffusionPrior.from_pretrained(
        str(tmp_path / "sd"), num_steps=1, prompt="a", negative_prompt="aa", guidance_scale=3.5
    )
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        prompt=["a"] * 2, negative_prompt=["aa"] * 2, guidance_scale=3.5, num_inference_steps=1, latents=noise,
        output_type="latent", height=16, width=16,
    ).images  # fmt: skip
    a, b = model.schedule.jump(1, 0)
    with torch.no_grad():
        torch.testing.assert_close(a * noise + b * model.denoiser(noise, 1), expected, rtol=1e-4, atol=1e-5)


def test_guidance_of_one_is_the_prompt_alone(folder: str) -> None:
    plain = DiffusionPrior.from_pretrained(folder, num_steps=5, prompt="a")
    guided = DiffusionPrior.from_pretrained(folder, num_steps=5, prompt="a", negative_prompt="aa", guidance_scale=1.0)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(guided.denoiser(x, 2), plain.denoiser(x, 2), rtol=1e-4, atol=1e-5)


def test_guidance_keeps_the_bijection(folder: str) -> None:
    model = DiffusionPrior.from_pretrained(folder, num_steps=5, prompt="a", guidance_scale=7.5)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents))[:, 0] - latents).abs().max() < 1e-10


@pytest.mark.parametrize(
    ("tensors", "scale"),
    [({"a": torch.tensor(1.0)}, None), ({"a.b": torch.ones(1, 2)}, None), ({"a": torch.ones(2, 2)}, "much")],
)
def test_a_damaged_file_of_embeddings_is_named(tensors: dict[str, Tensor], scale: str | None, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "words.safetensors", None if scale is None else {"guidance_scale": scale})
    with pytest.raises(UserError, match="words.safetensors holds no embeddings"):
        Condition.load(tmp_path / "words.safetensors")


def test_a_negative_prompt_needs_guidance(folder: str) -> None:
    with pytest.raises(UserError, match="only with guidance_scale"):
        DiffusionPrior.from_pretrained(folder, negative_prompt="a")


def test_an_unconditional_prior_takes_no_prompt(tmp_path: Path) -> None:
    save_prior(str(tmp_path))
    with pytest.raises(UserError, match="has no text encoder: leave prompt"):
        DiffusionPrior.from_pretrained(str(tmp_path), prompt="a")


def test_a_model_with_further_conditions_is_refused(tmp_path: Path) -> None:
    network = stable_diffusion(tmp_path).unet
    network.register_to_config(addition_embed_type="image")
    with pytest.raises(UserError, match="UNet2DConditionModel has addition_embed_type 'image': it needs an input"):
        make_network(network)
