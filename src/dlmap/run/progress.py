"""A progress bar that counts photographs instead of batches."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from .module import MAPEnhancer


class PhotoProgressBar(TQDMProgressBar):
    """Shows how many photographs of this process's share are done."""

    def on_predict_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 0 and isinstance(pl_module, MAPEnhancer):
            self.predict_progress_bar.reset(total=pl_module.run.share)
            self.predict_progress_bar.set_description("photographs")

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.predict_progress_bar.update(len(batch))
