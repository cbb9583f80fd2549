"""Whatever a TIFF or PNG stores its numbers in: it is read like its twin of 8 bits, or refused by name."""

import io
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import chunk, png
from PIL import Image
from tiffs import (
    BLACK_IS_ZERO,
    CMYK,
    FLOAT,
    LAB,
    PALETTE,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    grey_profile,
    tiff,
)

from mslique import Decoded, UserError, decode_image

EIGHT = np.random.default_rng(0).integers(0, 256, (5, 7, 4))
EIGHT[..., 3] |= 128
LAYOUTS = list(product("<>", (False, True)))
"""Byte order; whether the channels lie one after another."""


def read(path: Path, data: bytes) -> Decoded:
    path.write_bytes(data)
    with warnings.catch_warnings(action="error"):
        return decode_image(path)


def refusal(path: Path, data: bytes) -> str:
    with pytest.raises(UserError, match=f"{path.name} cannot be decoded as an image .*: save it ") as error:
        read(path, data)
    return str(error.value)


def shown(light: np.ndarray) -> np.ndarray:
    """Light in [0, 1] as sRGB from 0 to 255 (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def check(decoded: Decoded, colours: np.ndarray, alpha: np.ndarray | None = None) -> None:
    """Whether it shows the colours (H, W, 3 or 1), from 0 to 255, within one level."""
    height, width = colours.shape[:2]
    assert decoded.image.shape == (3, height, width)
    found = decoded.image.permute(1, 2, 0).double() * 255
    torch.testing.assert_close(found, torch.from_numpy(colours * 1.0).expand(-1, -1, 3), rtol=0, atol=1.001)
    assert (decoded.alpha is None) == (alpha is None)
    if decoded.alpha is not None and alpha is not None:
        torch.testing.assert_close(decoded.alpha.double() * 255, torch.from_numpy(alpha * 1.0), rtol=0, atol=1.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.tif"


GREYS = [(photometric, bits, UNSIGNED) for photometric in (0, 1) for bits in (1, 2, 4, 8, 16)]
GREYS += [(BLACK_IS_ZERO, 12, UNSIGNED), (BLACK_IS_ZERO, 32, UNSIGNED), (WHITE_IS_ZERO, 32, FLOAT), (1, 32, FLOAT)]


@pytest.mark.parametrize(("photometric", "bits", "kind"), GREYS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
def test_grey_of_every_depth(photometric: int, bits: int, kind: int, order: str, packed: bool, path: Path) -> None:
    white = 1 if kind == FLOAT else 2**bits - 1
    values = EIGHT[..., :1] / 255 * white
    values = values if kind == FLOAT else values.round().astype(np.int64)
    stored = white - values if photometric == WHITE_IS_ZERO else values
    data = tiff(stored, photometric, bits, kind, order, packed=packed)
    if order == ">" and (bits == 12 or (photometric, bits) == (WHITE_IS_ZERO, 16) or (bits == 32 and kind == UNSIGNED)):
        assert "kind of TIFF" in refusal(path, data)
        return
    if order == ">" and packed and bits == 32:
        assert "without compression" in refusal(path, data)
        return
    decoded = read(path, data)
    check(decoded, values / white * 255)
    assert decoded.grey


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
def test_signed_and_rare_greys_are_refused(bits: int, path: Path) -> None:
    for photometric, kind in product((WHITE_IS_ZERO, BLACK_IS_ZERO), (UNSIGNED, SIGNED, FLOAT)):
        known = (photometric, bits, kind) in GREYS or (kind, bits, photometric) == (SIGNED, 32, BLACK_IS_ZERO)
        if known or (kind == FLOAT and bits < 16):
            continue
        told = refusal(path, tiff(EIGHT[..., :1] // 4, photometric, bits, kind))
        assert "signed numbers" in told or "kind of TIFF" in told


@pytest.mark.parametrize(("order", "planar"), LAYOUTS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("packed", [False, True])
def test_colours_of_every_layout(order: str, planar: bool, bits: int, packed: bool, path: Path) -> None:
    """Channels of 16 bits that lie one after another are refused without compression: Pillow reads noise there."""
    cmyk = np.asarray(Image.fromarray(EIGHT.astype(np.uint8), "CMYK").convert("RGB"))
    cases = [(EIGHT[..., :3], RGB, EIGHT[..., :3]), (EIGHT, CMYK, cmyk)]
    for stored, photometric, expected in cases:
        data = tiff(stored * (257 if bits == 16 else 1), photometric, bits, UNSIGNED, order, planar, packed=packed)
        if planar and bits == 16 and not packed:
            assert "interleaved" in refusal(path, data)
        else:
            check(read(path, data), expected)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["unspecified", "premultiplied", "straight"])
def test_alpha_of_colour_and_grey(order: str, bits: int, kind: int, path: Path) -> None:
    clear = EIGHT[..., 3]
    for colours, photometric in ((EIGHT[..., :3], RGB), (EIGHT[..., :1], BLACK_IS_ZERO)):
        below = np.minimum(colours, clear[..., None])
        stored = np.concatenate([below if kind == 1 else colours, clear[..., None]], 2) * (257 if bits == 16 else 1)
        data = tiff(stored, photometric, bits, UNSIGNED, order, extra=[kind])
        if photometric == BLACK_IS_ZERO and bits == 16:
            assert "kind of TIFF" in refusal(path, data)
            continue
        check(read(path, data), below / clear[..., None] * 255 if kind == 1 else colours, clear if kind else None)


@pytest.mark.parametrize(("order", "planar"), LAYOUTS)
def test_lab_and_luma_with_chroma(order: str, planar: bool, path: Path) -> None:
    luma = np.asarray(Image.fromarray(EIGHT[..., :3].astype(np.uint8)).convert("YCbCr"))
    whole = tiff(luma, YCBCR, 8, UNSIGNED, order, planar)
    grey = np.stack([EIGHT[..., 0], 0 * EIGHT[..., 0], 0 * EIGHT[..., 0]], 2)
    lightness = tiff(grey, LAB, 8, UNSIGNED, order, planar)
    if planar:
        assert refusal(path, whole) and "interleaved" in refusal(path, lightness)
        return
    check(read(path, whole), np.asarray(Image.fromarray(luma, "YCbCr").convert("RGB")))
    light = (grey[..., :1] / 2.55 + 16) / 116
    linear = np.where(light > 6 / 29, light**3, 3 * (6 / 29) ** 2 * (light - 4 / 29))
    check(read(path, lightness), shown(linear))
    halved = tiff(luma[..., :1], YCBCR, 8, UNSIGNED, order, further={277: (3, [3]), 258: (3, [8, 8, 8])})
    assert "subsampled" in refusal(path, halved)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("factor", [257, 1], ids=["16 bits", "8 bits"])
@pytest.mark.parametrize("order", "<>")
def test_palettes_of_both_depths(bits: int, factor: int, order: str, path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (3, 2**bits))
    stored = EIGHT[..., :1] % 2**bits
    data = tiff(stored, PALETTE, bits, UNSIGNED, order, further={320: (3, list(map(int, (colours * factor).ravel())))})
    check(read(path, data), colours[:, stored[..., 0]].transpose(1, 2, 0))


@pytest.mark.parametrize(("bits", "kind"), [(8, UNSIGNED), (12, UNSIGNED), (16, UNSIGNED), (32, UNSIGNED), (32, FLOAT)])
def test_a_profile_of_grey_is_converted_at_every_depth(bits: int, kind: int, path: Path) -> None:
    white = 1 if kind == FLOAT else 2**bits - 1
    stored = np.linspace(0, white, 64).reshape(8, 8, 1)
    stored = stored if kind == FLOAT else stored.round().astype(np.int64)
    light = stored / white
    profile = grey_profile(1.0)
    decoded = read(path, tiff(stored, BLACK_IS_ZERO, bits, kind, further={34675: (7, profile)}))
    check(decoded, shown(light))
    assert np.abs(decoded.image[0].numpy() * 255 - shown(light)[..., 0]).max() < 0.1


def test_another_profile_of_deep_grey_is_ignored_with_a_note(path: Path) -> None:
    path.write_bytes(tiff(EIGHT[..., :1] * 257, BLACK_IS_ZERO, 16, further={34675: (7, b"nonsense" * 30)}))
    with pytest.warns(UserWarning, match="x.tif: its ICC profile is damaged"):
        check(decode_image(path), EIGHT[..., :1])


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png(depth: int, path: Path) -> None:
    """The second level is transparent, at any depth."""
    values = np.arange(8).reshape(1, 8) % min(2**depth, 8)
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)
    row = b"\0" + np.packbits(bits.ravel()).tobytes()
    decoded = read(path, png(8, 1, row, chunk(b"tRNS", b"\0\1"), depth, colour=0))
    check(decoded, values[..., None] / (2**depth - 1) * 255, 255 * (values != 1))


def test_the_transparent_colour_of_a_png_with_16_bits(path: Path) -> None:
    colours = np.array([[[300, 700, 65535], [300 * 200, 0, 0]]])
    row = b"\0" + colours.astype(">u2").tobytes()
    clear = chunk(b"tRNS", colours[0, 0].astype(">u2").tobytes())
    check(read(path, png(2, 1, row, clear, 16)), colours / 257, np.array([[0, 255]]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "AVIF", "deep"])
def test_every_format_is_turned_upright(orientation: int, kind: str, path: Path) -> None:
    picture = Image.fromarray(np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6).repeat(16, 0).repeat(16, 1))
    picture = picture.convert("RGB") if kind in ("WEBP", "AVIF") else picture
    if kind == "deep":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file, options = io.BytesIO(), {"lossless": True} if kind == "WEBP" else {}
    picture.save(file, "TIFF" if kind == "deep" else kind, exif=exif, **options)
    pixels = np.asarray(picture.convert("RGB") if kind != "deep" else picture)[::16, ::16]
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels // 257
    turns = [lambda x: x, np.fliplr, lambda x: np.rot90(x, 2), np.flipud, np.transpose, lambda x: np.rot90(x, -1)]
    turns += [lambda x: np.rot90(x, 2).T, np.rot90]
    found = read(path, file.getvalue()).image[0, 8::16, 8::16].numpy() * 255
    assert np.abs(found - turns[orientation - 1](pixels)).max() < (3 if kind == "AVIF" else 0.01)
