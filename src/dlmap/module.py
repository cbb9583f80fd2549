"""The LightningModule behind ``lightning predict``: photographs in, enhanced photographs out."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from mslique import UserError

from .ascent import PUBLISHED, Ascent, enhance
from .datamodule import Photo
from .objective import MAPObjective
from .prior import DiffusionPrior
from .writer import Outcome, ResultWriter, Row


class MAPEnhancer(L.LightningModule):
    """Enhances every photograph of a folder by diffusion-latent MAP and writes the results.

    Args:
        prior: the diffusion model.
        objective: what is maximised.
        output: folder for the images and results.csv (``--output``).
        ascent: options of the ascent.
    """

    def __init__(
        self,
        prior: DiffusionPrior,
        objective: MAPObjective,
        output: str = "enhanced",
        ascent: Ascent = PUBLISHED,
    ) -> None:
        super().__init__()
        self.prior, self.objective, self.output, self.ascent = prior, objective, Path(output), ascent
        if self.output.exists() and not self.output.is_dir():
            raise UserError(f"--output {output} is a file: give a folder")

    def configure_callbacks(self) -> list[Callback]:
        return [ResultWriter(self.output)]

    def on_predict_start(self) -> None:
        if torch.is_inference_mode_enabled():
            raise UserError(
                "the trainer predicts under inference mode, where gradients are impossible: set"
                " --trainer.inference_mode false (the YAML files under configs/dlmap do)"
            )

    def predict_step(self, batch: list[Photo], *_: Any) -> list[Outcome]:
        outcomes = [_failure(photo) for photo in batch if photo.image is None]
        groups: dict[torch.Size, list[Photo]] = defaultdict(list)
        for photo in batch:
            if photo.image is not None:
                groups[photo.image.shape].append(photo)
        for group in groups.values():
            outcomes += self._enhance(group)
        return outcomes

    def _enhance(self, photos: list[Photo]) -> list[Outcome]:
        start = time.perf_counter()
        images = torch.stack([photo.image for photo in photos if photo.image is not None]).to(self.device)
        with tqdm(total=self.ascent.iterations, desc="ascent", leave=False, position=1, disable=None) as bar:

            def progress(iteration: int, values: list[float]) -> None:
                bar.update(iteration - bar.n)
                bar.set_postfix(objective=f"{sum(values) / len(values):.2f}")

            results = enhance(images, self.prior, self.objective, self.ascent, progress)
        after = torch.stack([result.image for result in results]).to(self.device)
        with torch.no_grad():
            before, final = self.objective(images, images), self.objective(after, images)
        seconds = (time.perf_counter() - start) / len(photos)
        return [
            Outcome(
                Row(
                    file=str(photo.name),
                    status="ok",
                    seconds=seconds,
                    iterations=results[k].iterations,
                    quality_before=before.quality[k].item(),
                    quality_after=final.quality[k].item(),
                    fidelity=final.fidelity[k].item(),
                ),
                photo.output,
                results[k].image,
            )
            for k, photo in enumerate(photos)
        ]


def _failure(photo: Photo) -> Outcome:
    return Outcome(Row(file=str(photo.name), status="failed", error=photo.error), photo.output)
