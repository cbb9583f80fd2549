"""The quality model as a torchmetrics Metric. ``mslique`` imports it when it is used, since that takes seconds."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from .model import MSLIQE
from .sharing import load_model


class MSLIQEMetric(Metric):
    """Mean score over all images of all updates and processes.

    Args:
        model: folder, hub id or Lightning checkpoint, or a model.
        options: of :class:`torchmetrics.Metric`.
    """

    is_differentiable = True
    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, model: str | MSLIQE, **options: Any) -> None:
        super().__init__(**options)
        self.model = model if isinstance(model, MSLIQE) else load_model(model)
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images: Tensor) -> None:
        """Add images (B, 3, H, W) in [0, 1]."""
        scores = self.model(images)
        self.total = self.total + scores.sum()
        self.count = self.count + len(scores)

    def compute(self) -> Tensor:
        """Scalar in [1, n_levels]; nan without an image."""
        return self.total / self.count
