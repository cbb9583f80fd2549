import pytest
import torch
from numpy.random import default_rng

from mslique.data.crops import clean_crop, varied


def test_crops_show_several_scales_and_skip_empty_sky() -> None:
    photo = torch.full((3, 256, 256), 128, dtype=torch.uint8)
    photo[:, :, 128:] = torch.arange(128).remainder(2).mul(255)  # a smooth half and a half of one-pixel stripes
    crops = [clean_crop(photo, 64, default_rng(seed)) for seed in range(60)]
    contrast = torch.stack([crop.std() for crop in crops])
    assert (contrast < 0.01).float().mean() < 0.15  # 1/4 or more of all squares are smooth
    striped = contrast[contrast > 0.01]
    assert striped.min() < 0.05 and striped.max() > 0.25  # shrinking blends the stripes


def test_variations_rearrange_a_crop_and_change_no_value() -> None:
    crop = torch.rand(3, 16, 16)
    results = torch.stack([varied(crop, default_rng(seed)) for seed in range(200)])
    assert torch.equal(results.flatten(1).sort().values, crop.flatten().sort().values.expand(200, -1))
    assert len(results.unique(dim=0)) == 48  # 8 symmetries of the square, 6 orders of the channels, none rare


@pytest.mark.parametrize("size", [(40, 200), (64, 64), (63, 500)])
def test_photos_smaller_than_a_crop_are_enlarged(size: tuple[int, int]) -> None:
    photo = torch.randint(256, (3, *size), dtype=torch.uint8)
    crop = clean_crop(photo, 64, default_rng(0))
    assert crop.shape == (3, 64, 64) and crop.min() >= 0 and crop.max() <= 1
