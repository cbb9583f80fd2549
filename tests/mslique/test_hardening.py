from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from numpy.random import default_rng
from torch import Tensor

from mslique import UserError, reference_quality
from mslique.data.synthetic_datamodule import DegradedPhotos
from mslique.hardening import Hardening, ascended, direction
from mslique.module import QualityModule


def brightness(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


def red_left(images: Tensor) -> Tensor:
    """Its gradient is 1 in the left half of the red channel, -2 in the rest of it, and 0 elsewhere."""
    half = images.shape[-1] // 2
    return images[:, 0, :, :half].sum(dim=(1, 2)) - 2 * images[:, 0, :, half:].sum(dim=(1, 2))


@pytest.fixture
def grey() -> Tensor:
    return torch.full((12, 3, 64, 64), 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_an_ascent_raises_the_score_by_what_its_steps_allow(seed: int, grey: Tensor) -> None:
    moved = ascended(brightness, grey, default_rng(seed), max_steps=5, step_size=(1.0, 3.0))
    levels = (255 * (moved - grey)).mean(dim=(1, 2, 3))
    assert (levels > 0.4).all() and (levels < 15.6).all()  # 1 to 5 steps of 1 to 3 levels, less the rounding
    assert levels.max() - levels.min() > 1  # every image has steps of its own
    assert moved.max() <= 1 and torch.allclose(255 * moved, (255 * moved).round(), atol=1e-4)


def test_directions_are_gradients_signs_or_averages(grey: Tensor) -> None:
    slope = torch.zeros(3, 64, 64)
    slope[0, :, :32], slope[0, :, 32:] = 1, -2
    for signs, expected in ((False, slope), (True, slope.sign())):
        found = direction(red_left, grey, signs)
        torch.testing.assert_close(found, (expected / expected.square().mean().sqrt()).expand_as(grey))
    smooth = direction(red_left, grey, window=15)
    row = np.convolve(np.r_[np.ones(32), -2 * np.ones(32)], np.ones(15) / 15, mode="valid")
    actual = smooth[0, 0, 30, 7:-7]
    torch.testing.assert_close(actual / actual[0], torch.tensor(row).float() / row[0])
    torch.testing.assert_close(smooth.square().mean(dim=(1, 2, 3)), torch.ones(12))


def test_the_rest_of_the_batch_and_its_gradients_are_left_alone(grey: Tensor) -> None:
    leaf = grey.clone().requires_grad_(True)
    with torch.no_grad():
        moved = ascended(brightness, leaf, default_rng(0), max_steps=2)
    assert torch.equal(leaf, grey) and leaf.grad is None and not moved.requires_grad


def test_the_pool_holds_the_latest_ascents_with_their_labels(photo: Callable[..., Tensor]) -> None:
    originals = torch.stack([photo(name, side=64) for name in ("astronaut", "chelsea", "coffee", "rocket")])
    hardening, rng = Hardening(share=0.5, pool=3, steps=2), default_rng(0)
    images, labels = originals.clone(), torch.full((4,), -1.0)
    unchanged, _ = hardening.mixed(images, labels, rng)
    assert torch.equal(unchanged, originals)  # nothing was made yet
    for _ in range(3):
        hardening.refresh(brightness, images, originals, rng)
    mixed, found = hardening.mixed(images, labels, rng)
    replaced = found != -1
    assert replaced.sum() == 2 and len(hardening._images) == 3
    assert torch.equal(mixed[~replaced], originals[~replaced]) and torch.equal(images, originals)
    for image, label in zip(mixed[replaced], found[replaced], strict=True):
        source = originals[(originals - image).abs().mean(dim=(1, 2, 3)).argmin()]
        torch.testing.assert_close(label, reference_quality(image[None], source[None])[0], atol=0.01, rtol=0)


def test_a_small_share_of_a_small_batch_is_one_image(grey: Tensor) -> None:
    hardening = Hardening(share=0.01, steps=1)
    hardening.refresh(brightness, grey, grey, default_rng(0))
    _, labels = hardening.mixed(grey, torch.full((12,), -1.0), default_rng(0))
    assert (labels != -1).sum() == 1


def test_rounds_begin_and_come_again_as_asked() -> None:
    hardening = Hardening(every=4, start=6)
    assert [step for step in range(20) if hardening.due(step)] == [8, 12, 16]


def trained(photo_folder, tmp_path, tiny_backbone, hardening, **data) -> QualityModule:  # type: ignore[no-untyped-def]
    options = {"crop_size": 64, "batch_size": 4, "samples_per_epoch": 12, "val_samples": 2, **data}
    torch.manual_seed(0)
    config = {"backbone": tiny_backbone, "n_crops": 1, "crop_rule": "even"}
    module = QualityModule(model=config, clip_in_eval_mode=False, hardening=hardening)
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, default_root_dir=tmp_path, logger=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=DegradedPhotos(str(photo_folder), **options))
    return module


def test_training_goes_on_in_training_mode_with_ascents_in_its_batches(photo_folder, tmp_path, tiny_backbone) -> None:  # type: ignore[no-untyped-def]
    hardening = Hardening(share=0.5, every=2, steps=1, crops=1)
    module = trained(photo_folder, tmp_path, tiny_backbone, hardening, with_originals=True)
    assert len(hardening._images) == 4  # rounds of two at steps 0 and 2
    assert module.model.clip.training
    plain = trained(photo_folder, tmp_path, tiny_backbone, None, with_originals=True)
    same = trained(photo_folder, tmp_path, tiny_backbone, None)
    weights = [m.model.clip.visual.conv1.weight for m in (module, plain, same)]
    assert not torch.equal(weights[0], weights[1]) and torch.equal(weights[1], weights[2])


def test_a_batch_without_originals_is_refused(photo_folder, tmp_path, tiny_backbone) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="with_originals"):
        trained(photo_folder, tmp_path, tiny_backbone, replace(Hardening()))
