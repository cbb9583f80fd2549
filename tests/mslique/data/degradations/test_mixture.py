from collections.abc import Callable

import pytest
import torch
from numpy.random import default_rng
from torch import Tensor

from mslique import DEGRADATIONS, UNSEEN_DEGRADATIONS, degrade, degrade_by, reference_quality
from mslique.data.degradations.mixture import GLOBAL_CHANGES

Photo = Callable[..., Tensor]
NAMES = ("astronaut", "chelsea", "coffee")


KINDS = {**DEGRADATIONS, **UNSEEN_DEGRADATIONS}
MILD = (*GLOBAL_CHANGES, "chromatic_aberration", "chroma_noise", "texture_compression")
"""A no-reference model can hardly see the first two, and the labels look at luminance more than at colour."""


QUICK = ("astronaut", 0)
OTHERS = [(name, seed) for seed in range(3) for name in NAMES if (name, seed) != QUICK]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("of", "seed"), [QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS)])
def test_the_label_falls_with_the_severity_of_each_degradation(name: str, of: str, seed: int, photo: Photo) -> None:
    image = photo(of)
    steps = torch.stack([degrade_by(name, image, s, default_rng(seed), KINDS) for s in (0, 0.25, 0.5, 0.75, 1)])
    assert steps.shape == (5, *image.shape) and steps.dtype == torch.float32
    assert steps.min() >= 0 and steps.max() <= 1
    labels = reference_quality(steps, image.expand_as(steps))
    assert (labels.diff() < 0).all(), labels
    worst = 85 if name in MILD else 65
    assert labels[0] > 45 and labels[-1] < worst, labels


def test_a_generator_decides_everything(photo: Photo) -> None:
    image = photo()
    first, again, other = (degrade(image, default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_mixtures_are_images_and_some_are_clean(photo: Photo) -> None:
    rng = default_rng(0)
    image = photo("chelsea")
    results = torch.stack([degrade(image, rng) for _ in range(150)])
    assert results.shape == (150, *image.shape) and results.dtype == torch.float32
    assert results.min() >= 0 and results.max() <= 1
    clean = sum(torch.equal(result, image) for result in results)
    assert 10 <= clean <= 40  # 15 % expected


def test_a_second_mixture_comes_after_the_first_and_leaves_the_default_alone(photo: Photo) -> None:
    image = photo("chelsea")
    clean_share = {}
    for second_order in (0.0, 1.0):
        results = [degrade(image, default_rng(seed), second_order) for seed in range(150)]
        clean_share[second_order] = sum(torch.equal(result, image) for result in results) / 150
    assert 0.08 < clean_share[0.0] < 0.24 and clean_share[1.0] < 0.07  # 0.15 and its square expected
    rng = default_rng(8)
    once = degrade(image, rng)
    assert torch.equal(degrade(image, default_rng(8)), once)
    rng.random()  # the toss that decides on a second mixture
    assert torch.equal(degrade(image, default_rng(8), 1.0), degrade(once, rng))


def test_no_unseen_kind_is_trained_on() -> None:
    assert not set(DEGRADATIONS) & set(UNSEEN_DEGRADATIONS) and len(UNSEEN_DEGRADATIONS) >= 6


def test_unseen_kinds_do_what_they_say() -> None:
    ramp = torch.linspace(0, 1, 128).expand(3, 64, 128).contiguous()
    banded = degrade_by("banding", ramp, 1.0, default_rng(0), UNSEEN_DEGRADATIONS)
    assert banded.unique().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    grey = torch.full((3, 200, 200), 0.5)
    salted = degrade_by("impulse_noise", grey, 1.0, default_rng(0), UNSEEN_DEGRADATIONS)
    assert (salted != 0.5).float().mean() == pytest.approx(0.12, abs=0.01)
    assert torch.equal(salted[0], salted[2]) and salted.unique().tolist() == [0, 0.5, 1]
    step = torch.zeros(3, 64, 64)
    step[:, 32:, 20:] = 1  # a corner: moving its colours apart moves where each begins
    split = degrade_by("chromatic_aberration", step, 1.0, default_rng(3), UNSEEN_DEGRADATIONS)
    assert torch.equal(split[1], step[1])
    red, blue = split[0].sum() - step[0].sum(), split[2].sum() - step[2].sum()
    assert red * blue < 0 and abs(red) > 30
    dots = torch.zeros(3, 64, 64)
    dots[:, ::8, ::8] = 1
    assert degrade_by("median_smear", dots, 0.3, default_rng(0), UNSEEN_DEGRADATIONS).max() == 0


def test_artefacts_do_what_they_say(photo: Photo) -> None:
    image, grey = photo("chelsea"), torch.full((3, 60, 90), 0.5)
    for name in ("lens_blur", "ringing", "pixelation", "raw_sensor", "edge_preserving_smoothing", "palette"):
        noiseless = 0.0 if name != "raw_sensor" else 0.05  # the least that a sensor adds
        assert (degrade_by(name, grey, 0.0, default_rng(0)) - grey).abs().max() <= noiseless + 1 / 255, name
    blocks = degrade_by("pixelation", image, 1.0, default_rng(0))
    assert (blocks.diff(dim=-1) == 0).float().mean() > 0.7
    few = (degrade_by("palette", image, 1.0, default_rng(0)) * 255).round().flatten(1)
    assert len(few.unique(dim=1).T) <= 5
    spectrum = torch.fft.rfft2(degrade_by("ringing", image, 1.0, default_rng(0)) - 0.5).abs()
    rows, columns = (
        f(side)[..., None] for f, side in ((torch.fft.fftfreq, image.shape[1]), (torch.fft.rfftfreq, image.shape[2]))
    )
    high = torch.hypot(rows, columns.T) > 0.2
    assert spectrum[:, high].square().sum() < 0.02 * spectrum.square().sum()
    wave = degrade_by("pattern_noise", grey, 0.5, default_rng(1)) - grey
    assert wave.flatten(1).std(dim=1).max() == pytest.approx(0.02 * 7.5**0.5, rel=0.1)
    coloured = degrade_by("raw_sensor", grey, 1.0, default_rng(0))
    assert (coloured[0] - coloured[2]).std() > 0.05 and (coloured - grey).mean().abs() < 0.01
    noisy = degrade_by("gaussian_noise", grey, 1.0, default_rng(0))
    assert (degrade_by("camera_denoising", grey, 1.0, default_rng(0)) - grey).std() < 0.5 * (noisy - grey).std()
    step = torch.zeros(3, 64, 64)
    step[..., 32:] = 1
    smooth = degrade_by(
        "edge_preserving_smoothing",
        step + 0.02 * torch.randn(step.shape, generator=torch.Generator().manual_seed(0)),
        0.0,
        default_rng(0),
    )
    assert smooth[..., 32].mean() - smooth[..., 31].mean() > 0.9


def test_more_artefacts_do_what_they_say() -> None:
    def made(name: str, image: Tensor, severity: float, seed: int = 0) -> Tensor:
        return degrade_by(name, image, severity, default_rng(seed))

    dot, step, grey = torch.zeros(3, 64, 64), torch.zeros(3, 64, 64), torch.full((3, 60, 90), 0.5)
    dot[:, 32, 32], step[..., 32:] = 1, 1
    ghost = made("ghosting", dot, 1.0)
    assert ghost[0, 32, 32] == 0.5 and ghost[0].sum() == pytest.approx(1)
    combed = made("interlacing", step, 1.0)
    assert torch.equal(combed[:, :1], step[:, :1]) and (combed != step).any(dim=(0, 2)).float().mean() == 0.5
    scattered = made("frosted_glass", step, 1.0)
    assert (scattered[..., :20] == 0).all() and (scattered[..., 44:] == 1).all() and scattered[..., :32].max() > 0.9
    stripes = torch.zeros(3, 64, 64)
    stripes[..., ::2] = 1  # every second column is all that is left of them
    assert made("aliasing", stripes, 0.7 / 2.7).std() < 0.01 < 0.4 < stripes.std()
    noisy_step = 0.2 + 0.6 * step + 0.03 * torch.randn(step.shape, generator=torch.Generator().manual_seed(0))
    painted = made("painterly_smoothing", noisy_step, 1.0)
    assert painted[..., 31].mean() < 0.25 and painted[..., 32].mean() > 0.75
    assert painted[..., :32].std() < 0.6 * noisy_step[..., :32].std()
    assert (made("transform_denoising", grey, 1.0) - grey).std() < 0.3 * 0.15
    noisy = grey + 0.05 * torch.randn(grey.shape, generator=torch.Generator().manual_seed(0))
    coded = made("video_compression", noisy, 1.0)  # of each block the mean is left
    assert (coded - noisy).mean().abs() < 1e-3 and coded.std() < 0.3 * 0.05


def test_the_latest_artefacts_do_what_they_say(photo: Photo) -> None:
    def made(name: str, image: Tensor, severity: float, seed: int = 0) -> Tensor:
        return degrade_by(name, image, severity, default_rng(seed))

    image, grey, step = photo("chelsea"), torch.full((3, 60, 90), 0.5), torch.full((3, 64, 64), 0.2)
    step[..., 32:] = 0.8
    for name in ("bilateral_denoising", "patch_denoising", "wavelet_denoising"):
        assert (made(name, grey, 1.0) - grey).std() < 0.5 * 0.15, name
        quiet = made(name, step, 0.3)
        assert quiet[..., 32].mean() - quiet[..., 31].mean() > 0.4, name  # most of the edge is left
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    blots = made("chroma_noise", grey, 0.2) - grey
    assert (luma * blots).sum(dim=0).abs().max() < 1e-3 and blots.std() > 0.02
    assert torch.allclose(made("local_contrast", grey, 1.0), grey)
    halo = made("local_contrast", step, 1.0)
    assert halo[..., 30].mean() < 0.1 and halo[..., 33].mean() > 0.9
    dirty = (made("dust_and_scratches", image, 0.3), made("dust_and_scratches", image, 1.0))
    changed = [((one - image).abs() > 0.01).any(dim=0) for one in dirty]
    assert (changed[1] | ~changed[0]).all() and 0.01 < changed[0].float().mean() < changed[1].float().mean() < 0.3
    lost = (made("block_loss", image, 1.0) != image).any(dim=0)
    assert lost.float().mean() == pytest.approx(0.3, abs=0.1)
    for seed in range(4):
        coded = made("texture_compression", image, 1.0, seed)[:, :32, :32]
        corner = coded[:, :4, :4].flatten(1).T
        assert len({tuple(round(c, 4) for c in colour) for colour in corner.tolist()}) <= 4


def test_degrading_leaves_the_original_alone(photo: Photo) -> None:
    image = photo("coffee")
    before = image.clone()
    for seed in range(20):
        degrade(image, default_rng(seed))
    assert torch.equal(image, before)
