"""Every key of diffusers' configurations is in the table of docs/priors.md, and what the table says of it is so."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SchedulerMixin,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UNet2DModel,
    UniPCMultistepScheduler,
    VQModel,
)
from families import pipeline
from torch import Tensor
from toys import photos, vae

from dlmap import DiffusionPrior
from dlmap.codec import Codec
from dlmap.denoiser import Denoiser, patch_size
from dlmap.networks import make_network
from dlmap.schedule import make_schedule
from mslique import UserError

PAGE = (Path(__file__).parents[2] / "docs" / "priors.md").read_text()
GROUPS = {
    "U-Nets": ("UNet2DModel", "UNet2DConditionModel"),
    "Transformers": ("SD3Transformer2DModel", "FluxTransformer2DModel", "PixArtTransformer2DModel"),
    "Autoencoders": ("AutoencoderKL", "AutoencoderTiny", "VQModel"),
    "Schedulers with betas": (
        "DDIMScheduler",
        "DDPMScheduler",
        "PNDMScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "UniPCMultistepScheduler",
        "LMSDiscreteScheduler",
        "HeunDiscreteScheduler",
        "DEISMultistepScheduler",
    ),
    "Schedulers of flows": ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
}
DONE = ("builds", "read", "read or refused", "no effect", "refused")


def table(group: str) -> dict[str, str]:
    """What the page says is done with each key of a group of classes."""
    (text,) = re.findall(rf"^### {group}$(.*?)(?=^##|\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    for keys, done in re.findall(r"^\| (`.*?) \| (.*?) \|", text, flags=re.MULTILINE):
        for key in re.findall(r"`(\w+)`", keys):
            assert key not in found, f"{key} is twice in the table of {group}"
            found[key] = done
    return found


def net(**changes: Any) -> UNet2DConditionModel:
    options = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 8,
        "attention_head_dim": 2, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    torch.manual_seed(0)
    return UNet2DConditionModel(**options | changes)


def plain(**changes: Any) -> UNet2DModel:
    options = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    return UNet2DModel(**options | changes)


def pixart(**changes: Any) -> PixArtTransformer2DModel:
    options = {
        "num_attention_heads": 3, "attention_head_dim": 8, "num_layers": 1, "cross_attention_dim": 24,
        "sample_size": 16, "caption_channels": 16,
    }  # fmt: skip
    torch.manual_seed(0)
    return PixArtTransformer2DModel(**options | changes)


def flux(**changes: Any) -> FluxTransformer2DModel:
    options = {
        "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
        "joint_attention_dim": 16, "pooled_projection_dim": 8, "axes_dims_rope": (4, 4, 8),
    }  # fmt: skip
    return FluxTransformer2DModel(**options | changes)


def tiny(**changes: Any) -> AutoencoderTiny:
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    channels = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    return AutoencoderTiny(**blocks | channels | changes)


def vq(**changes: Any) -> VQModel:
    return VQModel(**{"block_out_channels": (8,), "norm_num_groups": 4, "num_vq_embeddings": 4, **changes})


def kl(**changes: Any) -> AutoencoderKL:
    return AutoencoderKL(**{"block_out_channels": (8,), "norm_num_groups": 4, **changes})


def grid(scheduler: SchedulerMixin) -> Denoiser:
    return Denoiser(plain(), make_schedule(scheduler, 5, "trailing"))


def flow(kind: Any = DPMSolverMultistepScheduler, **options: Any) -> Any:
    return kind(use_flow_sigmas=True, prediction_type="flow_prediction", **options)


def refiner() -> Any:
    """Five numbers of XL in place of six."""
    xl = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    model = net(**xl, projection_class_embeddings_input_dim=5 * 8 + 16)
    return call(model, encoder_hidden_states=words(8), text_embeds=words(16)[:, 0])


UNETS, BETAS, FLOWS = "U-Nets", "Schedulers with betas", "Schedulers of flows"
FLOW = FlowMatchEulerDiscreteScheduler
REFUSED: list[tuple[str, str, Callable[[], Any]]] = [
    (UNETS, "class_embed_type", lambda: make_network(plain(class_embed_type="timestep"))),
    (UNETS, "num_class_embeds", lambda: make_network(net(num_class_embeds=3))),
    (UNETS, "class_embeddings_concat", lambda: make_network(net(class_embeddings_concat=True))),
    (UNETS, "time_cond_proj_dim", lambda: make_network(net(time_cond_proj_dim=4))),
    (UNETS, "time_embedding_type", lambda: make_network(plain(time_embedding_type="fourier"))),
    (UNETS, "time_embedding_type", lambda: make_network(plain(time_embedding_type="learned", num_train_timesteps=9))),
    (UNETS, "dual_cross_attention", lambda: make_network(net(dual_cross_attention=True))),
    (UNETS, "attention_type", lambda: make_network(net(attention_type="gated"))),
    (UNETS, "num_attention_heads", lambda: net(num_attention_heads=2)),
    (UNETS, "addition_embed_type", lambda: make_network(net(addition_embed_type="text", encoder_hid_dim=64))),
    (UNETS, "encoder_hid_dim_type", lambda: make_network(net(encoder_hid_dim_type="image_proj", encoder_hid_dim=8))),
    (UNETS, "cross_attention_dim", lambda: make_network(net(cross_attention_dim=(8, 9))).widths()),
    (UNETS, "projection_class_embeddings_input_dim", refiner),
    (UNETS, "in_channels", lambda: patch_size(*make_network(net(in_channels=9)).channels)),
    (UNETS, "out_channels", lambda: patch_size(*make_network(net(out_channels=5)).channels)),
    ("Transformers", "in_channels", lambda: patch_size(*make_network(flux(in_channels=32, out_channels=16)).channels)),
    ("Transformers", "out_channels", lambda: patch_size(*make_network(pixart(out_channels=5)).channels)),
    ("Transformers", "patch_size", lambda: make_network(flux(patch_size=2))),
    ("Transformers", "attention_type", lambda: make_network(pixart(attention_type="gated"))),
    ("Autoencoders", "in_channels", lambda: Codec(kl(in_channels=4))),
    ("Autoencoders", "out_channels", lambda: Codec(vq(out_channels=1))),
    ("Autoencoders", "upsampling_scaling_factor", lambda: Codec(tiny(upsampling_scaling_factor=4))),
    ("Autoencoders", "lookup_from_codebook", lambda: Codec(vq(lookup_from_codebook=True))),
    (
        "Autoencoders",
        "encoder_block_out_channels",
        lambda: Codec(tiny(encoder_block_out_channels=(8,), num_encoder_blocks=(1,))),
    ),
    ("Autoencoders", "latents_mean", lambda: Codec(kl(latents_mean=[0.0] * 3))),
    ("Autoencoders", "latents_std", lambda: Codec(kl(latents_std=[1.0] * 5))),
    (BETAS, "use_karras_sigmas", lambda: grid(LMSDiscreteScheduler(use_karras_sigmas=True))),
    (BETAS, "use_exponential_sigmas", lambda: grid(HeunDiscreteScheduler(use_exponential_sigmas=True))),
    (BETAS, "use_beta_sigmas", lambda: grid(EulerDiscreteScheduler(use_beta_sigmas=True))),
    (BETAS, "use_lu_lambdas", lambda: grid(DPMSolverMultistepScheduler(use_lu_lambdas=True))),
    (BETAS, "use_lu_lambdas", lambda: grid(flow(use_lu_lambdas=True))),
    (BETAS, "use_flow_sigmas", lambda: grid(UniPCMultistepScheduler(use_flow_sigmas=True))),
    (BETAS, "shift_terminal", lambda: grid(flow(UniPCMultistepScheduler, shift_terminal=0.1))),
    (BETAS, "final_sigmas_type", lambda: grid(flow(final_sigmas_type="sigma_min"))),
    (BETAS, "interpolation_type", lambda: grid(EulerDiscreteScheduler(interpolation_type="log_linear"))),
    (BETAS, "timestep_type", lambda: grid(EulerDiscreteScheduler(timestep_type="continuous"))),
    (BETAS, "timestep_spacing", lambda: make_schedule(EulerDiscreteScheduler(timestep_spacing="karras"), 5)),
    (BETAS, "prediction_type", lambda: grid(DDIMScheduler(prediction_type="flow_prediction"))),
    (BETAS, "rescale_betas_zero_snr", lambda: grid(DDIMScheduler(rescale_betas_zero_snr=True))),
    (BETAS, "trained_betas", lambda: grid(DDIMScheduler(trained_betas=[0.01] * 50))),
    (FLOWS, "invert_sigmas", lambda: grid(FLOW(invert_sigmas=True))),
    (FLOWS, "shift_terminal", lambda: grid(FLOW(shift_terminal=0.1))),
    (FLOWS, "use_karras_sigmas", lambda: grid(FLOW(use_karras_sigmas=True))),
    (FLOWS, "use_exponential_sigmas", lambda: grid(FLOW(use_exponential_sigmas=True))),
    (FLOWS, "use_beta_sigmas", lambda: grid(FLOW(use_beta_sigmas=True))),
]
SENTENCES = {
    (UNETS, "in_channels"): "takes 9 channels and gives 4",
    (UNETS, "out_channels"): "takes 4 channels and gives 5",
    (UNETS, "projection_class_embeddings_input_dim"): "text_embeds",
    ("Transformers", "in_channels"): "takes 8 channels and gives 4",
    ("Transformers", "out_channels"): "takes 4 channels and gives 5",
    (BETAS, "rescale_betas_zero_snr"): "zero terminal SNR",
    (BETAS, "prediction_type"): "prediction type",
}
"""Of the refusals that do not quote the key."""


@pytest.mark.parametrize("group", GROUPS)
def test_every_key_is_in_the_table(group: str) -> None:
    kinds = [getattr(diffusers, name) for name in GROUPS[group]]
    keys = {key for kind in kinds for key in inspect.signature(kind.__init__).parameters} - {"self"}
    assert set(table(group)) == keys
    assert set(table(group).values()) <= set(DONE)
    assert all(name in PAGE for name in GROUPS[group])


@pytest.mark.parametrize("group", GROUPS)
def test_every_refusal_of_the_table_has_a_case(group: str) -> None:
    refused = {key for key, done in table(group).items() if "refused" in done}
    assert refused == {key for of, key, _ in REFUSED if of == group}


@pytest.mark.parametrize(
    ("group", "key", "make"), [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in REFUSED]
)
def test_it_is_refused_by_its_name(group: str, key: str, make: Callable[[], Any]) -> None:
    by_diffusers = ValueError if key == "num_attention_heads" else UserError
    with pytest.raises(by_diffusers, match=SENTENCES.get((group, key), key)):
        make()


def call(model: Any, **given: Tensor) -> Tensor:
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    network = make_network(model)
    network.check(given)
    with torch.no_grad():
        return network(x, torch.tensor(10), given)


def words(width: int) -> Tensor:
    return torch.randn(2, 7, width, generator=torch.Generator().manual_seed(1))


def test_widths_of_text_one_for_every_block() -> None:
    one, each = (call(net(cross_attention_dim=dim), encoder_hidden_states=words(8)) for dim in (8, [8, 8]))
    torch.testing.assert_close(one, each)


def test_text_that_the_network_projects() -> None:
    model = net(encoder_hid_dim=5)
    projected = net()
    projected.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        given = model.encoder_hid_proj(words(5))
    found = call(model, encoder_hidden_states=words(5))
    torch.testing.assert_close(found, call(projected, encoder_hidden_states=given))


def test_transformers_without_out_channels_give_as_many_as_they_take() -> None:
    assert make_network(pixart(out_channels=None)).channels == (4, 4)
    sd3 = {"num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2, "caption_projection_dim": 16}
    assert make_network(diffusers.SD3Transformer2DModel(**sd3, out_channels=None)).channels == (16, 16)


def test_text_that_is_not_projected() -> None:
    model = pixart(caption_channels=None)
    found = call(model, encoder_hidden_states=words(24))
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x, words(24), timestep=torch.tensor([10, 10]), added_cond_kwargs={}).sample
    torch.testing.assert_close(found, expected[:, :4])


@pytest.mark.parametrize("told", [True, False])
def test_pixart_is_told_the_size_of_the_image_if_its_configuration_says_so(told: bool) -> None:
    model = pixart(use_additional_conditions=told, attention_head_dim=8)
    sizes = {"resolution": torch.full((2, 2), 64.0), "aspect_ratio": torch.ones(2, 1)}
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x, words(16), timestep=torch.tensor([10, 10]), added_cond_kwargs=sizes).sample
    torch.testing.assert_close(call(model, encoder_hidden_states=words(16)), expected[:, :4])


def test_mean_and_deviation_of_every_channel_are_those_of_the_pipeline(tmp_path: Path) -> None:
    pipe = pipeline("sdxl", tmp_path)
    pipe.vae.register_to_config(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[0.5, 1.0, 2.0, 1.5])
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    options = {"prompt": "a", "num_inference_steps": 1, "latents": latents, "height": 32, "width": 32}
    final = pipe(**options, output_type="latent").images
    expected = pipe(**options, output_type="pt").images
    codec = Codec(pipe.vae)
    torch.testing.assert_close(codec.decode(final), expected, rtol=1e-4, atol=1e-5)
    images = photos(1, 32, 32)
    mode = pipe.vae.encode(2 * images - 1).latent_dist.mode()
    std, mean = (torch.tensor(v).view(1, 4, 1, 1) for v in (pipe.vae.config.latents_std, pipe.vae.config.latents_mean))
    torch.testing.assert_close(codec.encode(images) / 0.37 * std + mean, mode, rtol=1e-4, atol=1e-5)


def test_latents_of_a_vq_model_have_the_width_of_its_codebook() -> None:
    codec = Codec(vq(vq_embed_dim=5))
    latents = codec.encode(photos(1, 16, 16))
    assert codec.channels == latents.shape[1] == 5 and codec.decode(latents).shape == (1, 3, 16, 16)


def test_latents_without_a_scale() -> None:
    model = vae()
    model.register_to_config(scaling_factor=None)
    images = photos(1, 16, 16)
    torch.testing.assert_close(Codec(model).encode(images), model.encode(2 * images - 1).latent_dist.mode())


@pytest.mark.parametrize(("upcast", "dtype"), [(True, torch.float32), (False, torch.float16)])
def test_half_precision_of_an_autoencoder_that_forces_float32(upcast: bool, dtype: torch.dtype) -> None:
    model = vae().half()
    model.register_to_config(force_upcast=upcast)
    assert Codec(model).vae.dtype is dtype


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, LMSDiscreteScheduler])
def test_a_file_without_a_spacing_has_that_of_its_scheduler(kind: Any) -> None:
    scheduler = kind(beta_start=0.001)
    found = make_schedule(scheduler, 10).timesteps
    scheduler.set_timesteps(10)
    assert list(found) == sorted(np.round(scheduler.timesteps.double().numpy()))


@pytest.mark.parametrize("kind", [DPMSolverMultistepScheduler, UniPCMultistepScheduler, DEISMultistepScheduler])
def test_a_file_without_a_spacing_reaches_as_far_as_its_scheduler(kind: Any) -> None:
    scheduler = kind()
    scheduler.set_timesteps(10)
    assert make_schedule(scheduler, 10).timesteps[-1] == scheduler.timesteps[0] == 999


def test_a_file_without_an_end_has_that_of_its_scheduler() -> None:
    scheduler = PNDMScheduler(skip_prk_steps=True, steps_offset=1)
    assert make_schedule(scheduler, 10).alphas[0] ** 2 == pytest.approx(scheduler.final_alpha_cumprod.item())
    assert scheduler.final_alpha_cumprod < 1


@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
def test_clipped_timesteps_are_not_visited(spacing: str) -> None:
    options = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": spacing}
    scheduler = DPMSolverMultistepScheduler(**options, lambda_min_clipped=-5.1)
    scheduler.set_timesteps(10)
    found = make_schedule(scheduler, 10)
    assert found.timesteps[-1] == scheduler.timesteps[0] < 999
    assert make_schedule(DPMSolverMultistepScheduler(**options), 10).timesteps[-1] == 999
    with pytest.raises(UserError, match="num_steps must be from 1 to 0"):
        make_schedule(DPMSolverMultistepScheduler(lambda_min_clipped=9.0), 10)


def test_a_dynamic_shift_of_a_multistep_scheduler() -> None:
    """UniPC's own grid from the same first sigmas, shifted as FLUX's pipeline shifts it."""
    scheduler = flow(UniPCMultistepScheduler, use_dynamic_shifting=True)
    found = make_schedule(scheduler, 7, tokens=1024)
    mu = 0.5 + (1.15 - 0.5) * (1024 - 256) / (4096 - 256)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 7, 7), mu=mu)
    np.testing.assert_allclose(found.sigmas, scheduler.sigmas.flip(0).double(), atol=2e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys")
    pipeline("sd", path / "parts").save_pretrained(path / "sd")
    return path / "sd"


def with_tokenizer(folder: Path, **options: Any) -> Path:
    file = folder / "tokenizer" / "tokenizer_config.json"
    found = json.loads(file.read_text()) | {"model_max_length": 7, "padding_side": "right"} | options
    file.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))
    return folder


def embedded(folder: Path) -> Tensor:
    prior = DiffusionPrior.from_pretrained(str(folder), prompt="a a", num_steps=1)
    return prior.denoiser.condition.tensors()["encoder_hidden_states"]


@pytest.mark.parametrize("options", [{"padding_side": "left"}, {"model_max_length": 5}], ids=str)
def test_tokens_are_those_of_the_pipeline(options: dict[str, Any], folder: Path) -> None:
    usual, changed = (embedded(with_tokenizer(folder, **given)) for given in ({}, options))
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    expected, _ = pipe.encode_prompt("a a", "cpu", 1, do_classifier_free_guidance=False)
    torch.testing.assert_close(changed, expected)
    assert changed.shape != usual.shape or not torch.allclose(changed, usual)


@pytest.mark.parametrize("length", [None, 20])
def test_a_tokenizer_that_is_longer_than_its_text_encoder_is_refused(length: int | None, folder: Path) -> None:
    with_tokenizer(folder, model_max_length=length)
    with pytest.raises(UserError, match=r"has model_max_length \d+: set it to 7 in its tokenizer_config.json"):
        embedded(folder)


def test_the_keys_of_tokenizers_are_on_the_page() -> None:
    assert set(table("Tokenizers")) == {"model_max_length", "padding_side"}
