from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlmap.run.pictures import save_picture, save_png, shrink, to_grey, to_pillow
from mslique import decode_image, read_image


def test_png_holds_the_rounded_values(tmp_path: Path) -> None:
    image = torch.tensor([0.0, 0.5, 1.2, 100.4 / 255]).view(1, 2, 2).expand(3, 2, 2)
    save_png(image, tmp_path / "a" / "b.png")
    assert np.asarray(Image.open(tmp_path / "a" / "b.png"))[..., 1].tolist() == [[0, 128], [255, 100]]


def test_luma_is_that_of_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    ours = to_grey(torch.from_numpy(pixels).permute(2, 0, 1) / 255)
    assert torch.equal(ours[0], ours[2])
    difference = np.asarray(to_pillow(ours, grey=True)).astype(int) - np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.abs(difference).max() <= 1  # Pillow's weights have 16 bits


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jp2"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_mode_survives_without_loss(mode: str, suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (3, 20, 24), dtype=np.uint8)) / 255
    alpha = torch.from_numpy(rng.integers(1, 256, (20, 24), dtype=np.uint8)) / 255 if "A" in mode else None
    grey = mode.startswith("L")
    image = image[:1].expand(3, -1, -1) if grey else image
    path = tmp_path / f"x.{suffix}"
    save_picture(to_pillow(image, alpha, grey), path)
    back = decode_image(path)
    assert torch.equal(back.image, image) and back.grey == grey
    assert (back.alpha is None) == (alpha is None) and (alpha is None or torch.equal(back.alpha, alpha))


@pytest.mark.parametrize("suffix", ["JPG", "jfif", "mpo", "avif"])
def test_jpeg_and_avif_have_full_colour_resolution_and_jpeg_no_transparency(suffix: str, tmp_path: Path) -> None:
    image = torch.zeros(3, 16, 16)
    image[0, :, ::2] = 1.0  # columns of one pixel, which 4:2:0 would blur
    alpha = torch.ones(16, 16)
    alpha[8:] = 0
    save_picture(to_pillow(image, alpha), tmp_path / f"x.{suffix}")
    back = read_image(tmp_path / f"x.{suffix}")
    assert (back[:, :7] - image[:, :7]).abs().max() < 0.1 and back[:, 9:].min() > 0.95


@pytest.mark.parametrize("suffix", ["png", "jpg", "mpo", "avif", "webp", "tif"])
def test_metadata_on_request(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "A camera"
    exif[0x8769] = {0x829A: 0.25}
    Image.new("RGB", (4, 2)).save(tmp_path / "in.jpg", exif=exif, xmp=b"<x>\xc3\xa9</x>")
    source = decode_image(tmp_path / "in.jpg")
    path = tmp_path / f"x.{suffix}"
    save_picture(to_pillow(source.image), path, source)
    back = Image.open(path)
    assert back.size == (2, 4) and back.getexif().get(0x0112, 1) == 1 and back.getexif()[0x0110] == "A camera"
    assert float(back.getexif().get_ifd(0x8769)[0x829A]) == 0.25 and back.info["xmp"] == b"<x>\xc3\xa9</x>"
    save_picture(to_pillow(source.image), path)
    assert 0x0110 not in Image.open(path).getexif() and "xmp" not in Image.open(path).info


def test_small_pictures_keep_their_size_and_transparency() -> None:
    assert shrink(Image.new("LA", (9, 7)), 640).size == (9, 7) and shrink(Image.new("LA", (9, 7)), 640).mode == "RGBA"
