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


def clean() -> torch.Tensor:
    crop = skimage.data.astronaut()[30:158, 140:268]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).float() / 255


def test_gains_are_within_bounds_and_the_first_are_none() -> None:
    for seed in range(20):
        gains = teach.random_gains(3, default_rng(seed))
        assert gains.shape == (teach.VERSIONS, 3) and (gains[0] == 0).all()
        assert gains.min() >= -1 and gains.max() <= 2.5


def test_versions_are_labelled_by_the_committee_and_the_first_is_the_degraded_crop() -> None:
    images, labels = teach.versions(clean(), prior(), default_rng(3))
    rounded = clean().mul(255).round() / 255
    torch.testing.assert_close(labels, reference_quality(images / 255, rounded.expand_as(images)))
    again, _ = teach.versions(clean(), prior(), default_rng(3))
    assert torch.equal(images, again) and len({image.numpy().tobytes() for image in images}) == teach.VERSIONS
    degraded = teach.degraded(rounded, default_rng(3))
    assert (images[0] / 255 - degraded).abs().max() <= 0.51 / 255


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
    made = [(tmp_path / "out" / f"samples-{k}.pt").stat().st_mtime_ns for k in (0, 1)]
    taught, before = (MSLIQE.from_pretrained(str(tmp_path / name)) for name in ("out/model", "quality"))
    pairs = zip(taught.state_dict().values(), before.state_dict().values(), strict=True)
    assert any(not torch.allclose(one.float(), other, atol=1e-6) for one, other in pairs)
    assert teach.main(command) == 0
    assert [(tmp_path / "out" / f"samples-{k}.pt").stat().st_mtime_ns for k in (0, 1)] == made
