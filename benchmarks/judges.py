"""Models and measures that no ascent here optimises, to judge what one has done."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyiqa
import torch
from brisque import BRISQUE
from pyiqa.archs.func_util import normalize_img_with_gauss
from pyiqa.archs.niqe_arch import compute_feature
from pyiqa.matlab_utils import blockproc
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from dlmap.fidelity import NLPD
from dlmap.run.pictures import to_grey
from mslique import MSLIQE, read_image, reference_quality

BLOCK = 32
PATCH = 16
Measure = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


class NIQE(nn.Module):
    """NIQE (Mittal, Soundararajan and Bovik, 2013) on features of pyiqa, fitted to the photographs given, negated.

    The distance between two Gaussians of natural scene statistics: that of the image's blocks and that of clean
    photographs' blocks. The published one needs a download and blocks of 96 pixels; these are of 32 [ours].
    """

    def __init__(self, clean: Iterable[Tensor]) -> None:
        super().__init__()
        blocks = torch.cat([self._features(image) for image in clean])
        self.mean, self.covariance = blocks.nanmean(dim=0), _covariance(blocks)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] -> (1,), at most 0; higher is better."""
        blocks = self._features(image)
        gap = blocks.nanmean(dim=0) - self.mean
        return -(gap @ torch.linalg.pinv((self.covariance + _covariance(blocks)) / 2) @ gap).sqrt()[None]

    @staticmethod
    def _features(image: Tensor) -> Tensor:
        """Of every block, at full and half resolution: (blocks, 36)."""
        height, width = (side // BLOCK * BLOCK for side in image.shape[-2:])
        luma, parts = 255 * to_grey(image.double())[:, :1, :height, :width], []
        for side in (BLOCK, BLOCK // 2):
            parts.append(blockproc(normalize_img_with_gauss(luma), [side, side], fun=compute_feature)[0])
            luma = nn.functional.interpolate(luma, scale_factor=0.5, mode="bicubic", antialias=True)
        return torch.cat(parts, dim=-1)


class Brisque(BRISQUE):
    """BRISQUE (Mittal et al., 2012), negated; the weights, of the package brisque, learnt people's scores."""

    def __call__(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] -> (1,), higher is better."""
        return image.new_tensor([-self.score(image[0].permute(1, 2, 0).mul(255).round().byte().cpu().numpy())])

    def scale_features(self, features: np.ndarray) -> np.ndarray:
        # the package makes arrays of one number, which numpy 2 does not take for numbers
        scaled: np.ndarray = super().scale_features([np.asarray(feature).item() for feature in features])
        return scaled


def _covariance(rows: Tensor) -> Tensor:
    return torch.cov(rows[rows.isfinite().all(dim=1)].T)


def judges(witness: str | Path, clean_photos: Iterable[Path]) -> dict[str, Measure]:
    """No-reference models that need no download, image (1, 3, H, W) -> score, higher is better.

    Args:
        witness: an MS-LIQE that is not the optimised one.
        clean_photos: what NIQE is fitted to, at half size.
    """
    clean = (read_image(path)[None] for path in clean_photos)
    smaller = (nn.functional.interpolate(one, scale_factor=0.5, mode="bicubic", antialias=True) for one in clean)
    piqe = pyiqa.create_metric("piqe", device="cpu")
    return {
        "witness": MSLIQE.from_pretrained(str(witness)).eval(),
        "NIQE": NIQE(image.clamp(0, 1) for image in smaller),
        "PIQE": lambda image: -piqe(image),
        "BRISQUE": Brisque(),
    }


def distances() -> dict[str, Distance]:
    """To a clean original, (1, 3, H, W) both; higher is better (NLPD and :func:`color_shift` negated).

    The committee is what the embedded quality models were taught to predict: whether it follows a score that was
    maximised tells whether the score was earned.
    """
    fsim, nlpd = pyiqa.create_metric("fsim", device="cpu"), NLPD(6, low=False, luminance=True)
    return {
        "PSNR": lambda image, clean: peak_signal_noise_ratio(image, clean, data_range=1.0),
        "SSIM": lambda image, clean: structural_similarity_index_measure(image, clean, data_range=1.0),
        "FSIM": lambda image, clean: fsim(image, clean),
        "NLPD": lambda image, clean: -nlpd(image, clean),
        "colours": lambda image, clean: torch.tensor(-color_shift(image[0], clean[0])),
        "committee": reference_quality,
    }


def scores(
    image: Tensor, clean: Tensor | None, of_images: dict[str, Measure], to_clean: dict[str, Distance]
) -> dict[str, float]:
    """What all say of (3, H, W), the distances only where there is a clean original of this shape."""
    found = {name: float(judge(image[None])) for name, judge in of_images.items()}
    if clean is not None:
        found |= {name: float(measure(image[None], clean[None])) for name, measure in to_clean.items()}
    return found


def color_shift(image: Tensor, before: Tensor) -> float:
    """The largest difference, in CIEDE2000, of the colours that two images (3, H, W) have on average over a patch.

    A difference of 1 can just be seen where two patches lie side by side.
    """
    patches = (nn.functional.avg_pool2d(one, PATCH, ceil_mode=True).permute(1, 2, 0) for one in (image, before))
    return float(deltaE_ciede2000(*(rgb2lab(one.cpu().numpy()) for one in patches)).max())
