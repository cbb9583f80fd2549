from pathlib import Path

import gains
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from scipy.optimize import lsq_linear

from dlmap.domain.bands import smoothed


def crops() -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Two noisy crops, their originals, and four bands of each: noise of several scales, and what sharpens."""
    photo = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1).float() / 255
    originals = torch.stack([photo[:, 30:126, 140:236], photo[:, 200:296, 40:136]])
    noise = 0.05 * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    images = originals + noise - smoothed(noise, 1.0)
    scales = [smoothed(images, s) for s in (0.7, 1.5, 3.0)]
    return images, originals, [images - scales[0], images - scales[1], scales[0] - scales[1], scales[1] - scales[2]]


def test_the_quadratic_form_is_the_error_of_the_picture_with_these_gains() -> None:
    images, originals, bands = crops()
    errors = gains.errors_of(images, originals, bands)
    chosen = torch.tensor([[0.3, -0.8, 0.5, 0.1], [-0.2, 0.4, -0.7, 1.1]])
    pictures = images + sum(g[:, None, None, None] * band for g, band in zip(chosen.unbind(1), bands, strict=True))
    nothing = torch.zeros(2, 4)
    there = gains.errors_of(pictures, originals, bands)
    torch.testing.assert_close(errors.of(chosen), there.of(nothing), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(errors.of(nothing), (255 * (originals - images)).square().mean((1, 2, 3)))
    assert gains.errors_of(originals, originals, bands).of(nothing).max() < 1e-12


def test_the_least_error_is_that_of_bounded_least_squares() -> None:
    rng = np.random.default_rng(0)
    pictures, wanted = rng.standard_normal((5, 60, 4)), 20 * rng.standard_normal((5, 60))
    made = torch.from_numpy(pictures)
    errors = gains.Errors(
        made.mT @ made / 60,
        (made.mT @ torch.from_numpy(wanted)[..., None])[..., 0] / 60,
        torch.from_numpy(wanted).square().mean(1),
    )
    found = errors.least().numpy()
    for k in range(5):
        expected = lsq_linear(pictures[k], wanted[k], (-np.ones(4), np.array(gains.HIGHEST)))
        np.testing.assert_allclose(found[k], expected.x, atol=1e-5)
    assert (np.abs(found) > 0.99).any()  # a bound holds somewhere


def test_a_network_learns_gains_that_statistics_tell(capsys: pytest.CaptureFixture[str]) -> None:
    """The best gain of the first band is the tanh of the first statistic, the best of the others is 0."""
    statistics = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    best = torch.zeros(400, 4)
    best[:, 0] = statistics[:, 0].tanh()
    errors = gains.Errors(torch.eye(4).expand(400, 4, 4), best, best.square().sum(1))
    torch.testing.assert_close(errors.least(), best, atol=1e-5, rtol=0)
    network = gains.fitted(statistics, errors)
    assert "error on 40 crops not used: -" in capsys.readouterr().out
    with torch.no_grad():
        assert (network(statistics) - best).abs().mean() < 0.05


def test_statistics_do_not_depend_on_the_batch_and_tell_noise_from_edges() -> None:
    images, originals, bands = crops()
    both = gains.statistics_of(images, bands)
    torch.testing.assert_close(both[1:], gains.statistics_of(images[1:], [band[1:] for band in bands]))
    assert both.isfinite().all()
    flat = torch.full((1, 3, 96, 96), 0.5)
    assert gains.statistics_of(flat, [torch.zeros_like(flat)] * 4).isfinite().all()


@pytest.mark.slow
def test_the_command_makes_samples_once_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for k, name in enumerate(("astronaut", "chelsea", "coffee")):
        Image.fromarray(np.asarray(getattr(skimage.data, name)())).save(tmp_path / "photos" / f"{k}.png")
    command = [str(tmp_path / "out"), str(tmp_path / "photos"), "--crops=40", "--held-out=1"]
    assert gains.main(command) == 0
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert [row[0].strip() for row in rows] == ["mixture", "---", "blur", "all"]
    default, predicted, least = (float(cell) for cell in rows[2][2:])
    assert least > max(0, predicted) and default > 0
    made = [(tmp_path / "out" / f"gains-{k}.pt").stat().st_mtime_ns for k in (0, 1)]
    assert gains.main(command) == 0
    assert [(tmp_path / "out" / f"gains-{k}.pt").stat().st_mtime_ns for k in (0, 1)] == made
