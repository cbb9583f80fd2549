import torch
from diffusers import DDIMScheduler
from test_codec import vae
from torch.nn.functional import avg_pool2d
from toys import SCHEDULE, photos, prior, unet

from dlmap import DiffusionPrior
from dlmap.codec import Codec
from dlmap.domain import ColorFix, Latents, Pixels
from dlmap.likelihood import energies, lost_likelihood


def latent_prior() -> DiffusionPrior:
    network = unet(1)
    network = type(network).from_config({**network.config, "in_channels": 4, "out_channels": 4})
    return DiffusionPrior(network, Codec(vae()), DDIMScheduler(**SCHEDULE), num_steps=3)


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


def test_renormalising_gives_each_sequence_its_norm() -> None:
    domain = Latents(prior(), renormalise=True)
    state = domain.start(photos())[1]
    changed = 1.3 * state + 0.1
    domain.project(changed, 1)
    torch.testing.assert_close(changed.flatten(1).norm(dim=1), state.flatten(1).norm(dim=1))
    torch.testing.assert_close(
        changed / changed.norm(), (1.3 * state + 0.1) / (1.3 * state + 0.1).norm(), rtol=0.01, atol=1e-4
    )


def test_the_penalty_is_the_lost_likelihood_of_the_right_image() -> None:
    domain = Latents(prior(), noise_weight=3.0)
    states = domain.start(photos(3))
    assert domain.penalty(states, [0, 1, 2]).tolist() == [0, 0, 0]
    expected = 3 * lost_likelihood(2 * states[2:], energies(states[2:]))
    torch.testing.assert_close(domain.penalty(2 * states[[0, 2]], [0, 2])[1:], expected)
    free = Latents(prior())
    assert free.penalty(free.start(photos(3)), [0, 1, 2]).tolist() == [0, 0, 0]
