from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from toys import Brightness, photos, prior

from dlmap import Ascent, MAPObjective, enhance
from dlmap.domain import Latents
from dlmap.fidelity import MSE, NLPD
from dlmap.likelihood import energies, lost_likelihood
from mslique import UserError

BRIGHTER = MAPObjective(Brightness(), MSE(), fidelity_weight=1.0)


def clamped(gradient: Tensor) -> Tensor:
    return gradient.clamp(-1e-2, 1e-2)


def scaled(gradient: Tensor) -> Tensor:
    level = gradient.square().mean().sqrt()
    assert level > 1e-2
    return gradient * 1e-2 / level


@pytest.mark.parametrize(("algorithm", "clipped"), [("value", clamped), ("norm", scaled)])
def test_steps_are_those_of_clipped_momentum_sgd(algorithm: str, clipped: Callable[[Tensor], Tensor]) -> None:
    """Two iterations written out by hand, with autograd on both images of the pair."""
    model, images = prior(3), photos(1)
    noise = model.invert(images).requires_grad_()
    velocity = torch.zeros_like(noise)
    for _ in range(2):
        pair = model.decode(model.sample(noise)[0])
        (gradient,) = torch.autograd.grad(BRIGHTER(pair, images.expand(2, -1, -1, -1)).value.sum(), noise)
        velocity = 0.5 * velocity + clipped(gradient)
        noise = (noise + 3.0 * velocity).detach().requires_grad_()
    options = Ascent(iterations=2, step_size=3.0, momentum=0.5, clip=1e-2, clip_algorithm=algorithm)
    (result,) = enhance(images, model, BRIGHTER, options)
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


def test_adam_is_torchs_on_each_image() -> None:
    images, options = photos(2), Ascent(iterations=3, domain="pixel", optimizer="adam", clip=1.0, step_size=0.02)
    x = images[1:].clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.02, maximize=True)
    for _ in range(3):
        adam.zero_grad()
        BRIGHTER(x, images[1:]).value.sum().backward()
        adam.step()
    torch.testing.assert_close(enhance(images, None, BRIGHTER, options)[1].image, x[0].detach(), rtol=0, atol=1e-6)


def test_tied_sequences_take_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[torch.Tensor] = []
    monkeypatch.setattr(Latents, "project", lambda self, state, row: moved.append(state.clone()))
    images, model = photos(1), prior()
    enhance(images, model, BRIGHTER, Ascent(iterations=1, clip=1.0, momentum=0.0, tied=True))
    noise = model.invert(images)
    step = moved[0] - noise[0]
    torch.testing.assert_close(step[0], step[1], rtol=0, atol=1e-9)
    noise.requires_grad_()
    first = model.decode(model.sample(noise)[:, 0])
    (gradient,) = torch.autograd.grad(BRIGHTER(first, images).value.sum(), noise)
    torch.testing.assert_close(step[0], 2.0 * gradient[0].sum(dim=0), rtol=1e-5, atol=1e-8)


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


def test_the_noise_stays_likelier_under_its_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[torch.Tensor] = []
    monkeypatch.setattr(Latents, "project", lambda self, state, row: states.append(state.clone()))
    images, lost = photos(1), []
    start = energies(prior().invert(images))
    for weight in (0.0, 10.0):
        options = Ascent(iterations=8, clip=0.1, noise_weight=weight)
        enhance(images, prior(), MAPObjective(Brightness(), MSE(), fidelity_weight=0.0), options)
        lost.append(lost_likelihood(states[-1][None], start).item())
    assert lost[1] < 0.5 * lost[0]
