"""Fidelity: how far an image has moved from its reference, lower is closer.

Normalised Laplacian pyramid distance: Laparra, Balle, Berardino, Simoncelli, "Perceptual image quality assessment
using a normalized Laplacian pyramid", Electronic Imaging 2016. The filters and constants below are those fitted there.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .metrics import PyiqaMetric, probes

BINOMIAL = (0.05, 0.25, 0.4, 0.25, 0.05)
SIGMAS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
# weights of the neighbours above, left, right and below in the local amplitude, band by band; the last: low-pass
NEIGHBOURS = (
    (0.1015, 0.1460, 0.1493, 0.1011),
    (0.0837, 0.1846, 0.1986, 0.0757),
    (0.0467, 0.2243, 0.2138, 0.0477),
    (0.0, 0.2616, 0.2503, 0.0),
    (0.0, 0.2552, 0.2598, 0.0),
    (0.0, 0.0717, 0.2215, 0.0),
)
RGB2GRAY = (0.2989, 0.5870, 0.1140)  # BT.601 to four digits, as in MATLAB's documentation of rgb2gray
ROOT_GUARD = 1e-12  # the derivative of a root is infinite at 0, where every ascent starts
SAME = 1e-5  # largest pixel difference between images that count as equal: rounding, far below an 8-bit level


class NLPD(nn.Module):
    """Normalised Laplacian pyramid distance, averaged over the compared bands.

    Args:
        levels: number of bands, 2 to 6, the low-pass residual included.
        low: compare only the low-pass residual (NLPD_low): colour and layout are pinned, detail is free.
        luminance: compare luma in 8 bits, as MATLAB's rgb2gray makes it, instead of the three channels; with 6 levels
            this is the published measure. The gradient is that without the rounding to 8 bits.
    """

    def __init__(self, levels: int = 5, low: bool = True, luminance: bool = False) -> None:
        super().__init__()
        if not 2 <= levels <= len(SIGMAS):
            raise ValueError(f"levels must be from 2 to {len(SIGMAS)}, got {levels}")
        self.levels, self.low, self.luminance = levels, low, luminance

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        """Two batches (B, 3, H, W) in [0, 1] -> (B,) >= 0, 0 for equal images; the gradient is 0 there."""
        pair, squares = [self._compared(images), self._compared(reference)], []
        for level in range(self.levels - 1):
            lows = [_again_in_backward(_reduce, x) for x in pair]
            if not self.low:
                bands = [_again_in_backward(_band, x, low, level) for x, low in zip(pair, lows, strict=True)]
                squares.append(_mean_square(*bands))
            pair = lows
        squares.append(_mean_square(*(_normalise(x, -1) for x in pair)))
        found = torch.stack(squares, dim=1)
        return torch.where(found > ROOT_GUARD, found.clamp_min(ROOT_GUARD).sqrt(), found).mean(dim=1)

    def _compared(self, x: Tensor) -> Tensor:
        if not self.luminance:
            return x
        x = (x * x.new_tensor(RGB2GRAY)[:, None, None]).sum(dim=1, keepdim=True)
        return x + ((255 * x).round() / 255 - x).detach()


def _again_in_backward(function: Callable[..., Tensor], x: Tensor, *others: Any) -> Tensor:
    """A backward pass computes the function again: what it would keep is some times as large as x."""
    if not x.requires_grad:
        return function(x, *others)
    found: Tensor = checkpoint(function, x, *others, use_reentrant=False, preserve_rng_state=False)
    return found


def _mean_square(a: Tensor, b: Tensor) -> Tensor:
    """(B,)"""
    return (a - b).square().mean(dim=(1, 2, 3))


# The filters are sums of shifted images: oneDNN's convolution of three channels takes nine times the memory of x.


def _reduce(x: Tensor) -> Tensor:
    """Low-pass filter and halve (rounding up), the border mirrored with its edge pixel repeated."""
    for dim in (2, 3):
        last = x.shape[dim] - 1
        index = [min(1, last), 0, *range(last + 1), last, max(last - 1, 0)]
        index += [0] * (len(index) % 2)  # not used, but pairs the lines
        lines = x.index_select(dim, torch.tensor(index, device=x.device)).movedim(dim, 0)
        pairs = lines.unflatten(0, (-1, 2)).unbind(1)
        count = last // 2 + 1
        total = BINOMIAL[0] * pairs[0][:count]
        for k, weight in enumerate(BINOMIAL[1:], start=1):
            total = total.add_(pairs[k % 2][k // 2 : k // 2 + count], alpha=weight)
        x = total.movedim(0, dim)
    return x


def _expand(low: Tensor, like: Tensor) -> Tensor:
    """Double by inserting zeros and low-pass filter, cropped to the size of ``like``; the border is repeated."""
    for dim in (2, 3):
        last = low.shape[dim] - 1
        before, after = (low.narrow(dim, start, last) for start in (0, 1))
        before = torch.cat([low.narrow(dim, 0, 1), before], dim)
        after = torch.cat([after, low.narrow(dim, last, 1)], dim)
        even = (0.4 * low).add_(before + after, alpha=0.05)
        doubled = torch.stack([2 * even, 0.5 * (low + after)], dim + 1)
        low = doubled.flatten(dim, dim + 1).narrow(dim, 0, like.shape[dim])
    return low


def _band(x: Tensor, low: Tensor, level: int) -> Tensor:
    return _normalise(x - _expand(low, x), level)


def _normalise(band: Tensor, level: int) -> Tensor:
    """Divide by the local amplitude: a constant plus a weighted sum of the four neighbours' magnitudes."""
    above, left, right, below = NEIGHBOURS[level]
    size, amplitude = band.abs(), torch.full_like(band, SIGMAS[level])
    amplitude[:, :, 1:].add_(size[:, :, :-1], alpha=above)
    amplitude[:, :, :-1].add_(size[:, :, 1:], alpha=below)
    amplitude[..., 1:].add_(size[..., :-1], alpha=left)
    amplitude[..., :-1].add_(size[..., 1:], alpha=right)
    return band / amplitude


class MSE(nn.Module):
    """Mean squared error."""

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        """Two batches (B, 3, H, W) in [0, 1] -> (B,)."""
        return (images - reference).square().mean(dim=(1, 2, 3))


class PyiqaFidelity(nn.Module):
    """A full-reference metric of pyiqa as a distance: "lpips", "dists", "ssim", "psnr" and others.

    Where higher is better the score is turned round: D = s(x, x) - s, with s(x, x) measured once, on a fixed image, so
    that 1 - SSIM is what "ssim" gives. At equal images, where some metrics have an infinite derivative, the gradient
    is 0.

    Args:
        name: pyiqa's name of the metric.
        options: of the metric, such as ``pretrained_model_path``: a local file with its weights.

    Raises:
        UserError: no such metric, its weights cannot be had, or it is not differentiable.
    """

    def __init__(self, name: str, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.metric = PyiqaMetric(name, "FR", options)
        probe, _ = probes()
        with torch.no_grad():
            self.best = 0.0 if self.metric.lower_better else self.metric(probe, probe).item()

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        """Two batches (B, 3, H, W) in [0, 1] -> (B,), lower is closer, 0 or nearly so for equal images.

        Raises:
            UserError: the metric does not take images of this size.
        """
        same = ((images - reference).abs() <= SAME).flatten(1).all(dim=1)
        images = torch.where(same[:, None, None, None], reference, images)  # cuts the gradient, even one that is nan
        scores = self.metric(images, reference)
        return scores if self.metric.lower_better else self.best - scores
