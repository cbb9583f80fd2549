from pathlib import Path

import numpy as np
import pytest
import torch

from dlmap.pretrain.crops import CropDataset, PhotoCrops
from dlmap.run.pictures import save_png
from mslique import UserError


def test_a_crop_depends_on_seed_and_index_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlmap.pretrain.crops.PROCEDURAL_SIZE", 16)
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    one, two = (CropDataset([photo], 16, 100, seed, 0.5) for seed in (0, 1))
    again = CropDataset([photo], 16, 100, 0, 0.5)
    assert all(torch.equal(one[k], again[k]) for k in (7, 3, 99))
    assert not torch.equal(one[7], two[7])
    assert one[0].shape == (3, 16, 16) and one[0].min() >= 0 and one[0].max() <= 1


def test_crops_are_cut_from_the_photo() -> None:
    photo = np.arange(40 * 50 * 3, dtype=np.uint32).reshape(40, 50, 3) % 251
    crop = CropDataset([photo.astype(np.uint8)], 8, 1, 0, 0.0)[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    places = [photo[y : y + 8, x : x + 8] for y in range(33) for x in range(43)]
    assert any((crop == place).all() or (crop == place[:, ::-1]).all() for place in places)


def test_photos_too_small(tmp_path: Path) -> None:
    save_png(torch.zeros(3, 20, 20), tmp_path / "small.png")
    with pytest.raises(UserError, match="both sides >= 64"):
        PhotoCrops(str(tmp_path), size=64).train_dataloader()
