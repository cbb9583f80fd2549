from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from toys import Brightness, photos, prior

from dlmap import Ascent, MAPObjective, enhance
from dlmap.fidelity import MSE, NLPD
from mslique import UserError

BRIGHTER = MAPObjective(Brightness(), MSE(), fidelity_weight=1.0)


def test_published_steps_are_those_of_clipped_momentum_sgd() -> None:
    """Two iterations written out by hand, with autograd on both images of the pair."""
    model, images = prior(3), photos(1)
    noise = model.invert(images).requires_grad_()
    velocity = torch.zeros_like(noise)
    for _ in range(2):
        pair = model.decode(model.sample(noise)[0])
        (gradient,) = torch.autograd.grad(BRIGHTER(pair, images.expand(2, -1, -1, -1)).value.sum(), noise)
        velocity = 0.5 * velocity + gradient.clamp(-1e-2, 1e-2)
        noise = (noise + 3.0 * velocity).detach().requires_grad_()
    (result,) = enhance(images, model, BRIGHTER, Ascent(iterations=2, step_size=3.0, momentum=0.5, clip=1e-2))
    pair = model.decode(model.sample(noise)[0]).detach()
    better = pair[BRIGHTER(pair, images.expand(2, -1, -1, -1)).value.argmax()]
    torch.testing.assert_close(result.image, better, rtol=0, atol=1e-6)
    assert result.iterations == 2


def test_no_iteration_gives_back_the_photograph_and_its_terms() -> None:
    images = photos()
    for result, image in zip(enhance(images, prior(), BRIGHTER, Ascent(iterations=0)), images, strict=True):
        torch.testing.assert_close(result.image, image, rtol=0, atol=1e-6)
        assert result.quality == pytest.approx([100 * image.mean().item()], abs=1e-4)
        assert result.fidelity == pytest.approx([0], abs=1e-9)


def test_the_objective_rises_and_fidelity_holds() -> None:
    images, options = photos(1), Ascent(iterations=5, clip=1e-2)
    (free,) = enhance(images, prior(), MAPObjective(Brightness(), NLPD(), fidelity_weight=0.0), options)
    (held,) = enhance(images, prior(), MAPObjective(Brightness(), NLPD(), fidelity_weight=100.0), options)
    assert all(later > earlier for earlier, later in zip(free.quality, free.quality[1:], strict=False))
    assert free.quality[-1] > held.quality[-1]
    assert free.fidelity[-1] > held.fidelity[-1]


def test_an_image_alone_is_as_in_a_batch_even_when_its_mates_stop() -> None:
    images = photos(3)
    images[1] = 0.9 * torch.ones_like(images[1])  # bright enough to stop at once
    options = Ascent(iterations=3, clip=1e-2, target=80.0)
    together = enhance(images, prior(), BRIGHTER, options)
    assert [result.iterations for result in together] == [3, 0, 3]
    for k in range(3):
        (alone,) = enhance(images[k : k + 1], prior(), BRIGHTER, options)
        # float32 convolutions round differently in another batch size: a quarter of an 8-bit level is allowed
        torch.testing.assert_close(together[k].image, alone.image, rtol=0, atol=0.25 / 255)
        assert together[k].objective == pytest.approx(alone.objective, abs=0.01)


def test_any_size_comes_back_in_its_size() -> None:
    for height, width in ((33, 47), (1, 1), (1, 90), (5, 16)):
        (result,) = enhance(photos(1, height, width), prior(2), BRIGHTER, Ascent(iterations=1))
        assert result.image.shape == (3, height, width)


def test_an_ascent_that_overshoots_gives_its_best_image() -> None:
    """Far too long steps: the objective rises, then falls."""
    options = Ascent(iterations=8, step_size=200.0, clip=1e-2)
    objective = MAPObjective(Brightness(), MSE(), fidelity_weight=1000.0)
    images = photos(1)
    (result,) = enhance(images, prior(), objective, options)
    assert result.objective[-1] < max(result.objective)
    with torch.no_grad():
        value = objective(result.image[None], images).value.item()
    assert value == pytest.approx(max(result.objective), abs=1e-2)


class BreaksWhenBrighter(nn.Module):
    def __init__(self, limit: Tensor) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        quality = 100 * images.mean(dim=(1, 2, 3))
        return torch.where(quality > self.limit, torch.full_like(quality, float("nan")), quality)


def test_a_quality_that_becomes_nan_leaves_the_last_good_image() -> None:
    images, options = photos(2), Ascent(iterations=6, clip=1e-2)
    good = enhance(images, prior(), BRIGHTER, options)
    limit = (good[0].quality[3] + good[0].quality[4]) / 2
    broken = MAPObjective(BreaksWhenBrighter(torch.tensor(limit)), MSE(), fidelity_weight=1.0)
    with pytest.warns(UserWarning, match="not finite at step"):
        (result,) = enhance(images[:1], prior(), broken, options)
    assert 0 < result.iterations < 6 and result.image.isfinite().all()
    assert max(result.quality) <= limit
    step = len(result.quality)
    assert result.note == f"the objective is not finite at step {step}; the best image so far is kept"
    assert [r.note for r in good] == ["", ""]


def test_an_image_that_cannot_be_scored_at_all_comes_back_and_its_mates_are_enhanced() -> None:
    images = photos(2)
    images[0] += 0.15
    broken = MAPObjective(BreaksWhenBrighter(torch.tensor(60.0)), MSE(), fidelity_weight=1.0)
    with pytest.warns(UserWarning, match="image 0 of the batch"):
        lost, fine = enhance(images, prior(), broken, Ascent(iterations=2))
    assert torch.equal(lost.image, images[0]) and "as it was given" in lost.note
    assert fine.iterations == 2 and fine.note == ""


def test_inference_mode_is_refused() -> None:
    with torch.inference_mode(), pytest.raises(RuntimeError, match="needs gradients"):
        enhance(photos(1), prior(), BRIGHTER)


def test_progress_is_told_every_evaluation() -> None:
    told: list[int] = []
    enhance(photos(1), prior(), BRIGHTER, Ascent(iterations=3), lambda k, values: told.append(k))
    assert told == [0, 1, 2, 3]


def test_steps_on_pixels_are_projected_momentum_sgd() -> None:
    """Projected momentum SGD on the pixels; two of them leave the range and are brought back."""
    images = photos(1)
    images[..., :2, 0] = torch.tensor([0.0, 0.999])
    x, velocity = images.clone().requires_grad_(), torch.zeros_like(images)
    for _ in range(3):
        (gradient,) = torch.autograd.grad(BRIGHTER(x, images).value.sum(), x)
        velocity = 0.9 * velocity + gradient.clamp(-1e-3, 1e-3)
        x = (x + 2.0 * velocity).clamp(0, 1).detach().requires_grad_()
    (result,) = enhance(images, None, BRIGHTER, Ascent(iterations=3, domain="pixel"))
    torch.testing.assert_close(result.image, x[0].detach(), rtol=0, atol=1e-6)
    assert result.image.max() == 1 and result.quality[0] == pytest.approx(100 * images.mean().item())


def test_fidelity_compares_with_the_reference() -> None:
    images, reference, options = photos(2), photos(2, seed=9), Ascent(iterations=2, domain="pixel")
    results = enhance(images, None, BRIGHTER, options, reference=reference)
    for k in range(2):
        assert results[k].fidelity[0] == pytest.approx((images[k] - reference[k]).square().mean().item(), rel=1e-5)
    with pytest.raises(UserError, match="must have the same shape"):
        enhance(images, None, BRIGHTER, options, reference=reference[:1])


@pytest.mark.parametrize("domain", ["latent", "pixel"])
def test_colours_stay_where_they_are_fixed_and_no_reference_is_given(domain: str) -> None:
    images, moved = photos(2, 64, 64), []
    for scale, reference in ((0.0, None), (4.0, None), (4.0, images)):
        options = Ascent(iterations=3, clip=0.1, domain=domain, color_fix=scale)  # type: ignore[arg-type]
        results = enhance(images, prior(), BRIGHTER, options, reference=reference)
        moved.append((torch.stack([result.image for result in results]) - images).mean().abs().item())
    free, fixed, referred = moved
    assert free > 0.01 and fixed < 0.05 * free and referred == free


def test_the_latent_domain_needs_a_prior() -> None:
    with pytest.raises(UserError, match="set ascent.domain to pixel"):
        enhance(photos(1), None, BRIGHTER)


BANDS = Ascent(domain="bands", iterations=4, radius=2.0, levels=(0.05, 0.2), gains=(-1.0, 1.0), target=1e9)
IN_A_REGION = (Ascent(iterations=3, radius=1.0), Ascent(iterations=3, radius=1.0, domain="pixel"), BANDS)


@pytest.mark.parametrize("ascent", IN_A_REGION, ids=lambda ascent: ascent.domain)
def test_within_a_trust_region_the_objective_rises(ascent: Ascent) -> None:
    (result,) = enhance(photos(1), prior(), BRIGHTER, ascent)
    assert max(result.objective) > result.objective[0] + 0.1


@pytest.mark.parametrize("ascent", IN_A_REGION, ids=lambda ascent: ascent.domain)
def test_within_a_trust_region_an_image_alone_is_as_in_a_batch(ascent: Ascent) -> None:
    images = photos(3)
    images[1] = 0.9 * torch.ones_like(images[1])
    ascent = replace(ascent, target=80.0)  # the second image stops at once
    together = enhance(images, prior(), BRIGHTER, ascent)
    assert together[1].iterations == 0
    for k in range(3):
        (alone,) = enhance(images[k : k + 1], prior(), BRIGHTER, ascent)
        torch.testing.assert_close(together[k].image, alone.image, rtol=0, atol=0.25 / 255)
        assert together[k].iterations == alone.iterations


def test_a_gain_below_the_margin_leaves_the_photograph_as_it_was() -> None:
    images = photos(2)
    gains = [max(r.objective) - r.objective[0] for r in enhance(images, prior(), BRIGHTER, BANDS)]
    assert abs(gains[0] - gains[1]) > 1e-3
    results = enhance(images, prior(), BRIGHTER, replace(BANDS, margin=sum(gains) / 2))
    for image, result, gain in zip(images, results, gains, strict=True):
        left = gain < sum(gains) / 2
        assert torch.equal(result.image, image) is left
        assert ("left as it was" in result.note) is left


@pytest.mark.parametrize("domain", ["latent", "bands"])
def test_a_photograph_that_is_good_enough_is_not_touched(domain: str) -> None:
    images = torch.stack([0.5 * photos(1)[0], photos(1)[0]])
    ascent = BANDS if domain == "bands" else Ascent(iterations=2, clip=1e-2, target=1e9)
    dark, bright = enhance(images, prior(), BRIGHTER, replace(ascent, only_below=100 * images[1].mean().item() - 1))
    assert dark.iterations > 0 and not torch.equal(dark.image, images[0])
    assert bright.iterations == 0 and torch.equal(bright.image, images[1]) and "high already" in bright.note


def test_stages_start_where_the_one_before_ended_and_fidelity_keeps_its_reference() -> None:
    images, first, second = photos(1), replace(BANDS, iterations=2), Ascent(iterations=2, clip=1e-2)
    (both,) = enhance(images, prior(), BRIGHTER, [first, second])
    (one,) = enhance(images, prior(), BRIGHTER, first)
    (two,) = enhance(one.image[None], prior(), BRIGHTER, second, reference=images)
    assert both.stages == (3, 3) and both.iterations == 4
    torch.testing.assert_close(both.image, two.image, rtol=0, atol=1e-6)
    assert both.objective == pytest.approx(one.objective + two.objective, abs=1e-4)
    with pytest.raises(UserError, match="list of ascents is empty"):
        enhance(images, prior(), BRIGHTER, [])


def test_bands_need_a_prior() -> None:
    with pytest.raises(UserError, match="the domain bands needs a prior"):
        enhance(photos(1), None, BRIGHTER, BANDS)


def test_a_step_that_is_taken_back_costs_no_backward_pass() -> None:
    """All steps that are not taken back, and the start, need one; the last evaluation needs none."""

    class Counted(Brightness):
        backward = 0

        def forward(self, images: Tensor) -> Tensor:
            if images.requires_grad:
                images.register_hook(self.count)
            return -super().forward(images).sub(52).square()

        def count(self, gradient: Tensor) -> None:
            self.backward += 1

    quality = Counted()
    ascent = Ascent(domain="pixel", radius=8.0, iterations=12, target=1e9)
    (result,) = enhance(torch.full((1, 3, 8, 8), 0.5), None, MAPObjective(quality, MSE(), 1.0, 0.0), ascent)
    risen = [k for k, value in enumerate(result.objective) if value > max(result.objective[:k], default=-1e9)]
    assert quality.backward == len([k for k in risen if k < 12]) < result.iterations
