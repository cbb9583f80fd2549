from pathlib import Path

import pytest
import torch
from toys import photos, save_quality

from dlmap.quality import MSLIQEQuality, calibrate
from mslique import MSLIQE, UserError


def test_calibration_is_the_published_logistic() -> None:
    scores = torch.tensor([1.0, 1.98447, 4.2])
    expected = 100 / (1 + torch.exp(-(scores - 1.98447) / 0.93984))
    torch.testing.assert_close(calibrate(scores, 1.98447, 0.93984), expected)


def test_quality_is_the_models_score_calibrated_and_moves_pixels_only(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    quality, images = MSLIQEQuality(str(tmp_path), 3.0, 0.5), photos(2, 48, 48).requires_grad_()
    scores = quality(images)
    torch.testing.assert_close(scores, calibrate(MSLIQE.from_pretrained(str(tmp_path)).eval()(images), 3.0, 0.5))
    scores.sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    assert not any(p.requires_grad for p in quality.parameters())


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model.safetensors"):
        MSLIQEQuality(str(tmp_path))
