"""Quality models on a common scale: 0 (worst) to 100 (best)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mslique import Calibration, UserError, load_model, make_calibration

from .metrics import PyiqaMetric
from .tiles import mean_over_pieces

PUBLISHED = {
    "liqe": Calibration(2.07764, 1.10193),
    "liqe_mix": Calibration(2.07764, 1.10193),
    "musiq": Calibration(43.53914, 16.78680),
    "clipiqa": Calibration(0.38329, 0.22308),
}
"""Constants of the authors' public challenge entry, fitted on LIVE; which of pyiqa's two LIQE it took is not known."""


class MSLIQEQuality(nn.Module):
    """A frozen MS-LIQE, calibrated.

    MS-LIQE looks at a few views of fixed size, which are less than a hundredth of a 12-megapixel photograph: an ascent
    would change little else. So the quality of an image larger than ``piece`` is the mean over pieces that cover it.

    Args:
        model: folder or hub id of an exported MS-LIQE, the name of one that ships, or a Lightning checkpoint
            (``*.ckpt``).
        center, scale: of the calibration; None: those of the model's config.json.
        piece: side in pixels of the pieces [ours]; None: that of the model's config.json; 0: every image as a whole.
        most_pieces: of a larger image no more pieces count than these, which are spread evenly; None: all. For ascents
            that move the whole picture by a few numbers, such as the gains of bands: parts between the pieces would
            not move in another domain.

    Raises:
        UserError: the folder, id or file is missing or holds no MS-LIQE; the model is not calibrated; or an option is
            out of range.
    """

    def __init__(
        self,
        model: str = "data/mslique-tiny",
        center: float | None = None,
        scale: float | None = None,
        piece: int | None = None,
        most_pieces: int | None = None,
    ) -> None:
        super().__init__()
        self.model = load_model(model).requires_grad_(False)
        self.model.clip.visual.to(memory_format=torch.channels_last)  # as the U-Net: faster convolutions
        calibration = make_calibration(center, scale) or self.model.calibration
        if calibration is None:
            raise UserError(
                f"{model} has no center and scale in its config.json, so that it cannot be optimised:"
                f" `dlmap calibrate IMAGES --quality {model}` fits them"
            )
        self.calibration = calibration
        if piece is not None and piece < 0:
            raise UserError(f"piece must be a number of pixels, 0 or null, got {piece}")
        if most_pieces is not None and most_pieces < 1:
            raise UserError(f"most_pieces must be at least 1, or null, got {most_pieces}")
        self.piece = self.model.piece if piece is None else piece
        self.most_pieces = most_pieces

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,) in [0, 100]; differentiable."""
        return self._over_pieces(lambda piece: self.calibration(self.model(piece)), images)

    def raw(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,), before the calibration; differentiable."""
        return self._over_pieces(self.model, images)

    def _over_pieces(self, score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        if not self.piece or max(images.shape[-2:]) <= self.piece:
            return score(images)
        return mean_over_pieces(score, images, self.piece, self.most_pieces)


class PyiqaQuality(nn.Module):
    """A no-reference metric of pyiqa, calibrated: "musiq", "clipiqa", "liqe_mix", "topiq_nr" and others.

    The score of a metric whose lower values are better is negated before the calibration.

    Args:
        name: pyiqa's name of the metric.
        center, scale: as of :class:`MSLIQEQuality`; by default the published ones, which exist for some names only.
            ``dlmap calibrate`` fits them for the others.
        options: of the metric, such as ``pretrained_model_path``: a local file with its weights.

    Raises:
        UserError: no such metric, no constants, its weights cannot be had, or it is not differentiable.
    """

    def __init__(
        self,
        name: str,
        center: float | None = None,
        scale: float | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        calibration = make_calibration(center, scale) or PUBLISHED.get(name)
        if calibration is None:
            raise UserError(
                f"no calibration is known for {name}: give center and scale, which"
                f" `dlmap calibrate FOLDER --quality {name}` fits"
            )
        self.calibration = calibration
        self.model = RawScore(name, options)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,) in [0, 100]; differentiable.

        Raises:
            UserError: the metric does not take images of this size.
        """
        return self.calibration(self.raw(images))

    def raw(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,), before the calibration, higher is better; differentiable.

        Raises:
            UserError: the metric does not take images of this size.
        """
        score: Tensor = self.model(images)
        return score


class RawScore(nn.Module):
    """The score of a no-reference metric of pyiqa, with the sign that makes higher better; arguments as there."""

    def __init__(self, name: str, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.metric = PyiqaMetric(name, "NR", options)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,)."""
        score = self.metric(images)
        return -score if self.metric.lower_better else score


class Mixture(nn.Module):
    """The weighted mean of several quality models.

    Args:
        models: images (B, 3, H, W) in [0, 1] -> (B,) in [0, 100].
        weights: one a model, positive; equal by default. Only their ratios count.

    Raises:
        UserError: no model, or weights that do not fit.
    """

    def __init__(self, models: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(models) if weights is None else list(weights)
        if not models or len(weights) != len(models) or min(weights) <= 0:
            raise UserError(f"a mixture needs a positive weight for each model, got {len(models)} models, {weights}")
        self.models = nn.ModuleList(models)
        self.weights = [weight / sum(weights) for weight in weights]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,) in [0, 100]; differentiable."""
        scores = [weight * model(images) for weight, model in zip(self.weights, self.models, strict=True)]
        return torch.stack(scores).sum(dim=0)
