from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from PIL import Image

from dlmap.pretrain.crops import SCALES, CropDataset, PhotoCrops, Source, find_photos, random_crop
from dlmap.run.pictures import save_png
from mslique import UserError


def drawn(image: np.ndarray, scale: float = 1.0) -> Source:
    return Source(drawn=image, scale=scale)


def test_a_crop_depends_on_seed_and_index_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlmap.pretrain.crops.PROCEDURAL_SIZE", 16)
    photo = drawn(default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    one, two = (CropDataset([photo], 16, 100, seed, 0.5) for seed in (0, 1))
    again = CropDataset([photo], 16, 100, 0, 0.5)
    assert all(torch.equal(one[k], again[k]) for k in (7, 3, 99))
    assert not torch.equal(one[7], two[7])
    assert one[0].shape == (3, 16, 16) and one[0].min() >= 0 and one[0].max() <= 1


def test_crops_are_cut_from_the_photo() -> None:
    photo = np.arange(40 * 50 * 3, dtype=np.uint32).reshape(40, 50, 3) % 251
    crop = CropDataset([drawn(photo.astype(np.uint8))], 8, 1, 0, 0.0)[0].permute(1, 2, 0).mul(255).round().byte()
    places = [photo[y : y + 8, x : x + 8] for y in range(33) for x in range(43)]
    assert any((crop.numpy() == place).all() or (crop.numpy() == place[:, ::-1]).all() for place in places)


def test_crops_are_those_of_the_photos_shrunk_as_a_whole(tmp_path: Path) -> None:
    """And the photos are not in memory, neither whole nor shrunk: the second one is read when its crop is asked for."""
    images = [
        default_rng(k).integers(0, 256, shape, dtype=np.uint8) for k, shape in enumerate([(97, 61, 3), (50, 71, 3)])
    ]
    for k, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    size, seed = 24, 3
    shrunk = []
    for image in images:
        for scale in SCALES:
            width, height = (round(side * scale) for side in image.shape[1::-1])
            if min(width, height) >= size:
                shrunk.append(np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)))
    found = find_photos(tmp_path, size)
    assert len(found) == len(shrunk) == 6
    data = CropDataset(found, size, 60, seed, 0.0)
    for index in range(60):
        rng = default_rng((seed, index))
        rng.random()
        whole = shrunk[rng.integers(len(shrunk))]
        top, left = (int(rng.integers(0, side - size + 1)) for side in whole.shape[:2])
        expected = whole[top : top + size, left : left + size]
        expected = expected[:, ::-1] if rng.random() < 0.5 else expected
        difference = data[index].permute(1, 2, 0).mul(255).numpy() - expected
        assert abs(difference).max() < 1.01 and (abs(difference) > 0.01).mean() < 0.01


def test_no_photo_is_decoded_before_its_crop_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(3):
        save_png(torch.zeros(3, 40, 40), tmp_path / f"{k}.png")
    read: list[Path] = []
    monkeypatch.setattr(
        "dlmap.pretrain.crops.read_photo", lambda path: (read.append(path), torch.zeros(3, 40, 40).byte())[1]
    )
    data = PhotoCrops(str(tmp_path), size=16, batch_size=4, samples=8, procedural=0.0)
    batches = iter(data.train_dataloader())
    assert not read
    assert next(batches).shape == (4, 3, 16, 16) and len(read) == 4


def test_photos_too_small(tmp_path: Path) -> None:
    save_png(torch.zeros(3, 20, 20), tmp_path / "small.png")
    with pytest.raises(UserError, match="both sides >= 64"):
        PhotoCrops(str(tmp_path), size=64).train_dataloader()


def test_damaged_photos_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One without a header, and one whose pixels are cut off: the third stands in, and there is a warning for each."""
    pixels = default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "header.png").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = CropDataset(find_photos(tmp_path, 24), 24, 40, 3, 0.0)
    assert [source.path.name for source in data.photos if source.path] == ["cut.png"] * 2 + ["whole.png"] * 2
    for index in range(20):
        rng = default_rng((3, index))
        rng.random()
        source = data.photos[max(2, rng.integers(4))]
        expected = random_crop(pixels, source.scale, 24, rng)
        assert (data[index].permute(1, 2, 0).mul(255).round().numpy() == expected).all()
    warned = [record.getMessage() for record in caplog.records]
    assert sum("header.png" in line for line in warned) == 1 and sum("cut.png" in line for line in warned) == 1
    (tmp_path / "whole.png").unlink()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="none of the 2 photographs can be decoded"):
        CropDataset(find_photos(tmp_path, 24), 24, 40, 3, 0.0)[0]
