from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler
from scipy.ndimage import gaussian_filter
from test_codec import vae
from torch.nn.functional import avg_pool2d
from toys import SCHEDULE, photos, prior, unet

from dlmap import Ascent, DiffusionPrior, PriorOptions
from dlmap.codec import Codec
from dlmap.domain import Bands, ColorFix, Latents, Pixels, make_domain
from mslique import UserError


def latent_prior() -> DiffusionPrior:
    network = unet(1)
    network = type(network).from_config({**network.config, "in_channels": 4, "out_channels": 4})
    return DiffusionPrior(network, Codec(vae()), DDIMScheduler(**SCHEDULE), PriorOptions(num_steps=3))


def test_domains_go_by_their_names() -> None:
    assert isinstance(make_domain(None, Ascent(domain="pixel")), Pixels)
    assert isinstance(make_domain(prior(), Ascent(color_fix=4.0)), ColorFix)
    assert isinstance(make_domain(prior(), Ascent(color_fix=4.0), fixed=False), Latents)
    with pytest.raises(UserError, match="ascent.domain must be one of latent, pixel, bands, got 'noise'"):
        make_domain(prior(), Ascent(domain="noise"))
    with pytest.raises(UserError, match="the domain latent needs a prior: give one"):
        make_domain(None, Ascent())


def test_pixels_stay_in_range() -> None:
    domain, images = Pixels(), photos()
    states = domain.start(images)
    torch.testing.assert_close(domain.images(states, [0, 1])[:, 0], images)
    states[0] += 1
    assert images.max() <= 0.8  # a copy
    domain.project(states[0], 0)
    assert states[0].max() == 1


@torch.no_grad()
def test_the_residual_makes_a_lossy_autoencoder_start_at_the_photograph() -> None:
    images, model = photos(3, 30, 37), latent_prior()
    lossy, exact = Latents(model), Latents(model, residual=True)
    states = lossy.start(images)
    exact.start(images)
    plain, with_residual = lossy.images(states[1:], [1, 2]), exact.images(states[1:], [1, 2])
    assert plain.shape == with_residual.shape == (2, 2, 3, 30, 37)
    assert (plain - images[1:, None]).abs().max() > 0.1
    torch.testing.assert_close(with_residual, images[1:, None].expand_as(plain), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_colour_fix_holds_what_is_coarse_and_leaves_detail_free() -> None:
    given = photos(2, 64, 48)
    free, fixed = Latents(prior()), ColorFix(Latents(prior()), 4)
    states = free.start(given)
    assert torch.equal(fixed.start(given), states)
    for domain in (free, fixed):
        back = domain.images(states, [0, 1])
        torch.testing.assert_close(back, given[:, None].expand(2, 2, -1, -1, -1), rtol=0, atol=1e-5)
    moved = 0.9 * states + 0.1
    plain, held = (domain.images(moved, [0, 1])[:, 0] - given for domain in (free, fixed))
    coarse_before, coarse_after = (avg_pool2d(one, 16).abs().max() for one in (plain, held))
    assert coarse_before > 0.02 and coarse_after < 0.1 * coarse_before
    assert (held - held.mean(dim=(2, 3), keepdim=True)).abs().max() > 0.02


def test_the_ascent_cannot_buy_a_colour_that_is_fixed() -> None:
    given = photos(1, 32, 32)
    slopes = {}
    for scale, domain in ((0, Latents(prior())), (4, ColorFix(Latents(prior()), 4))):
        state = domain.start(given).requires_grad_()
        domain.images(state, [0])[:, :, 0].mean().backward()
        slopes[scale] = state.grad.norm()
    assert slopes[4] < 0.15 * slopes[0]  # not 0: at the border an average is of fewer pixels


@torch.no_grad()
def test_the_colour_fix_of_one_image_is_that_image_s() -> None:
    given = photos(3, 30, 37)
    domain = ColorFix(Latents(latent_prior(), residual=True), 8)
    states = domain.start(given)
    torch.testing.assert_close(
        domain.images(states[1:], [1, 2]), given[1:, None].expand(2, 2, -1, -1, -1), rtol=0, atol=1e-5
    )


LEVELS, GAINS = (0.05, 0.2, 0.4), (-1.0, 1.5)


@torch.no_grad()
def test_bands_give_back_the_photograph_and_its_denoised_versions() -> None:
    """All gains at 0 are the photograph, bit for bit; with the first k at -1 it is denoised at the k-th level."""
    images, model = photos(2, 30, 37), prior()
    domain = Bands(model, LEVELS, GAINS)
    states = domain.start(images)
    assert states.shape == (2, 3) and torch.equal(domain.images(states, [0, 1])[:, 0], images)
    for k, level in enumerate(LEVELS):
        away = states.clone()
        away[:, : k + 1] = -domain.sizes[:, : k + 1]
        expected = model.denoise(images, level)
        torch.testing.assert_close(domain.images(away, [0, 1])[:, 0], expected, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("size", [(30, 37), (3, 1)])
def test_the_bands_of_filters_are_those_of_scipy(size: tuple[int, int]) -> None:
    """Of the image that the prior denoised; its bands stay as they are without the filters."""
    images, model = photos(2, *size), prior()
    domain, without = Bands(model, LEVELS, GAINS, unsharp=1.5), Bands(model, LEVELS, GAINS)
    states = domain.start(images)
    without.start(images)
    assert states.shape == (2, 5) and torch.equal(domain.sizes[:, 2:], without.sizes)
    rest = model.denoise(images, LEVELS[-2]).double().numpy()
    for band in domain.bands[:2]:
        rest = rest - gaussian_filter(rest, (0, 0, 1.5, 1.5), mode="nearest", truncate=4)
        torch.testing.assert_close(band.double(), torch.from_numpy(rest), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_band_s_state_is_how_far_it_moves_the_picture() -> None:
    images = photos(2)
    domain = Bands(prior(), LEVELS, GAINS)
    states = domain.start(images)
    states[1, 1] = 0.7
    moved = domain.images(states, [0, 1])[:, 0] - images
    assert moved[0].abs().max() == 0
    assert 255 * moved[1].square().mean().sqrt().item() == pytest.approx(0.7, rel=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("size", "most"), [(0.5, 0.75), (2.0, 0.5), (3.0, 0.0)])
def test_gains_stay_within_their_bounds(size: float, most: float) -> None:
    """The prior's finest band is not raised above noise that can hardly be seen, 2.5 levels."""
    for unsharp in (0.0, 1.5):
        domain = Bands(prior(), LEVELS, GAINS, unsharp)
        state = domain.start(photos(2))[1]
        of_filters = [4.0] * 2 if unsharp else []
        domain.sizes[1] = torch.tensor([*of_filters, size, 2.0, 8.0])
        for far, expected in (
            (1e3, [*(1.5 * x for x in of_filters), most, 3, 12]),
            (-1e3, (-domain.sizes[1]).tolist()),
        ):
            domain.project(state.fill_(far), 1)
            assert state.tolist() == pytest.approx(expected)
        domain.project(state.fill_(-0.1), 1)
        assert state.tolist() == pytest.approx([-0.1] * len(state))


@torch.no_grad()
def test_the_bands_of_one_image_are_that_image_s() -> None:
    images, model = photos(3, 30, 37), latent_prior()
    together, alone = Bands(model, LEVELS, GAINS), Bands(model, LEVELS, GAINS)
    together.start(images)
    alone.start(images[2:])
    states = torch.tensor([[0.5, -0.3, 0.2]])
    torch.testing.assert_close(together.images(states, [2]), alone.images(states, [0]), rtol=0, atol=1e-5)


def test_a_flat_image_has_no_bands_and_stays_as_it_is() -> None:
    """A prior that predicts no noise takes nothing away: sizes of 0 must not become gains of infinity."""
    model = prior()
    model.denoiser.network.model.conv_out.weight.data.zero_()
    model.denoiser.network.model.conv_out.bias.data.zero_()
    model.denoiser.schedule = replace(model.denoiser.schedule, prediction_type="epsilon")
    images = photos(1)
    domain = Bands(model, LEVELS, GAINS)
    states = domain.start(images).requires_grad_()
    images_back = domain.images(states, [0])
    images_back.sum().backward()
    assert torch.equal(images_back[:, 0], images) and states.grad is not None and states.grad.isfinite().all()


def test_a_level_that_the_prior_does_not_know_is_told_before_the_first_photograph() -> None:
    with pytest.raises(UserError, match="this prior knows noise levels from"):
        make_domain(prior(), Ascent(domain="bands", radius=1.0, levels=(0.1, 1000.0)))
