from pathlib import Path
from types import SimpleNamespace

import critic
import numpy as np
import pytest
import skimage.data
import torch
import yaml
from PIL import Image
from scipy.optimize import lsq_linear

from dlmap import GainCritic
from dlmap.domain.bands import smoothed
from dlmap.run.configuration import load_enhancer

ROOT = Path(__file__).parents[2]


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
    errors = critic.errors_of(images, originals, bands)
    chosen = torch.tensor([[0.3, -0.8, 0.5, 0.1], [-0.2, 0.4, -0.7, 1.1]])
    pictures = images + sum(g[:, None, None, None] * band for g, band in zip(chosen.unbind(1), bands, strict=True))
    nothing = torch.zeros(2, 4)
    there = critic.errors_of(pictures, originals, bands)
    torch.testing.assert_close(errors.of(chosen), there.of(nothing), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(errors.of(nothing), (255 * (originals - images)).square().mean((1, 2, 3)))
    assert critic.errors_of(originals, originals, bands).of(nothing).max() < 1e-12


def test_the_least_error_is_that_of_bounded_least_squares() -> None:
    rng = np.random.default_rng(0)
    pictures, wanted = rng.standard_normal((5, 60, 5)), 20 * rng.standard_normal((5, 60))
    made = torch.from_numpy(pictures)
    errors = critic.Errors(
        made.mT @ made / 60,
        (made.mT @ torch.from_numpy(wanted)[..., None])[..., 0] / 60,
        torch.from_numpy(wanted).square().mean(1),
    )
    found = errors.least().numpy()
    for k in range(5):
        expected = lsq_linear(pictures[k], wanted[k], (-np.ones(5), np.array(critic.HIGHEST)))
        np.testing.assert_allclose(found[k], expected.x, atol=1e-5)
    assert (np.abs(found) > 0.99).any()  # a bound holds somewhere


def test_the_network_learns_which_states_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    """The best state of the first band is the first statistic, and farther from it is worse the better the crop was."""
    draw = torch.Generator().manual_seed(0)
    statistics, states = torch.randn(1600, 6, generator=draw), 2 * torch.randn(1600, 8, 2, generator=draw)
    quality = 100 * torch.rand(1600, generator=draw)
    best = statistics[:, :1]
    changes = (best.square() - (states[..., 0] - best).square()) * (1 + quality[:, None] / 100)
    network = critic.trained(statistics, quality, states, changes, (0.1, 0.3), 0.0)
    explained = float(capsys.readouterr().out.split("explains")[1])
    assert explained > 0.95
    with torch.no_grad():
        there = network(statistics, quality, torch.cat([best, torch.zeros_like(best)], 1))
        beyond = network(statistics, quality, torch.cat([best + 2, torch.zeros_like(best)], 1))
    assert ((there - beyond) > 0).float().mean() > 0.99

    bands = SimpleNamespace(project=lambda state, row: state.copy_(state.clamp(-6, 6)))
    from_states = critic.climbed(states[:, :4], network, statistics, quality, bands, np.random.default_rng(0))
    before, after = ((starts[..., 0] - best).abs() for starts in (states[:, 1:4], from_states[:, 1:]))
    assert after.median() < 0.5 * before.median()
    assert (from_states[:, 0, 0] - best[:, 0]).abs().median() < 0.5 * best.abs().median()  # the first starts at zero


def test_hard_edged_crops_are_aliased_or_have_few_colours_or_a_plain_ground() -> None:
    """Red and green of this photograph are the place of a pixel; its blue is random."""
    down, across = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    noise = torch.randint(0, 256, (256, 256), generator=torch.Generator().manual_seed(0))
    photo = torch.stack([across, down, noise]).byte()
    found = {"aliased": 0, "few colours": 0, "plain ground": 0}
    for seed in range(60):
        crop = critic.hard_edged(photo, 128, np.random.default_rng(seed))
        assert crop.shape == (3, 128, 128) and 0 <= crop.min() <= crop.max() <= 1
        counts = crop.flatten(1).T.unique(dim=0, return_counts=True)[1]
        aliased = torch.allclose(255 * crop[0].diff(dim=1), torch.tensor(2.0), atol=1e-3)
        plain = counts.max() > 0.15 * 128**2
        found["aliased"] += aliased
        found["few colours"] += len(counts) <= 125
        found["plain ground"] += bool(plain and len(counts) > 125)
    assert min(found.values()) >= 5, found


def test_a_pair_is_a_crop_and_what_it_is_degraded_into() -> None:
    photo = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)
    pairs = [critic.pair(photo, critic.SIZES[seed % 3], np.random.default_rng(seed)) for seed in range(40)]
    assert [crop.shape[-1] for crop, _ in pairs[:3]] == [image.shape[-1] for _, image in pairs[:3]] == [96, 128, 192]
    undamaged = [torch.equal(crop, image) for crop, image in pairs]
    assert 1 <= sum(undamaged) <= 15
    again = [critic.pair(photo, critic.SIZES[seed % 3], np.random.default_rng(seed)) for seed in range(40)]
    assert all(torch.equal(one[k], two[k]) for one, two in zip(pairs, again, strict=True) for k in (0, 1))


def test_gains_are_proposed_around_the_best_and_at_random() -> None:
    near = np.array([0.5, -0.9, -0.5, 0.1, 1.0])
    found = np.stack([critic.proposed(near, np.random.default_rng(k)) for k in range(200)])
    assert found.shape == (200, 8, 5)
    np.testing.assert_allclose(np.median(found[:, :4], axis=(0, 1)), near, atol=0.06)
    assert (found[:, 4:].std((0, 1)) > 0.4).all()


def test_ends_of_ascents_are_scored_by_any_quality_model() -> None:
    """The domain makes plain images, and the quality is their mean."""
    states = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    domain = SimpleNamespace(images=lambda one, rows: one[:, :1, None, None, None].expand(-1, 1, 3, 8, 8))
    model = SimpleNamespace(objective=SimpleNamespace(quality=lambda images: images.mean((1, 2, 3))))
    found = critic.qualities(states, domain, model)
    torch.testing.assert_close(found, (255 * states[..., 0]).round() / 255)


@pytest.mark.slow
def test_the_command_makes_samples_once_and_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for k, name in enumerate(("astronaut", "chelsea", "coffee")):
        Image.fromarray(np.asarray(getattr(skimage.data, name)())).save(tmp_path / "photos" / f"{k}.png")
    config, settings = tmp_path / "mine.yaml", yaml.safe_load((ROOT / "configs/dlmap/tiny.yaml").read_text())
    settings["model"]["init_args"]["objective"]["init_args"]["critic"] = None
    settings["model"]["init_args"]["ascent"]["unsharp"] = 2.0
    config.write_text(yaml.safe_dump(settings))
    command = [str(tmp_path / "out"), str(tmp_path / "photos"), "--crops=40", "--held-out=1", f"--config={config}"]
    assert critic.main(command) == 0
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert [row[0].strip() for row in rows] == ["mixture", "---", "blur", "all"]
    without, with_critic, least = (float(cell) for cell in rows[2][2:])
    assert least > 0 and without > 0 and with_critic != without
    made = [(tmp_path / "out" / f"critic-{k}-of-2.pt").stat().st_mtime_ns for k in (0, 1)]
    assert critic.main(command) == 0
    assert [(tmp_path / "out" / f"critic-{k}-of-2.pt").stat().st_mtime_ns for k in (0, 1)] == made
    command[0] = str(tmp_path / "second")
    assert critic.main([*command, "--earlier", str(tmp_path / "out")]) == 0
    assert "of the changes of 8 crops not used" in capsys.readouterr().out
    (ascent,) = load_enhancer(config).stages
    GainCritic.from_pretrained(tmp_path / "out" / "model").check(ascent)
