import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import chunk, png
from PIL import Image, ImageCms, ImageFile

from mslique import UserError, decode_image, image_size, read_image
from mslique.io import opening


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


def test_a_damaged_profile_is_ignored_with_a_warning(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (51, 102, 204)).save(tmp_path / "x.jpg", icc_profile=b"nonsense", quality=100)
    with pytest.warns(UserWarning, match="x.jpg: its ICC profile is damaged"):
        decoded = decode_image(tmp_path / "x.jpg")
    assert "ICC profile" in decoded.note
    torch.testing.assert_close(decoded.image[:, 0, 0], torch.tensor([0.2, 0.4, 0.8]), rtol=0, atol=2 / 255)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_colours_and_alpha_are_kept_apart(mode: str, tmp_path: Path) -> None:
    """The colour below a transparent pixel is what the file stores, not what a background makes of it."""
    stored = Image.new("L", (3, 1), 102).convert("RGBA")
    for x, alpha in enumerate((0, 128, 255)):
        stored.putpixel((x, 0), (102, 102, 102, alpha))
    stored.convert(mode).save(tmp_path / ("x.tif" if mode == "PA" else "x.png"))
    decoded = decode_image(next(tmp_path.iterdir()))
    assert decoded.alpha is not None and decoded.alpha.mul(255).round().tolist() == [[0, 128, 255]]
    assert decoded.image.mul(255).round().unique().tolist() == [102] and decoded.grey


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "1", "P"])
def test_grey_is_known(mode: str, tmp_path: Path) -> None:
    Image.linear_gradient("L").convert(mode).save(tmp_path / "x.png")
    assert decode_image(tmp_path / "x.png").grey
    coloured = Image.linear_gradient("L").convert("RGB")
    coloured.putpixel((9, 9), (1, 2, 3))
    coloured.save(tmp_path / "y.png")
    assert not decode_image(tmp_path / "y.png").grey


def test_the_first_frame_is_used_and_said_so(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:], lossless=True)
    with pytest.warns(UserWarning, match="only the first of 3 frames"):
        decoded = decode_image(tmp_path / "x.webp")
    assert decoded.image[:, 0, 0].tolist() == [1, 0, 0] and decoded.note == "only the first of 3 frames is used"


def test_exif_tells_of_the_capture_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x0103] = 6, "A camera", 6
    exif[0x8769] = {0x829A: 0.25, 0xA001: 65535, 0xA002: 4000}
    Image.new("RGB", (4, 2)).save(tmp_path / "x.jpg", exif=exif, xmp=b'<x tiff:Orientation="6"/>')
    decoded = decode_image(tmp_path / "x.jpg")
    kept = Image.Exif()
    kept.load(decoded.exif)
    assert kept[0x0110] == "A camera" and 0x0112 not in kept and 0x0103 not in kept
    assert kept.get_ifd(0x8769) == {0x829A: 0.25, 0xA001: 1}
    assert decoded.xmp == b"<x />" and decoded.image.shape == (3, 4, 2)


def test_a_file_that_claims_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow would refuse twice this
    assert read_image(tmp_path / "x.png").shape == (3, 100, 100)
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.setattr(opening, "MAX_PIXELS", 9999)
    with pytest.raises(UserError, match="x.png cannot be decoded .*100 x 100 pixels are more than 9,999"):
        read_image(tmp_path / "x.png")


def test_a_large_picture_in_a_few_bytes_is_refused(tmp_path: Path) -> None:
    Image.new("1", (5000, 5000)).save(tmp_path / "x.png")
    with pytest.raises(UserError, match="5000 x 5000 pixels in [0-9,]+ bytes are no photograph"):
        read_image(tmp_path / "x.png")


def test_a_picture_is_what_its_content_says(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2), "red").save(tmp_path / "jpeg.png", "JPEG")
    assert read_image(tmp_path / "jpeg.png").shape == (3, 2, 4)
    for kind in ("EPS", "PDF", "ICO", "PPM"):  # of these, EPS would have Ghostscript run
        Image.new("RGB", (32, 32)).save(tmp_path / "x.png", kind)
        with pytest.raises(UserError, match="x.png cannot be decoded"):
            read_image(tmp_path / "x.png")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.5, value]], dtype=np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match="not finite"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(np.float32([[-1, 0.25, 3]]), [0, 0.25, 1]), (np.int32([[-9, 13107, 65536]]), [0, 0.2, 1])],
    ids=["float", "32 bits"],
)
def test_values_beyond_black_and_white_are_clipped_and_said_so(
    stored: np.ndarray, expected: list[float], tmp_path: Path
) -> None:
    Image.fromarray(stored).save(tmp_path / "x.tif")
    with pytest.warns(UserWarning, match="where white is 1, were clipped"):
        decoded = decode_image(tmp_path / "x.tif")
    torch.testing.assert_close(decoded.image[1, 0], torch.tensor(expected))


def test_damaged_exif_is_ignored_with_a_warning(tmp_path: Path) -> None:
    Image.new("RGB", (4, 2), "red").save(tmp_path / "x.png", exif=b"nonsense")
    with pytest.warns(UserWarning, match="x.png: its EXIF is damaged"):
        assert decode_image(tmp_path / "x.png").image.shape == (3, 2, 4)
    # a quarter turn, and a date that is a number in place of a text
    tags = struct.pack("<HHHII", 2, 0x0112, 3, 1, 6) + struct.pack("<HHIfI", 0x0132, 11, 1, 1.5, 0)
    Image.new("RGB", (4, 2), "red").save(tmp_path / "y.png", exif=b"Exif\0\0II*\0\x08\0\0\0" + tags)
    with pytest.warns(UserWarning, match="y.png: its EXIF is damaged"):
        assert decode_image(tmp_path / "y.png").image.shape == (3, 4, 2)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"hello"])
def test_what_is_no_image_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match="x.png cannot be decoded"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
def test_a_jpeg_without_its_end_is_read_and_one_that_is_cut_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC).convert(options.pop("mode", "RGB"))
    thumbnail = io.BytesIO()
    picture.convert("RGB").resize((32, 32)).save(thumbnail, "JPEG")
    path = tmp_path / "x.jpg"
    picture.save(path, quality=90, exif=b"Exif\0\0MM" + thumbnail.getvalue(), **options)
    data, whole = path.read_bytes(), read_image(path)
    for missing in (2, 5, len(data) // 200):
        path.write_bytes(data[:-missing])
        with pytest.warns(UserWarning, match=r"x.jpg: .*its end is missing"):
            decoded = decode_image(path)
        different = (decoded.image - whole).abs().amax(0) > 2 / 255
        assert different.float().mean() <= (0.02 if missing > 5 else 0.01)
    for share in (0.1, 0.5, 0.9):  # of the pixels, without the thumbnail
        path.write_bytes(data[: -int((len(data) - len(thumbnail.getvalue())) * (1 - 0.9 * share))])
        with pytest.raises(
            UserError, match=r"x.jpg cannot be decoded .*(it is cut off, .* missing: copy it again|Error)"
        ):
            decode_image(path)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_how_much_is_missing_is_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.jpg")
    data = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(data[: len(data) - (len(data) - data.index(b"\xff\xda")) // 2])
    with pytest.raises(UserError, match=r"(4[5-9]|5[0-5])% of its pixels are missing: copy it [^:]*\)$"):
        read_image(tmp_path / "x.jpg")
    for cut, note in ((2, "but hardly a pixel"), (len(data) // 60, r"with [01]\.\d% of its pixels")):
        (tmp_path / "x.jpg").write_bytes(data[:-cut])
        with pytest.warns(UserWarning, match=f"its end is missing, {note}"):
            read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP"])
def test_other_truncated_photos_are_refused(kind: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x", kind)
    data = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="x cannot be decoded .*: save it anew"):
        read_image(tmp_path / "x")


def test_metadata_that_are_too_large_or_damaged_do_not_cost_the_picture(tmp_path: Path) -> None:
    """Neither before nor after the pixels; what is sound is kept."""
    path, pixels, xmp, much = tmp_path / "x.png", b"\0" + bytes(range(12)), b"<x/>", zlib.compress(bytes(2 << 20))
    sound = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    bad = [chunk(b"zTXt", b"x\0\0" + much), chunk(b"iTXt", b"x\0\1\0en\0translated\0" + much), chunk(b"iCCP", b"")]
    bad += [chunk(b"iCCP", b"x\0\0" + much), chunk(b"gAMA", bytes(4))[:-1] + b"?"]
    for first, last in [(one, b"") for one in bad] + [(b"", one) for one in bad]:
        data = png(4, 1, pixels, sound + first)
        path.write_bytes(data[:-12] + last + data[-12:])
        kind = (first + last)[4:8].decode()
        with pytest.warns(UserWarning, match=rf"x.png: damaged or very large metadata were ignored \({kind}\)"):
            decoded = decode_image(path)
        assert decoded.image.mul(255).round().permute(1, 2, 0).flatten().tolist() == list(range(12))
        assert decoded.xmp == xmp and image_size(path) == (4, 1)


def test_a_gamma_that_is_not_applied_is_told(tmp_path: Path) -> None:
    for gamma, others, told in ((100000, b"", True), (45455, b"", False), (100000, chunk(b"sRGB", b"\0"), False)):
        further = chunk(b"gAMA", gamma.to_bytes(4)) + others
        (tmp_path / "x.png").write_bytes(png(4, 1, b"\0" + bytes(12), further))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert ("its gamma of 1 was taken for 0.455" in decode_image(tmp_path / "x.png").note) is told
        assert bool(caught) is told


def test_what_cannot_be_opened_has_another_way_out(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("loop.png", "missing.png"):
        with pytest.raises(UserError, match=f"{name} cannot be decoded .*: check the path and the permissions"):
            read_image(tmp_path / name)


def test_photographs_that_are_read_at_once_leave_the_options_of_pillow_alone(tmp_path: Path) -> None:
    """Whichever is closed first, and however many threads there are."""
    bound = Image.MAX_IMAGE_PIXELS
    paths = [tmp_path / f"{k}.png" for k in range(8)]
    for k, path in enumerate(paths):
        Image.new("RGB", (64, 64), (k, 0, 0)).save(path)
    first, second = ExitStack(), ExitStack()
    for stack, path in ((first, paths[0]), (second, paths[1])):
        stack.enter_context(opening.opened_image(path))
    first.close()
    second.close()
    seen = {(Image.MAX_IMAGE_PIXELS, False)}

    def read(path: Path) -> int:
        red = round(read_image(path)[0].max().item() * 255)
        seen.add((Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES))
        return red

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, paths * 10)) == list(range(8)) * 10
    assert seen == {(bound, False)}
