from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from mslique import UserError, list_images, read_image


def test_sixteen_bit_grey_keeps_its_precision(tmp_path: Path) -> None:
    values = np.array([[0, 1, 300], [32768, 65534, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    torch.testing.assert_close(read_image(tmp_path / "x.png")[1], torch.from_numpy(values.astype(np.float32)) / 65535)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), "red")
    image.putpixel((0, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show
    image.save(tmp_path / "x.png", exif=exif)
    upright = read_image(tmp_path / "x.png")
    assert upright.shape == (3, 4, 2) and upright[:, 0, 1].tolist() == [0, 0, 1]


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (255, 0, 0, 51)).save(tmp_path / "x.png")
    torch.testing.assert_close(read_image(tmp_path / "x.png").flatten(), torch.tensor([1.0, 0.8, 0.8]))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "I;16"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("x.tif" if mode in ("CMYK", "YCbCr") else "x.png")
    Image.new("L", (5, 3), 255).convert(mode).save(path)
    image = read_image(path)
    assert image.shape == (3, 3, 5) and image.dtype == torch.float32


def test_an_embedded_profile_is_converted(tmp_path: Path) -> None:
    """Under a profile whose red and blue are those of sRGB swapped, stored red is blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "x.png", icc_profile=bytes(profile))
    torch.testing.assert_close(read_image(tmp_path / "x.png")[:, 0, 0], torch.tensor([0.0, 0, 1]), rtol=0, atol=0.02)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"hello"])
def test_what_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match="x.png cannot be decoded"):
        read_image(tmp_path / "x.png")


def test_a_truncated_photo_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "x.jpg")
    data = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="truncated"):
        read_image(tmp_path / "x.jpg")


def test_listing_is_sorted_and_recursive(tmp_path: Path) -> None:
    for name in ("b.PNG", "sub/a.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [str(p.relative_to(tmp_path)) for p in list_images(tmp_path)] == ["b.PNG", "sub/a.jpg"]
