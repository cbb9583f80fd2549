"""Training and evaluating the quality model with Lightning."""

import math
import os
import time
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import CatMetric

from .clip import remove_stem_mean
from .correlation import plcc, srcc
from .errors import UserError
from .fidelity_loss import fidelity_loss
from .model import MSLIQE

Batch = tuple[Tensor, Tensor, Tensor]
RECORD = "mslique_record"


class QualityModule(LightningModule):
    """MS-LIQE under the pairwise fidelity loss. A batch is (images (B, 3, H, W), labels (B,), dataset ids (B,)).

    Logs ``train_loss`` and, for validation and test, the mean over the datasets of SRCC and PLCC (``val_srcc``, ...),
    computed over all processes.

    Args:
        model: arguments of :class:`MSLIQE`, for a model with random weights.
        pretrained: a folder or hub id to start from instead.
        learning_rate, weight_decay: of AdamW. LIQE fine-tunes with 5e-6 and 1e-3.
        warmup_steps: of a linear rise from 0.
        cosine_epochs: half a period of the cosine; None anneals once, to 0 at the end. LIQE: 5.
        train_crops: random crops per scale in training; None trains with the model's own views [ours].
        clip_in_eval_mode: keep CLIP in eval mode in training, as LIQE does. A ResNet from scratch needs False.
        freeze_logit_scale: as LIQE does.
        zero_mean_stem: start from :func:`mslique.clip.remove_stem_mean`; for a model with random weights only.

    Raises:
        UserError: both or neither of ``model`` and ``pretrained`` are given.
    """

    def __init__(
        self,
        model: dict[str, Any] | None = None,
        pretrained: str | None = None,
        learning_rate: float = 5e-6,
        weight_decay: float = 1e-3,
        warmup_steps: int = 0,
        cosine_epochs: int | None = None,
        train_crops: int | None = None,
        clip_in_eval_mode: bool = True,
        freeze_logit_scale: bool = True,
        zero_mean_stem: bool = False,
    ) -> None:
        super().__init__()
        if (model is None) == (pretrained is None):
            raise UserError("give the quality model either a configuration (model) or a folder or hub id (pretrained)")
        if zero_mean_stem and pretrained is not None:
            raise UserError("zero_mean_stem would spoil pretrained weights: leave it out")
        self.save_hyperparameters()
        self.model = MSLIQE.from_pretrained(pretrained) if pretrained is not None else MSLIQE(**(model or {}))
        if zero_mean_stem:
            remove_stem_mean(self.model.clip)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.cosine_epochs = cosine_epochs
        self.clip_in_eval_mode = clip_in_eval_mode
        views = self.model.views
        self.train_views = views if train_crops is None else replace(views, n_crops=train_crops, rule="random")
        self.model.clip.logit_scale.requires_grad_(not freeze_logit_scale)
        self.seen = CatMetric()  # rows of score, label, dataset; gathered from all processes
        self.started = time.monotonic()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to scores (B,)."""
        return self.model(images)

    def on_fit_start(self) -> None:
        self.started = time.monotonic()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels, datasets = batch
        loss = fidelity_loss(self.model(images, self.train_views), labels, datasets)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(images))
        return loss

    def on_train_epoch_start(self) -> None:
        self.model.train()
        self.model.clip.train(not self.clip_in_eval_mode)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._remember(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._remember(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_correlations("val")

    def on_test_epoch_end(self) -> None:
        self._log_correlations("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what sharing needs: the model's configuration, measurements, training time and seed."""
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint[RECORD] = {
            "config": self.model._hub_mixin_config,
            "metrics": metrics,
            "seconds": time.monotonic() - self.started,
            "seed": os.environ.get("PL_GLOBAL_SEED", "not set"),  # where Lightning's seed_everything keeps it
        }

    def configure_optimizers(self) -> Any:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        total = int(self.trainer.estimated_stepping_batches)
        if self.cosine_epochs is not None:
            total = self.cosine_epochs * math.ceil(total / (self.trainer.max_epochs or 1))

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
            return rise * (1 + math.cos(math.pi * step / total)) / 2

        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def _remember(self, batch: Batch) -> None:
        images, labels, datasets = batch
        self.seen.update(torch.stack([self.model(images).double(), labels.double(), datasets.double()], dim=1))

    def _log_correlations(self, stage: str) -> None:
        rows = self.seen.compute().cpu().numpy()
        self.seen.reset()
        groups = [rows[rows[:, 2] == dataset] for dataset in np.unique(rows[:, 2])]
        for name, measure in (("srcc", srcc), ("plcc", plcc)):
            self.log(f"{stage}_{name}", fmean(measure(g[:, 0], g[:, 1]) for g in groups), prog_bar=True)
