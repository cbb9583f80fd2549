"""What sensors, lenses, filters and codecs do besides the plain blur and noise of the module ``mixture``.

In the form of that module. All ranges are [ours].
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import fft, ndimage, signal
from skimage.restoration import denoise_nl_means

from .pixels import Degradation, Pixels, clip, from_pillow, through_file, to_pillow

YCBCR = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
BILINEAR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def lens_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Out of focus: a disc of radius 0.8 to 5 pixels."""
    radius = 0.8 + 4.2 * severity
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return clip(_filtered(image, disc / disc.sum()))


def ringing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """An ideal low-pass at 0.6 down to 0.15 of the Nyquist frequency: blur with waves along every edge."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, 0), (width, 0), (0, 0)), mode="symmetric")  # seamless when repeated
    frequency = np.hypot(np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width))
    passed = np.fft.rfft2(padded, axes=(0, 1)) * (frequency < 0.5 * (0.6 * 0.25**severity))[..., None]
    return clip(np.fft.irfft2(passed, padded.shape[:2], axes=(0, 1))[height:, width:])


def pixelation(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Squares of 1.5 to 5 pixels, each of one colour."""
    height, width = image.shape[:2]
    factor = 1.5 + 3.5 * severity
    small = to_pillow(image).resize((round(width / factor), round(height / factor)), Image.Resampling.BOX)
    return from_pillow(small.resize((width, height), Image.Resampling.NEAREST))


def film_grain(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.12 in soft grains of 0.6 to 2 pixels, in colour or grey."""
    channels = 3 if rng.random() < 0.5 else 1
    size = rng.uniform(0.6, 2)
    noise = ndimage.gaussian_filter(rng.standard_normal((*image.shape[:2], channels)), (size, size, 0), mode="wrap")
    return clip(image + (0.02 + 0.1 * severity) * noise / noise.std())


def pattern_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A grating or lattice of period 2 to 10 pixels, or random rows or columns; standard deviation 0.02 to 0.15."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    if rng.random() < 0.3:
        pattern = rng.standard_normal(max(image.shape))[rows if rng.random() < 0.5 else columns]
    else:
        angle, period, crossed = rng.uniform(0, np.pi), rng.uniform(2, 10), rng.random() < 0.5
        along, across = (
            np.sin(2 * np.pi * (rows * np.sin(a) + columns * np.cos(a)) / period) for a in (angle, angle + np.pi / 2)
        )
        pattern = 2 * along * across if crossed else np.sqrt(2) * along
    tint = rng.uniform(-1, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return clip(image + 0.02 * 7.5**severity * pattern[..., None] * tint / np.abs(tint).max())


def raw_sensor(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A Bayer mosaic with noise of standard deviation 0.01 to 0.15, interpolated bilinearly: blotches of colour."""
    height, width = image.shape[:2]
    mosaic = np.zeros((height, width, 3), np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2, channel] = 1
    noisy = image + np.float32(0.01 + 0.14 * severity) * rng.standard_normal((height, width, 1), np.float32)
    return clip(_filtered(noisy * mosaic, BILINEAR) / _filtered(mosaic, BILINEAR))


def camera_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 under an adaptive Wiener filter of side 5: grain left at edges only."""
    sigma = 0.02 + 0.13 * severity
    noisy = image + sigma * rng.standard_normal(image.shape)
    return clip(np.stack([signal.wiener(noisy[..., c], 5, 1.5 * sigma**2) for c in range(3)], axis=-1))


def edge_preserving_smoothing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A guided filter (He et al. 2010) of radius 2 to 6 that wipes out contrasts below 0.03 to 0.3: skin like wax."""
    side, eps = 2 * int(rng.integers(2, 7)) + 1, (0.03 * 10**severity) ** 2

    def mean(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return ndimage.uniform_filter(values, (side, side, 0), mode="reflect")

    average = mean(image)
    variance = mean(image**2) - average**2
    slope = variance / (variance + eps)
    return clip(mean(slope) * image + mean(average - slope * average))


def palette(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """64 down to 5 colours chosen for the image, dithered or not: a GIF."""
    dither = Image.Dither.FLOYDSTEINBERG if rng.random() < 0.5 else Image.Dither.NONE
    colours = to_pillow(image).quantize(round(64 * (5 / 64) ** severity), Image.Quantize.MEDIANCUT)
    return from_pillow(to_pillow(image).quantize(palette=colours, dither=dither).convert("RGB"))


def avif(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """AVIF of quality 45 down to 0."""
    return through_file(image, format="AVIF", quality=round(45 - 45 * severity), speed=8, max_threads=1)


def ghosting(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A second exposure, of weight 0.15 to 0.5, 2 to 6 pixels away: frames that were merged and did not match."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
    moved = ndimage.shift(image, (distance * np.sin(angle), distance * np.cos(angle), 0), order=1, mode="nearest")
    weight = np.float32(0.15 + 0.35 * severity)
    return clip((1 - weight) * image + weight * moved)


def interlacing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every second row, or every second pair of rows, moved sideways by 0.3 to 4 pixels: a moving camera's video."""
    distance = (0.3 + 3.7 * severity) * (1 if rng.random() < 0.5 else -1)
    odd = (np.arange(image.shape[0]) // int(rng.integers(1, 3)) % 2 == 1)[:, None, None]
    return clip(np.where(odd, ndimage.shift(image, (0, distance, 0), order=1, mode="nearest"), image))


def frosted_glass(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every pixel taken from a random place nearby, at a standard deviation of 0.3 to 2 pixels."""
    places = np.indices(image.shape[:2], np.float32)
    places += np.float32(0.3 + 1.7 * severity) * rng.standard_normal(places.shape, np.float32)
    return clip(np.dstack([ndimage.map_coordinates(image[..., c], places, order=1, mode="mirror") for c in range(3)]))


def aliasing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every 1.3th to 4th pixel kept, without a low-pass, and interpolated: stairs along contours, moire in textures."""
    height, width = image.shape[:2]
    factor = 1.3 + 2.7 * severity
    small = to_pillow(image).resize((round(width / factor), round(height / factor)), Image.Resampling.NEAREST)
    return from_pillow(small.resize((width, height), Image.Resampling.BICUBIC))


def painterly_smoothing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A Kuwahara filter: each pixel the mean of the most even of the four squares, of 2 to 6 pixels, that touch it."""
    reach = 1 + 4 * severity
    low, share = int(reach), np.float32(reach - int(reach))  # a square is whole: between two the results are blended
    smooth = _kuwahara(image, low)
    return clip(smooth if share == 0 else (1 - share) * smooth + share * _kuwahara(image, low + 1))


def transform_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 taken out by thresholds of 8x8 cosine transforms: worms and stains."""
    sigma = 0.02 + 0.13 * severity
    noisy = np.pad(image + sigma * rng.standard_normal(image.shape), ((8, 8), (8, 8), (0, 0)), mode="reflect")
    total, count = np.zeros_like(noisy), np.zeros(noisy.shape[:2] + (1,))
    for top, left in ((0, 0), (3, 5), (5, 2), (2, 7), (6, 4)):  # averaged over a few positions of the blocks
        height, width = (8 * ((side - first) // 8) for side, first in zip(noisy.shape, (top, left), strict=False))
        part = np.s_[top : top + height, left : left + width]
        total[part] += _blockwise(noisy[part], 8, lambda c: np.where(np.abs(c) > 2.7 * sigma, c, 0))
        count[part] += 1
    return clip((total / np.maximum(count, 1))[8:-8, 8:-8])


def video_compression(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Cosine transforms of blocks of 4, 8 or 16 pixels in steps of 0.08 to 0.8, their borders smoothed."""
    size, step = int(rng.choice([4, 8, 16])), 0.08 * 10**severity
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
    steps = step * np.array([1, 1.5, 1.5])  # coarser for colour
    coded = _blockwise(padded @ YCBCR.T, size, lambda c: steps * np.trunc(c / steps + 0.3 * np.sign(c)))
    for axis in (0, 1):
        coded = _deblocked(coded.swapaxes(0, axis), size, step / 3).swapaxes(0, axis)
    return clip(coded @ np.linalg.inv(YCBCR).T)[:height, :width]


def bilateral_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 under a bilateral filter: flat between hard edges."""
    reach, sigma = 3, 0.02 + 0.13 * severity
    noisy = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    (height, width), padded = image.shape[:2], np.pad(noisy, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    total, count = np.zeros_like(noisy), np.zeros_like(noisy[..., :1])
    for row, column in np.ndindex(2 * reach + 1, 2 * reach + 1):
        near = padded[row : row + height, column : column + width]
        far = ((row - reach) ** 2 + (column - reach) ** 2) / 8
        weight = np.exp(-far - np.square(near - noisy).mean(axis=-1, keepdims=True) / (2 * (2 * sigma) ** 2))
        total, count = total + weight * near, count + weight
    return clip(total / count)


def patch_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 taken out by non-local means: texture gone, rare patches left noisy."""
    sigma = 0.02 + 0.13 * severity
    noisy = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    return clip(denoise_nl_means(noisy, patch_size=5, patch_distance=5, h=0.8 * sigma, sigma=sigma, channel_axis=-1))


def wavelet_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 taken out by soft thresholds of three Haar scales: stairs and blots."""
    sigma, (height, width) = 0.02 + 0.13 * severity, image.shape[:2]
    noisy = image + sigma * rng.standard_normal(image.shape)
    coarse = np.pad(noisy, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
    details = []
    for _ in range(3):
        a, b, c, d = coarse[::2, ::2], coarse[1::2, ::2], coarse[::2, 1::2], coarse[1::2, 1::2]
        found = np.stack([a + b - c - d, a - b + c - d, a - b - c + d]) / 2
        details.append(np.sign(found) * np.maximum(np.abs(found) - 1.5 * sigma, 0))
        coarse = (a + b + c + d) / 2
    for x, y, z in reversed(details):
        whole = np.empty((2 * coarse.shape[0], 2 * coarse.shape[1], 3))
        whole[::2, ::2], whole[1::2, ::2] = (coarse + x + y + z) / 2, (coarse + x - y - z) / 2
        whole[::2, 1::2], whole[1::2, 1::2] = (coarse - x + y - z) / 2, (coarse - x - y + z) / 2
        coarse = whole
    return clip(coarse[:height, :width])


def chroma_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Blots of colour, of standard deviation 0.02 to 0.15 and 1 to 4 pixels, on unchanged brightness: high ISO."""
    size = rng.uniform(1, 4)
    noise = ndimage.gaussian_filter(rng.standard_normal((*image.shape[:2], 2)), (size, size, 0), mode="wrap")
    parts = image @ YCBCR.T
    parts[..., 1:] += (0.02 + 0.13 * severity) * noise / noise.std()
    return clip(parts @ np.linalg.inv(YCBCR).T)


def local_contrast(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Differences from the surroundings, of 5 to 15 pixels, enlarged by 0.2 to 1.5: wide halos, a harsh sky."""
    radius = rng.uniform(5, 15)
    low = ndimage.gaussian_filter(image, (radius, radius, 0), truncate=3)
    return clip(image + np.float32(0.2 + 1.3 * severity) * (image - low))


def dust_and_scratches(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """3 to 60 light or dark specks and lines on 100x100 pixels: an old print, a dirty film."""
    height, width = image.shape[:2]
    dirty = to_pillow(image)
    draw = ImageDraw.Draw(dirty)
    for _ in range(round((3 + 57 * severity) * height * width / 1e4)):
        x, y, angle, kind, tone = rng.uniform(0, 1, 5) * (width, height, 2 * np.pi, 1, 60)
        colour = (round(tone if rng.random() < 0.5 else 255 - tone),) * 3
        if kind < 0.3:
            length = rng.uniform(5, 50)
            draw.line((x, y, x + length * np.cos(angle), y + length * np.sin(angle)), fill=colour)
        else:
            a, b = rng.uniform(0.3, 2.2, 2)
            draw.ellipse((x - a, y - b, x + a, y + b), fill=colour)
    return from_pillow(dirty)


def block_loss(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """2 to 30 % of the blocks of 8 or 16 pixels lost and filled from their left, or grey: a broken transmission."""
    size, grey, (height, width) = int(rng.choice([8, 16])), rng.random() < 0.3, image.shape[:2]
    blocks = rng.random((-(-height // size), -(-width // size))) < 0.02 + 0.28 * severity
    lost = np.kron(blocks, np.ones((size, size)))[:height, :width, None] > 0
    filled = np.roll(image, size, axis=1)
    filled[:, :size] = image[:, size : 2 * size] if width >= 2 * size else 0.5
    return clip(np.where(lost, 0.5 if grey else filled, image))


def texture_compression(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Blocks of 4 pixels in their two extreme colours, or of 8 in four between them, 20 to 100 % of it: old games."""
    (size, steps), (height, width) = ((4, 1), (8, 3))[rng.integers(2)], image.shape[:2]
    padded = np.pad(image, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // size, size, padded.shape[1] // size, size, 3)
    low, high = blocks.min(axis=(1, 3), keepdims=True), blocks.max(axis=(1, 3), keepdims=True)
    line = high - low
    place = ((blocks - low) * line).sum(-1, keepdims=True) / np.maximum((line * line).sum(-1, keepdims=True), 1e-6)
    coded = (low + np.round(steps * place) / steps * line).reshape(padded.shape)[:height, :width]
    share = np.float32(0.2 + 0.8 * severity)
    return clip((1 - share) * image + share * coded)


ARTEFACTS: dict[str, Degradation] = {
    f.__name__: f
    for f in (lens_blur, ringing, pixelation, film_grain, pattern_noise, raw_sensor, camera_denoising,
              edge_preserving_smoothing, palette, avif, ghosting, interlacing, frosted_glass, aliasing,
              painterly_smoothing, transform_denoising, video_compression, bilateral_denoising, patch_denoising,
              wavelet_denoising, chroma_noise, local_contrast, dust_and_scratches, block_loss,
              texture_compression)
}  # fmt: skip


def _filtered(image: Pixels, kernel: NDArray[np.floating]) -> Pixels:
    return np.stack([ndimage.convolve(image[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)


def _kuwahara(image: Pixels, reach: int) -> Pixels:
    """Squares of ``reach + 1`` pixels a side."""
    first, second = (ndimage.uniform_filter(v, (reach + 1, reach + 1, 0)) for v in (image, image**2))
    spread = (second - first**2).sum(axis=-1)
    near, far = reach // 2, (reach + 1) // 2  # from a pixel to the centres of the squares that begin or end there
    shifts = [(row, column) for row in (-near, far) for column in (-near, far)]
    padded_mean = np.pad(first, ((far, far), (far, far), (0, 0)), mode="edge")
    padded_spread = np.pad(spread, far, mode="edge")
    height, width = spread.shape
    windows = [np.s_[far + row : far + row + height, far + column : far + column + width] for row, column in shifts]
    best = np.argmin([padded_spread[window] for window in windows], axis=0)
    return np.take_along_axis(np.stack([padded_mean[window] for window in windows]), best[None, ..., None], axis=0)[0]


def _blockwise(
    image: NDArray[np.floating], size: int, change: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> NDArray[np.floating]:
    """Change the orthonormal cosine transforms (rows, size, columns, size, 3) of all blocks, but not their means."""
    height, width = image.shape[:2]
    blocks = fft.dctn(image.reshape(height // size, size, width // size, size, 3), axes=(1, 3), norm="ortho")
    changed = change(blocks)
    changed[:, 0, :, 0] = blocks[:, 0, :, 0]
    return fft.idctn(changed, axes=(1, 3), norm="ortho").reshape(image.shape)


def _deblocked(image: NDArray[np.floating], size: int, threshold: float) -> NDArray[np.floating]:
    """Steps smaller than the threshold between the rows at borders of blocks become ramps."""
    image = image.copy()
    above, below = image[size - 1 : -1 : size], image[size::size]
    gap = np.where(np.abs(below - above) < threshold, below - above, 0)
    image[size - 1 : -1 : size] += gap / 4
    image[size::size] -= gap / 4
    return image
