"""A progress bar that counts photographs instead of batches."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar


class PhotoProgressBar(TQDMProgressBar):
    """Shows the photographs done of this process's share."""

    def on_predict_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        bar = self.predict_progress_bar
        if batch_idx == 0:
            loader: Any = trainer.predict_dataloaders
            bar.reset(total=loader.photos)
            bar.set_description("photographs")

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
