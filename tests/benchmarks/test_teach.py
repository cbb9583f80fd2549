from pathlib import Path

import numpy as np
import pytest
import skimage.data
import teach
import torch
from numpy.random import default_rng
from PIL import Image
from toys import prior, save_prior, save_quality

from mslique import MSLIQE, reference_quality


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MSLIQE:
    folder = str(tmp_path_factory.mktemp("quality"))
    save_quality(folder)
    return MSLIQE.from_pretrained(folder).eval()


def clean() -> torch.Tensor:
    crop = skimage.data.astronaut()[30:158, 140:268]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).float() / 255


def test_the_first_gains_are_none() -> None:
    gains = np.stack([teach.random_gains(3, default_rng(seed)) for seed in range(20)])
    assert gains.shape == (20, teach.VERSIONS, 5) and (gains[:, 0] == 0).all() and (gains[:, 1:] != 0).any(-1).all()


def test_gains_beyond_their_bounds_are_those_at_the_bounds() -> None:
    made = teach.of_gains(clean(), prior(), (0.05, 0.12, 0.35), 1.5)
    beyond, bounds, within = [5.0, 0, -3.0, 9.0, -4.0], [2.5, 0, -1, 2.5, -1], [2.4, 0, -1, 2.5, -1]
    assert torch.equal(made(np.array([beyond])), made(np.array([bounds])))
    assert not torch.equal(made(np.array([within])), made(np.array([bounds])))


def test_versions_are_labelled_by_the_committee_and_the_first_is_the_degraded_crop(model: MSLIQE) -> None:
    images, labels = teach.versions(clean(), prior(), model, default_rng(3))
    rounded = clean().mul(255).round() / 255
    torch.testing.assert_close(labels, reference_quality(images / 255, rounded.expand_as(images)))
    again, _ = teach.versions(clean(), prior(), model, default_rng(3))
    assert torch.equal(images, again) and len({image.numpy().tobytes() for image in images}) == teach.VERSIONS
    degraded = teach.degraded(rounded, default_rng(3))
    assert (images[0] / 255 - degraded).abs().max() <= 0.51 / 255


def test_the_last_versions_are_those_that_the_model_likes_best(model: MSLIQE) -> None:
    """Of 24 that are drawn like the others, so that they nearly always have higher scores than the others' mean."""
    gaps = []
    for seed in range(6):
        images, _ = teach.versions(clean(), prior(), model, default_rng(seed))
        scores = model(images / 255, teach.one_view(model))
        gaps.append(scores[-teach.LIKED :].mean() - scores[: -teach.LIKED].mean())
    assert sum(gap > 0 for gap in gaps) >= 5


def test_crops_of_a_photograph_are_images_and_a_few_are_grey() -> None:
    photo = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)
    crops = torch.stack([teach.clean(photo, default_rng(seed)) for seed in range(100)])
    assert crops.shape[1:] == (3, teach.SIZE, teach.SIZE) and crops.min() >= 0 and crops.max() <= 1
    assert 1 <= sum(torch.equal(crop[0], crop[1]) for crop in crops) <= 15  # 6 expected


@pytest.mark.slow
def test_the_command_makes_samples_once_and_teaches(tmp_path: Path) -> None:
    for k, name in enumerate(("astronaut", "chelsea", "coffee")):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(np.asarray(getattr(skimage.data, name)())).save(tmp_path / "photos" / f"{k}.png")
    save_prior(str(tmp_path / "prior"))
    save_quality(str(tmp_path / "quality"))
    command = [str(tmp_path / "out"), str(tmp_path / "photos"), f"--prior={tmp_path / 'prior'}"]
    command += [f"--model={tmp_path / 'quality'}", "--crops=8", "--parts=2", "--steps=2", "--held-out=1"]
    assert teach.main(command) == 0
    assert len(list((tmp_path / "out" / "held-out").iterdir())) == 1
    made = [(tmp_path / "out" / f"samples-{k}-of-2.pt").stat().st_mtime_ns for k in (0, 1)]
    taught, before = (MSLIQE.from_pretrained(str(tmp_path / name)) for name in ("out/model", "quality"))
    pairs = zip(taught.state_dict().values(), before.state_dict().values(), strict=True)
    assert any(not torch.allclose(one.float(), other, atol=1e-6) for one, other in pairs)
    assert teach.main(command) == 0
    assert [(tmp_path / "out" / f"samples-{k}-of-2.pt").stat().st_mtime_ns for k in (0, 1)] == made
