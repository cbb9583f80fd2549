from pathlib import Path

import pytest
import torch
from numpy.random import default_rng
from PIL import Image
from torch.utils.data import DataLoader

from mslique.data import crops
from mslique.data.crops import RecentPhotos, clean_crop, varied


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


@pytest.fixture
def decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that are decoded from now on; 0.png to 5.png have 3 * 32 * 32 bytes, large.png four times as many."""
    for name in ("0", "1", "2", "3", "4", "5", "large"):
        side = 64 if name == "large" else 32
        Image.new("RGB", (side, side), "red").save(tmp_path / f"{name}.png")
    asked: list[Path] = []
    read = crops.read_image
    monkeypatch.setattr(crops, "read_image", lambda path: (asked.append(path), read(path))[1])
    monkeypatch.setattr(crops, "CACHED_BYTES", 4 * 3 * 32 * 32 - 1)
    return asked


def test_photos_are_kept_up_to_a_number_of_bytes(decoded: list[Path], tmp_path: Path) -> None:
    recent = RecentPhotos()
    for name in ("0", "1", "2", "0", "3", "0", "1"):  # three fit; the one that was not asked for longest goes
        assert recent(tmp_path / f"{name}.png").shape == (3, 32, 32)
    assert [path.stem for path in decoded] == ["0", "1", "2", "3", "1"]
    for _ in range(2):
        assert recent(tmp_path / "large.png").shape == (3, 64, 64)
    assert [path.stem for path in decoded][5:] == ["large", "large"]


def test_workers_share_the_memory_of_kept_photos(decoded: list[Path], tmp_path: Path) -> None:
    """Three fit in a process, one in each of two workers."""
    paths, recent = [tmp_path / f"{name}.png" for name in "0011"], RecentPhotos()

    def twice(pair: list[Path]) -> tuple[int, int]:
        before = len(decoded)
        for path in [*pair, *pair]:
            recent(path)
        return len(decoded) - before, sum(photo.nbytes for photo in recent._photos.values())

    pairs = [[paths[0], paths[2]], [paths[0], paths[2]], [paths[0], paths[0]], [paths[2], paths[2]]]
    found = list(DataLoader(pairs, batch_size=None, num_workers=2, collate_fn=twice, timeout=60))  # type: ignore[arg-type]
    one = 3 * 32 * 32
    assert found == [(4, one), (4, one), (1, one), (0, one)]
    assert twice(pairs[0]) == (2, 2 * one)
