"""Training and evaluating the quality model with Lightning."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import CatMetric

from .clip_weights import load_clip_weights
from .data.batch import Batch, joined
from .evaluation import Agreement, agreements, scored, write_report
from .fidelity_loss import fidelity_loss
from .io.errors import UserError, above_zero, at_least
from .learning_rate import training_steps, warm_cosine
from .model import MSLIQE
from .randomness import training_generator
from .sharing import RECORD
from .towers import PUBLISHED, published_normalisation


class QualityModule(LightningModule):
    """MS-LIQE under the pairwise fidelity loss.

    Batches are :class:`mslique.data.batch.Batch`; a training batch can also be a dictionary of them, one a dataset.

    Logs ``train_loss`` and, for validation and test, SRCC and PLCC of every dataset over all processes
    (``val_srcc/live``, ...) and their means over the datasets (``val_srcc``, ...). A test ends with a report: scores,
    correlations, and a scatter plot for every dataset (see :mod:`mslique.evaluation`).

    Args:
        model: arguments of :class:`MSLIQE`, for a model with random weights, or with those of ``clip_weights``.
        clip_weights: see :func:`mslique.clip_weights.load_clip_weights`: a file in OpenAI's layout, or in timm's for
            the image tower; open_clip's name for weights on the hub (``openai``); the folder of an exported MS-LIQE.
        pretrained: a folder or hub id to start from instead.
        learning_rate, weight_decay: of AdamW. LIQE fine-tunes with 5e-6 and 1e-3.
        warmup_steps: of a linear rise from 0.
        cosine_epochs: half a period of the cosine, which then has one rate an epoch, as in LIQE (5); None: one
            continuous fall to 0 at the end.
        train_crops: random crops per scale in training; None trains with the model's own views [ours].
        train_scales: scales of the views in training; None: the model's own [ours].
        clip_in_eval_mode: keep CLIP in eval mode in training, as LIQE does. A ResNet from scratch needs False.
        freeze_logit_scale: as LIQE does.
        label_deviation: of labels, in their units: ``mos_deviation`` of :func:`fidelity_loss`; None, as in LIQE:
            only their order counts.

    Raises:
        UserError: both or neither of ``model`` and ``pretrained`` are given, or weights that do not fit.
    """

    def __init__(
        self,
        model: dict[str, Any] | None = None,
        clip_weights: str | None = None,
        pretrained: str | None = None,
        learning_rate: float = 5e-6,
        weight_decay: float = 1e-3,
        warmup_steps: int = 0,
        cosine_epochs: int | None = None,
        train_crops: int | None = None,
        train_scales: Sequence[float] | None = None,
        clip_in_eval_mode: bool = True,
        freeze_logit_scale: bool = True,
        label_deviation: float | None = None,
    ) -> None:
        super().__init__()
        at_least(0, learning_rate=learning_rate, weight_decay=weight_decay, warmup_steps=warmup_steps)
        at_least(1, cosine_epochs=cosine_epochs)
        above_zero(label_deviation=label_deviation)
        self.save_hyperparameters()
        self.model = _initial_model(model, clip_weights, pretrained)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.cosine_epochs = cosine_epochs
        self.clip_in_eval_mode = clip_in_eval_mode
        self.label_deviation = label_deviation
        views = self.model.views
        if train_scales is not None:
            above_zero(**{f"train_scales[{k}]": scale for k, scale in enumerate(train_scales)})
            views = replace(views, scales=tuple(train_scales))
        at_least(0, train_crops=train_crops)
        self.train_views = views if train_crops is None else replace(views, n_crops=train_crops, rule="random")
        self.model.clip.logit_scale.requires_grad_(not freeze_logit_scale)
        # rows of score, label, dataset, image; gathered from all processes
        self.seen = CatMetric(nan_strategy="disable")
        self.started = time.monotonic()
        self.earlier = 0.0  # seconds of training before the checkpoint that it went on from

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to scores (B,)."""
        return self.model(images)

    def on_fit_start(self) -> None:
        self.started = time.monotonic()

    def on_train_start(self) -> None:  # an epoch that goes on from its middle does not start
        self.model.train()
        self.model.clip.train(not self.clip_in_eval_mode)

    def training_step(self, batch: Batch | Mapping[str, Batch], batch_idx: int) -> Tensor:
        batch = joined(batch)
        scores = self._scores(batch.images, partial(self.train_views, generator=training_generator(self, batch_idx)))
        loss = fidelity_loss(scores, batch.labels, batch.datasets, self.label_deviation)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch.labels))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if len(batch.labels):  # every image of the batch may have been skipped
            columns = (self._scores(batch.images), batch.labels, batch.datasets, batch.numbers)
            self.seen.update(torch.stack([column.double() for column in columns], dim=1))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        self._log_correlations("val")

    def on_test_epoch_end(self) -> None:
        rows, found = self._log_correlations("test")
        folder = Path(self.trainer.log_dir or self.trainer.default_root_dir)  # all processes have to ask for it
        if self.trainer.is_global_zero and found:
            write_report(folder / "test", found, rows, self._of_data("image_name", lambda dataset, number: str(number)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what sharing needs: the model's configuration, measurements, training time and seed."""
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint[RECORD] = {
            "config": self.model._hub_mixin_config,
            "metrics": metrics,
            "data": self._of_data("record"),
            "seconds": self.earlier + time.monotonic() - self.started,
            "seed": os.environ.get("PL_GLOBAL_SEED", "not set"),  # where Lightning's seed_everything keeps it
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.earlier = checkpoint.get(RECORD, {}).get("seconds", 0.0)

    def configure_optimizers(self) -> Any:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        total = training_steps(self.trainer)
        epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        factor = warm_cosine(total, self.warmup_steps, epoch, self.cosine_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def _scores(self, images: Tensor | list[Tensor], views: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        if isinstance(images, Tensor):
            return self.model(images, views)
        return self.model.score(self.model.probabilities_of_views(images))

    def _of_data(self, name: str, default: Any = None) -> Any:
        """An attribute of the data module; the default without it, or without a data module."""
        return getattr(self.trainer.datamodule, name, default)  # type: ignore[attr-defined]

    def _log_correlations(self, stage: str) -> tuple[Tensor, list[Agreement]]:
        """Log them; return the rows of all processes and what was logged. Lightning's sanity check logs nothing."""
        rows = scored(self.seen.compute(), stage)
        self.seen.reset()
        if self.trainer.sanity_checking:
            return rows, []
        found = agreements(rows, self._of_data("names"))
        for measure in ("srcc", "plcc"):
            values = {dataset.name: getattr(dataset, measure) for dataset in found}
            if len(values) > 1:
                self.log_dict({f"{stage}_{measure}/{name}": value for name, value in values.items()}, sync_dist=True)
            # every process has the same value; sync_dist only keeps Lightning from warning
            self.log(f"{stage}_{measure}", torch.tensor([*values.values()]).nanmean(), prog_bar=True, sync_dist=True)
        return rows, found


def _initial_model(config: dict[str, Any] | None, clip_weights: str | None, pretrained: str | None) -> MSLIQE:
    if (config is None) == (pretrained is None):
        raise UserError("give the quality model either a configuration (model) or a folder or hub id (pretrained)")
    if pretrained is not None:
        if clip_weights is not None:
            raise UserError("clip_weights would replace the pretrained weights: leave them out")
        trained = MSLIQE.from_pretrained(pretrained)
        trained.calibration = None  # its constants are of the scores before this training
        trained.keep(center=None, scale=None)
        return trained
    backbone = (config or {}).get("backbone", PUBLISHED)
    try:
        model = MSLIQE(**{**published_normalisation(backbone, clip_weights), **(config or {})})
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError) as reason:  # of an argument that is unknown or has no meaning
        raise UserError(f"model: {reason}") from reason
    if clip_weights is not None:
        load_clip_weights(model.clip, clip_weights, backbone)
    return model
