"""The views of an image that the quality model looks at: the whole image and crops at several scales.

Only the pixels of the crops are resized: the views of a 12-megapixel photograph take little more time and memory than
those of a small image.

=========  ==========================================================================================================
rule       where the ``n_crops`` crops of one scale are
=========  ==========================================================================================================
official   grid of step ``stride`` in raster order, n positions; crop k is position k * (n // n_crops). The rule of the
           authors' weights; it never shows the end of an image, and repeats crops where n < n_crops.
even       [ours] rows and columns spread from edge to edge, in the image's aspect ratio; repeated crops are left out.
random     [ours] uniformly random over all pixels, the same for each image of a batch: for training.
=========  ==========================================================================================================
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .resize import resized_window

CropRule = Literal["official", "even", "random"]
THIN = 32


@dataclass(frozen=True)
class MultiScaleViews:
    """Cut the views of a batch of images, differentiably.

    Args:
        size: side s of a view, in pixels.
        scales: factors by which the image is resized (bicubic) before crops are cut.
        n_crops: crops at each scale.
        whole_image: begin with the whole image resized to s x s, its aspect ratio ignored (bicubic).
        stride: step of the official grid, in pixels.
        rule: where the crops are, see the table above.
        antialias: low-pass before downsampling; the authors do not.

    Raises:
        ValueError: a size, scale, stride or number of crops that leaves no view.
    """

    size: int = 224
    scales: tuple[float, ...] = (1.0, 0.75)
    n_crops: int = 7
    whole_image: bool = True
    stride: int = 32
    rule: CropRule = "official"
    antialias: bool = False

    def __post_init__(self) -> None:
        if min(self.size, self.stride) < 1 or self.n_crops < 0 or any(scale <= 0 for scale in self.scales):
            raise ValueError(f"sizes, strides and scales are positive, received {self}")
        if not self.whole_image and not (self.n_crops and self.scales):
            raise ValueError(f"no view is left: ask for the whole image or for crops, received {self}")

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, 3, H, W) of any range to (B, V, 3, s, s).

        The rule "random" draws with ``generator`` (on the CPU); None: with torch's global one.

        V is ``whole_image + len(scales) * n_crops``, less the repeated crops that the rule "even" leaves out. An image
        too small for one view at each scale is first enlarged in its aspect ratio. No side becomes longer than THIN
        times the shortest allowed side, since a line of pixels would otherwise fill the memory [ours].
        """
        if images.ndim != 4:
            raise ValueError(f"expected images of shape (B, 3, H, W), received {tuple(images.shape)}")
        images = self._upsample_small(images)
        views = [self._resize(images, self.size, self.size)] if self.whole_image else []
        if self.n_crops:
            for scale in self.scales:
                views += self._crops(images, scale, generator)
        return torch.stack(views, dim=1)

    def offsets(self, height: int, width: int, generator: torch.Generator | None = None) -> list[tuple[int, int]]:
        """Top-left corners (row, column) of the crops of one scale of this height and width (both >= size)."""
        if self.rule == "official":
            return self._official(height, width)
        if self.rule == "even":
            return self._even(height, width)
        tops = torch.randint(height - self.size + 1, (self.n_crops,), generator=generator).tolist()
        lefts = torch.randint(width - self.size + 1, (self.n_crops,), generator=generator).tolist()
        return list(zip(tops, lefts, strict=True))

    def _official(self, height: int, width: int) -> list[tuple[int, int]]:
        rows = (height - self.size) // self.stride + 1
        columns = (width - self.size) // self.stride + 1
        step = rows * columns // self.n_crops
        indices = (k * step for k in range(self.n_crops))
        return [(i // columns * self.stride, i % columns * self.stride) for i in indices]

    def _even(self, height: int, width: int) -> list[tuple[int, int]]:
        rows = min(self.n_crops, max(1, round(math.sqrt(self.n_crops * height / width))))
        fewest, longer_rows = divmod(self.n_crops, rows)
        corners = [
            (top, left)
            for row, top in enumerate(_spread(height - self.size, rows))
            for left in _spread(width - self.size, fewest + (row < longer_rows))
        ]
        return list(dict.fromkeys(corners))

    def _crops(self, images: Tensor, scale: float, generator: torch.Generator | None) -> list[Tensor]:
        s = self.size
        height, width = (max(s, math.floor(side * scale)) for side in images.shape[-2:])
        corners = self.offsets(height, width, generator)
        if scale == 1:
            return [images[..., top : top + s, left : left + s] for top, left in corners]
        return [resized_window(images, scale, top, left, s, s, self.antialias) for top, left in corners]

    def _upsample_small(self, images: Tensor) -> Tensor:
        smallest = math.ceil(self.size / min(self.scales, default=1.0)) if self.n_crops else self.size
        height, width = images.shape[-2:]
        factor = smallest / min(height, width)
        if factor <= 1:
            return images
        longest = THIN * smallest
        sides = (max(smallest, side, min(round(side * factor), longest)) for side in (height, width))
        return self._resize(images, *sides)

    def _resize(self, images: Tensor, height: int, width: int) -> Tensor:
        if images.shape[-2:] == (height, width):
            return images
        return F.interpolate(images, (height, width), mode="bicubic", align_corners=False, antialias=self.antialias)


def usual_stride(size: int) -> int:
    """Step of the official grid for views of this side, in pixels: 32 for 224, in proportion for others [ours]."""
    return max(1, round(size / 7))


def _spread(span: int, count: int) -> list[int]:
    """``count`` integers from 0 to ``span``, both ends included; the middle if there is only one."""
    return [span // 2] if count == 1 else [round(span * i / (count - 1)) for i in range(count)]
