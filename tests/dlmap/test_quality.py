from pathlib import Path

import pytest
import torch
from toys import photos, save_quality

from dlmap.quality import MSLIQEQuality
from mslique import MSLIQE, UserError


def test_quality_is_the_models_score_calibrated_and_moves_pixels_only(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    quality, images = MSLIQEQuality(str(tmp_path), 3.0, 0.5), photos(2, 48, 48).requires_grad_()
    scores = quality(images)
    raw = MSLIQE.from_pretrained(str(tmp_path)).eval()(images)
    torch.testing.assert_close(scores, 100 / (1 + torch.exp(-(raw - 3.0) / 0.5)))
    scores.sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    assert not any(p.requires_grad for p in quality.parameters())


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model.safetensors"):
        MSLIQEQuality(str(tmp_path))
