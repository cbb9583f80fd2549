"""Every family of priors: the same steps as its pipeline in diffusers, an exact bijection, exact gradients, files."""

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, UNet2DModel
from families import FAMILIES, flux, pipeline
from PIL import Image
from toys import photos, predict, rows_of, save_quality
from transformers import PreTrainedModel

from dlmap import DiffusionPrior, cli
from dlmap.conditioning import Condition
from dlmap.loading import Model
from dlmap.networks import Network, make_network
from dlmap.run.pictures import save_png
from dlmap.solvers import generate
from mslique import UserError

FLOWS = ("sd3", "flux")
GUIDED = {"prompt": "a", "negative_prompt": "a a", "guidance_scale": 3.5}
PROMPTED = {"prompt": "a"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for name in FAMILIES:
        pipeline(name, folder / "parts" / name).save_pretrained(folder / name)
    return folder


def load(folder: Path, **options: Any) -> DiffusionPrior:
    return DiffusionPrior.from_pretrained(str(folder), **{"num_steps": 3, "prompt": "a", "tile": 32, **options})


def latents(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(seed))


def theirs(folder: Path, noise: torch.Tensor, steps: int, words: dict[str, Any]) -> torch.Tensor:
    """The pipeline of diffusers as its users call it, with Euler's or DDIM's steps."""
    pipe = DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    options: dict[str, Any] = {"guidance_scale": 1.0, **words}
    if hasattr(pipe.scheduler, "betas"):
        pipe.scheduler = DDIMScheduler.from_config(
            pipe.scheduler.config, clip_sample=False, timestep_spacing="trailing"
        )
        options["num_inference_steps"] = steps
    else:
        options["sigmas"] = np.linspace(1, 1 / steps, steps)
        options["num_inference_steps"] = steps
    packed = "FluxPipeline" in type(pipe).__name__
    if packed:
        noise = pipe._pack_latents(noise, *noise.shape)
    if "PixArt" in type(pipe).__name__:
        options["use_resolution_binning"] = False
    count = len(noise)
    for key in ("prompt", "negative_prompt"):
        if key in options:
            options[key] = [options[key]] * count
    out = pipe(**options, latents=noise, output_type="latent", height=32, width=32).images
    return pipe._unpack_latents(out, 32, 32, pipe.vae_scale_factor) if packed else out


@pytest.mark.parametrize("words", [PROMPTED, GUIDED], ids=["prompt", "guided"])
@pytest.mark.parametrize("name", FAMILIES)
def test_steps_are_those_of_the_pipeline(name: str, words: dict[str, Any], models: Path) -> None:
    words = {key: value for key, value in words.items() if not (name == "flux" and key == "negative_prompt")}
    # 5 steps divide 1000: with others DDIM of diffusers does not end a step where it starts the next
    model, x = load(models / name, spacing="trailing", num_steps=5, **words), latents()
    expected = theirs(models / name, x, 5, words)
    with torch.no_grad():
        for i in range(model.schedule.num_steps, 0, -1):
            a, b = model.schedule.jump(i, i - 1)
            x = a * x + b * model.denoiser(x, i)
    torch.testing.assert_close(x, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", ["edict", "bdia", "obelm"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore:with solver")
def test_round_trip(name: str, precision: str, solver: str, models: Path) -> None:
    # here O-BELM amplifies the rounding of float64 to 3e-12, enough to flip the rounding of a float32 now and then
    most = 1e-6 if precision == "bf16" or (name, solver) == ("pixart", "obelm") else 1e-10
    model = load(models / name, precision=precision, solver=solver, num_steps=4, spacing="trailing")
    given = latents(4)
    with torch.no_grad():
        back = model.sample(model.invert_latents(given))
    assert (back[:, 0] - given).abs().max() <= most


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_is_that_of_autograd(name: str, models: Path) -> None:
    model = load(models / name)
    noise = model.invert_latents(latents(1)).requires_grad_()
    weight = torch.randn(1, 2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    (ours,) = torch.autograd.grad((weight * model.sample(noise)).sum(), noise)
    (plain,) = torch.autograd.grad((weight * generate(noise, model.solver.moves, model.denoiser)).sum(), noise)
    assert (ours - plain).abs().max() <= 1e-5 * plain.abs().max()


@pytest.mark.parametrize("name", FLOWS)
def test_the_posterior_mean_of_a_flow_is_x_minus_s_v(name: str, models: Path) -> None:
    model, level, images = load(models / name), 0.25, photos(1, 32, 32)
    s, clean = 0.2, model.encode(images)
    with torch.no_grad():
        given = model.denoiser.condition.tensors()
        v = model.denoiser.network((1 - s) * clean, torch.tensor(1000 * s), given)
        expected = model.decode((1 - s) * clean - s * v) + images - model.decode(clean)
        torch.testing.assert_close(model.denoise(images, level), expected.clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "flux")) for name in FAMILIES])
def test_a_photograph_through_the_command(name: str, models: Path, tmp_path: Path) -> None:
    save_quality(str(tmp_path / "quality"))
    save_png(photos(1, 40, 56)[0], tmp_path / "in" / "a.png")
    options = {
        "--model.prior.path": models / name,
        "--model.prior.num_steps": 2,
        "--model.prior.tile": 32,
        "--model.objective.quality.model": tmp_path / "quality",
        "--model.ascent": '[{"domain": "bands", "levels": [0.05, 0.2], "radius": 2, "iterations": 1, "target": 1000},'
        ' {"iterations": 1, "target": 1000}]',
    }
    assert predict(tmp_path / "in", tmp_path / "out", *(f"{key}={value}" for key, value in options.items())) == 0
    assert rows_of(tmp_path / "out")["a.png"]["status"] == "ok"
    enhanced, given = (np.asarray(Image.open(tmp_path / part / "a.png"), float) for part in ("out", "in"))
    assert enhanced.shape == (40, 56, 3) and 0 < np.abs(enhanced - given).mean() < 40


@pytest.mark.parametrize("name", FAMILIES)
def test_embeddings_from_a_file_need_no_text_encoder(name: str, models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / name, tmp_path / "model")
    whole = load(models / name)
    whole.denoiser.condition.save(tmp_path / "words.safetensors")
    for part in (tmp_path / "model").glob("t*_encoder*"):
        shutil.rmtree(part)
    alone = load(tmp_path / "model", prompt="", embeddings=str(tmp_path / "words.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(alone.denoiser(latents(), 2), whole.denoiser(latents(), 2), rtol=0, atol=0)
    with pytest.raises(UserError, match="no text encoder|not a diffusers folder"):
        load(tmp_path / "model")
    with pytest.raises(UserError, match="embeddings take the place of prompt"):
        load(tmp_path / "model", embeddings=str(tmp_path / "words.safetensors"))


def test_embeddings_of_another_model_are_refused(models: Path, tmp_path: Path) -> None:
    load(models / "sd").denoiser.condition.save(tmp_path / "sd.safetensors")
    with pytest.raises(UserError, match=r"SD3Transformer2DModel takes embeddings of the widths .*pooled"):
        load(models / "sd3", prompt="", embeddings=str(tmp_path / "sd.safetensors"))
    with pytest.raises(UserError, match=r"nowhere holds no embeddings .*dlmap embed"):
        load(models / "sd3", prompt="", embeddings=str(tmp_path / "nowhere"))


def test_a_model_without_its_third_text_encoder_is_told_zeros(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "sd3", tmp_path / "sd3")
    index = json.loads((tmp_path / "sd3" / "model_index.json").read_text())
    index |= {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}
    (tmp_path / "sd3" / "model_index.json").write_text(json.dumps(index))
    given = load(tmp_path / "sd3").denoiser.condition.tensors()["encoder_hidden_states"]
    assert given[:, :7].any() and not given[:, 7:].any()


def test_the_position_table_of_sd3_bounds_the_tile(models: Path) -> None:
    assert load(models / "sd3", tile=128).tile == 128
    for tile in (160, None):
        with pytest.raises(UserError, match="tile must be from 16 to 128 pixels for this prior"):
            load(models / "sd3", tile=tile)


def test_flux_without_guidance_as_an_input(tmp_path: Path) -> None:
    pipe = flux(tmp_path, guidance=False)
    pipe.save_pretrained(tmp_path / "schnell")
    assert "guidance" not in load(tmp_path / "schnell").denoiser.condition.tensors()
    with pytest.raises(UserError, match="has no guidance as an input"):
        load(tmp_path / "schnell", guidance_scale=3.5)


def test_flux_takes_no_negative_prompt(models: Path) -> None:
    with pytest.raises(UserError, match="takes no negative_prompt"):
        load(models / "flux", negative_prompt="a", guidance_scale=2.0)


def test_a_network_that_needs_a_class_is_refused() -> None:
    options = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    with pytest.raises(UserError, match="UNet2DModel has num_class_embeds 10: it needs an input that is not given"):
        make_network(UNet2DModel(num_class_embeds=10, **options))


def test_a_network_of_another_family_is_refused() -> None:
    with pytest.raises(UserError, match="Linear is no network that can be a prior: use Stable Diffusion"):
        make_network(torch.nn.Linear(1, 1))


@pytest.mark.parametrize("name", ["sd", "sd3"])
def test_half_precision_files_are_read(name: str, models: Path, tmp_path: Path) -> None:
    """Folders that hold ``*.fp16.safetensors`` alone, one of them in several files."""
    shutil.copytree(models / name, tmp_path / name)
    for part in list((tmp_path / name).glob("*/*.safetensors")):
        part.unlink()
    pipe = DiffusionPipeline.from_pretrained(models / name)
    pipe.save_pretrained(tmp_path / name, variant="fp16", max_shard_size="20KB")
    assert list((tmp_path / name).glob("*/*.fp16-00001-of-*.safetensors"))
    with torch.no_grad():
        expected, found = load(models / name).denoiser(latents(), 1), load(tmp_path / name).denoiser(latents(), 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_weights_that_stay_in_main_memory_give_the_same(name: str, models: Path) -> None:
    """Between calls the network's own parameters hold nothing; accelerate brings them for each layer."""
    plain, away = load(models / name), load(models / name, offload=True)
    weight = torch.randn(1, 2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for model in (plain, away):
        noise = model.invert_latents(latents(1)).requires_grad_()
        final = model.sample(noise)
        found += [final.detach(), *torch.autograd.grad((weight * final).sum(), noise)]
    torch.testing.assert_close(found[2:], found[:2], rtol=1e-6, atol=1e-6)
    assert away.gradient == "checkpoint"  # of what blocks keep that are computed again, "auto" would see nothing
    assert all(parameter.is_meta for parameter in away.denoiser.network.model.parameters())
    assert not any(parameter.is_meta for parameter in plain.parameters())


def test_offload_and_compile_do_not_go_together(models: Path) -> None:
    with pytest.raises(UserError, match="compile and offload do not go together"):
        load(models / "sd", offload=True, compile=True)


def test_a_prompt_is_embedded_by_the_command(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "words.safetensors"
    given = ["embed", str(models / "sd3"), str(file), "--prompt", "a", "--negative-prompt", "a a"]
    assert cli.main([*given, "--guidance-scale", "3.5"]) == 0
    expected = load(models / "sd3", **GUIDED).denoiser.condition
    condition = Condition.load(file)
    assert condition.guidance_scale == expected.guidance_scale == 3.5
    torch.testing.assert_close(condition.tensors(), expected.tensors(), rtol=0, atol=0)
    (tmp_path / "other").touch()
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode
    wrong = {
        "a negative_prompt has an effect only with guidance_scale": given,
        "guidance_scale must be a number, such as 2.0, got nan": [*given, "--guidance-scale", "nan"],
        "is a folder: give the name of a file": ["embed", str(models / "sd3"), str(tmp_path)],
    }
    for sentence, words in wrong.items():
        assert cli.main(words) == 1
        assert sentence in capsys.readouterr().err


def test_latents_between_two_numbers_of_the_networks_precision(models: Path) -> None:
    """Each is as far from one bf16 number as from the next, and would be rounded by what float64 loses on the way."""
    ties = (latents().to(torch.bfloat16).view(torch.int16).to(torch.int32) * 2**16 + 2**15).view(torch.float32)
    model = load(models / "sd", precision="bf16", num_steps=8)
    with torch.no_grad():
        assert (model.sample(model.invert_latents(ties))[:, 0] - ties).abs().max() <= 1e-10


def test_text_encoders_are_gone_before_the_network_comes(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = []

    def load_network(model: Model) -> Network:
        gc.collect()
        alive.append(sum(issubclass(type(thing), PreTrainedModel) for thing in gc.get_objects()))
        return plain(model)

    gc.collect()
    before, plain = sum(issubclass(type(thing), PreTrainedModel) for thing in gc.get_objects()), Model.load_network
    monkeypatch.setattr(Model, "load_network", load_network)
    load(models / "sd3")
    assert alive == [before]
