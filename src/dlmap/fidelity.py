"""Fidelity: how far an image has moved from its reference, lower is closer.

Normalised Laplacian pyramid distance: Laparra, Balle, Berardino, Simoncelli, "Perceptual image quality assessment
using a normalized Laplacian pyramid", Electronic Imaging 2016. The filters and constants below are those fitted there.
"""

from typing import Any

import torch
import torch.nn.functional as F
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
        bands = zip(self._bands(images), self._bands(reference), strict=True)
        squares = torch.stack([(a - b).square().mean(dim=(1, 2, 3)) for a, b in bands], dim=1)
        return torch.where(squares > ROOT_GUARD, squares.clamp_min(ROOT_GUARD).sqrt(), squares).mean(dim=1)

    def _bands(self, x: Tensor) -> list[Tensor]:
        if self.luminance:
            x = (x * x.new_tensor(RGB2GRAY)[:, None, None]).sum(dim=1, keepdim=True)
            x = x + ((255 * x).round() / 255 - x).detach()
        bands = []
        for level in range(self.levels - 1):
            low = _reduce(x)
            if not self.low:
                bands.append(_normalise(x - _expand(low, x), level))
            x = low
        return [*bands, _normalise(x, -1)]


def _kernel(x: Tensor) -> Tensor:
    line = x.new_tensor(BINOMIAL)
    return torch.outer(line, line).expand(x.shape[1], 1, 5, 5)


def _reduce(x: Tensor) -> Tensor:
    """Low-pass filter and halve (rounding up), the border mirrored with its edge pixel repeated.

    Computed again in a backward pass: what it would keep is as large as x.
    """
    return checkpoint(_halved, x, use_reentrant=False, preserve_rng_state=False) if x.requires_grad else _halved(x)


def _halved(x: Tensor) -> Tensor:
    # sums of the even and of the odd lines: oneDNN's convolution of three channels takes nine times the memory of x
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
    """Double by inserting zeros and low-pass filter, cropped to the size of ``like``."""
    padded = F.pad(low, (1, 1, 1, 1), mode="replicate")
    doubled = F.conv_transpose2d(padded, 4 * _kernel(low), stride=2, groups=low.shape[1])
    return doubled[..., 4 : 4 + like.shape[2], 4 : 4 + like.shape[3]]


def _normalise(band: Tensor, level: int) -> Tensor:
    """Divide by the local amplitude: a constant plus a weighted sum of the four neighbours' magnitudes."""
    above, left, right, below = NEIGHBOURS[level]
    kernel = band.new_tensor([[0.0, above, 0.0], [left, 0.0, right], [0.0, below, 0.0]])
    amplitude = F.conv2d(band.abs(), kernel.expand(band.shape[1], 1, 3, 3), padding=1, groups=band.shape[1])
    return band / (SIGMAS[level] + amplitude)


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
