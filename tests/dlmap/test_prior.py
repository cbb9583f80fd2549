import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, LDMPipeline, UNet2DModel, VQModel
from toys import SCHEDULE, photos, prior, save_prior, unet, vae

from dlmap import DiffusionPrior
from dlmap.activations import OVERHEAD, SHARE
from dlmap.options import GRADIENTS
from dlmap.solvers import SOLVERS, generate
from dlmap.tiles import pad
from mslique import UserError


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_pixel_space_prior_gives_back_the_photograph(patch: int) -> None:
    model, images = prior(20, patch), photos()
    noise = model.invert(images)
    with torch.no_grad():
        torch.testing.assert_close(model.generate(noise), images, rtol=0, atol=1e-6)
    assert noise.shape == (2, 2, 3, 32, 32) and noise.dtype == torch.float64


@pytest.mark.parametrize("gradient_mode", GRADIENTS)
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_through_20_steps_is_that_of_plain_autograd(
    solver: str, tile: int | None, gradient_mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = prior(20, solver=solver, spacing="trailing", tile=tile, gradient=gradient_mode)
    noise = model.invert(photos(1, 16, 24)).requires_grad_()

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(model.generate(noise).square().sum(), noise)[0]

    reversible = gradient()
    monkeypatch.setattr(
        "dlmap.prior.generate_reversibly", lambda noise, moves, denoise, *_: generate(noise, moves, denoise)
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


def test_a_vq_latent_model_loads(tmp_path: Path) -> None:
    network = UNet2DModel.from_config({**unet(1).config, "in_channels": 4, "out_channels": 4})
    codec = VQModel(latent_channels=4, block_out_channels=(32,), num_vq_embeddings=8)
    LDMPipeline(vqvae=codec, unet=network, scheduler=DDIMScheduler(**SCHEDULE)).save_pretrained(tmp_path)
    model = DiffusionPrior.from_pretrained(str(tmp_path), num_steps=2)
    latents = model.encode(photos())
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents))[:, 0] - latents).abs().max() < 1e-10


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_partial_inversion_is_exact_and_leaves_more_of_the_photograph(solver: str) -> None:
    images, kept = photos(1), []
    for strength in (0.2, 0.6, 1.0):
        model = prior(10, solver=solver, spacing="trailing", strength=strength)
        noise = model.invert(images)
        with torch.no_grad():
            torch.testing.assert_close(model.generate(noise), images, rtol=0, atol=1e-6)
        assert model.schedule.num_steps == round(10 * strength)
        pair = torch.stack([noise[:, 0].flatten(), model.encode(images).double().flatten()])
        kept.append(torch.corrcoef(pair)[0, 1].item())
    assert kept[0] > kept[1] > kept[2]


def test_coupling_in_float32_is_exact_to_float32() -> None:
    model, images = prior(10, coupling="float32"), photos(1)
    noise = model.invert(images)
    with torch.no_grad():
        error = (model.sample(noise) - model.encode(images)[:, None]).abs().max()
    assert noise.dtype == torch.float32 and 1e-10 < error < 1e-3
    with pytest.raises(UserError, match="coupling must be one of float64, float32, got 'bf16'"):
        prior(coupling="bf16")


@pytest.mark.parametrize("solver", SOLVERS)
def test_rounding_that_a_solver_does_not_damp_is_warned_of(solver: str, recwarn: pytest.WarningsRecorder) -> None:
    for precision in ("float32", "bf16"):
        prior(solver=solver, spacing="trailing", precision=precision)
    assert len([w for w in recwarn if "rounding of a bf16 network" in str(w.message)]) == (solver != "edict")


@pytest.mark.parametrize("solver", SOLVERS)
def test_tiles_keep_the_bijection(solver: str) -> None:
    model, images = prior(10, patch=4, solver=solver, spacing="trailing", tile=32), photos(2, 48, 80)
    latents = model.encode(images)
    with torch.no_grad():
        assert (model.sample(model.invert_latents(latents)) - latents[:, None]).abs().max() <= 1e-10


def test_images_up_to_the_tile_are_not_cut() -> None:
    images = photos(1, 32, 24)
    torch.testing.assert_close(prior(tile=32).invert(images), prior(tile=None).invert(images), rtol=0, atol=0)


def test_tiles_shrink_to_the_smallest_and_no_further() -> None:
    model, sides = prior(tile=None), []
    while model.shrink_tiles():
        sides.append((model.tile, model.denoiser.tile, model.codec.tile))
    assert sides[0] == (512, 128, 512) and sides[1] == (256, 64, 256)
    assert sides[-1] == (16, 4, 16) and not model.shrink_tiles()
    wide = prior(tile=1024)
    assert (wide.tile, wide.denoiser.tile, wide.codec.tile) == (1024, 256, 512)
    with pytest.raises(UserError, match="tile must be from 16 to inf pixels for this prior, got 8"):
        prior(tile=8)


def test_fresh_noise_is_one_sample_taken_twice() -> None:
    """With noise of unit variance the first step of a two-step sampler is that of DDIM, the reference here."""
    model = prior(1, solver="bdia")
    noise = torch.randn(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, b = model.schedule.jump(1, 0)
    with torch.no_grad():
        reached = model.sample(noise[:, None].expand(-1, 2, -1, -1, -1))[:, 0]
        torch.testing.assert_close(reached, a * noise + b * model.denoiser(noise, 1))


def calls_of_a_gradient(model: DiffusionPrior) -> int:
    """How often the network is called for one generation and its gradient."""
    noise, calls = model.invert(photos(1)).requires_grad_(), []
    hook = model.denoiser.network.model.register_forward_hook(lambda *_: calls.append(1))
    images = model.generate(noise)
    images.sum().backward()
    hook.remove()
    return len(calls)


def test_kept_activations_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls_of_a_gradient(prior(5, gradient="full")) == 10
    assert calls_of_a_gradient(prior(5, gradient="checkpoint")) == 20
    model = prior(5, gradient="auto")
    model.generate(model.invert(photos(1)).requires_grad_())  # measures
    assert calls_of_a_gradient(model) == 10
    (one,) = model._bytes_a_call.values()
    monkeypatch.setattr("dlmap.prior.free_bytes", lambda device: 3.5 * OVERHEAD * one / SHARE)
    assert calls_of_a_gradient(model) == 17
    assert model.keep_nothing() and calls_of_a_gradient(model) == 20 and not model.keep_nothing()


def test_a_prior_that_keeps_nothing_decodes_one_image_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model, alone = prior(5, gradient="full"), []
    monkeypatch.setattr(model.codec, "decode", lambda latents, **options: alone.append(options["alone"]))
    for _ in range(2):
        model.decode(photos(1))
        model.keep_nothing()
    assert alone == [False, True]


def test_nothing_is_kept_of_calls_in_tiles() -> None:
    for gradient in ("full", "auto", "checkpoint"):
        model = prior(5, gradient=gradient, tile=16)
        assert model._keep(model.invert(photos(1)).requires_grad_()) == 0 and not model._bytes_a_call


def test_nothing_is_kept_where_no_gradient_is_asked_for() -> None:
    model = prior(5, gradient="full")
    with torch.no_grad():
        assert not model.generate(model.invert(photos(1)).requires_grad_()).requires_grad


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.slow
def test_a_compiled_network_gives_the_same() -> None:
    def gradient(**options: bool) -> torch.Tensor:
        model = prior(4, **options)
        noise = model.invert(photos(1)).requires_grad_()
        return torch.autograd.grad(model.generate(noise).square().sum(), noise)[0]

    plain, compiled = gradient(), gradient(compile=True)
    assert (plain - compiled).norm() <= 1e-4 * plain.norm()


def test_wrong_options_of_the_gradient_are_named() -> None:
    with pytest.raises(UserError, match="gradient must be one of auto, full, checkpoint, got 'none'"):
        prior(gradient="none")


def test_padding_reflects() -> None:
    image = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 3, 6, 6)
    assert pad(image, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
