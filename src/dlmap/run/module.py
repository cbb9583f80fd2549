"""The LightningModule behind ``lightning predict``: photographs in, enhanced photographs out."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

from mslique import UserError

from ..ascent import PUBLISHED, Ascent, Enhanced, enhance
from ..domain import NotInverted
from ..objective import MAPObjective
from ..prior import DiffusionPrior
from .fingerprint import fingerprint
from .interrupt import Stop, StopCleanly
from .journal import Journal
from .memory import MemoryGuard
from .outcome import Outcome, Scores, failure, success
from .photos import Photo
from .pictures import to_grey
from .together import EndTogether
from .writer import ResultWriter


class MAPEnhancer(L.LightningModule):
    """Enhances every photograph of a folder by diffusion-latent MAP and writes the results.

    Args:
        prior: the diffusion model; None where the ascent moves pixels.
        objective: what is maximised.
        output: folder for the images, results.csv and report.html (``--output``).
        ascent: options of the ascent, or a list of several, each of which starts where the one before ended.
        format: of the results: "png" (without loss), or "input", that of each photograph (JPEG at quality 95).
        metadata: whether the results carry the photographs' EXIF (without orientation) and XMP.
        report: whether report.html is written.
    """

    def __init__(
        self,
        prior: DiffusionPrior | None,
        objective: MAPObjective,
        output: str = "enhanced",
        ascent: Ascent | list[Ascent] = PUBLISHED,
        format: Literal["png", "input"] = "png",
        metadata: bool = False,
        report: bool = True,
    ) -> None:
        super().__init__()
        self.prior, self.objective, self.output = prior, objective, Path(output)
        self.stages = ascent if isinstance(ascent, list) else [ascent]
        self.keep_format, self.metadata, self.report = format == "input", metadata, report
        self.journal, self.stop = Journal(self.output), Stop()
        self._inverts = False
        self._memory = MemoryGuard(_never) if prior is None else MemoryGuard(prior.shrink_tiles, prior.keep_nothing)
        if self.output.exists() and not self.output.is_dir():
            raise UserError(f"--output {output} is a file: give a folder")

    def configure_callbacks(self) -> list[Callback]:
        writer = ResultWriter(self.journal, self.metadata, self.report)
        return [EndTogether(), writer, StopCleanly(self.stop)]  # when the writer kills others, they are not mourned

    def prepare_data(self) -> None:
        """Find out before the work whether results can be written."""
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.output):
                pass
        except OSError as reason:
            raise UserError(
                f"--output {self.output} cannot be written to ({reason.strerror}): give another folder"
            ) from reason

    def fingerprint(self) -> str:
        """Digest of the options and weights that decide the results; empty outside of the command."""
        return fingerprint(self.trainer)

    def on_predict_start(self) -> None:
        if torch.is_inference_mode_enabled():
            raise UserError(
                "the trainer predicts under inference mode, where gradients are impossible: set"
                " --trainer.inference_mode false (the YAML files under configs/dlmap do)"
            )

    def predict_step(self, batch: list[Photo], *_: Any) -> list[Outcome]:
        outcomes = [failure(photo, photo.error) for photo in batch if photo.decoded is None]
        groups: dict[torch.Size, list[Photo]] = defaultdict(list)
        for photo in batch:
            if photo.decoded is not None:
                groups[photo.decoded.image.shape].append(photo)
        for size, group in groups.items():
            try:
                done = self._memory.run(group, size, self._enhance)
                outcomes += [outcome.noted(self._memory.note(size)) for outcome in done]
                self._inverts = True
            except UserError as reason:
                if isinstance(reason, NotInverted) and not self._inverts:
                    raise  # nor would any other photograph's inversion with these options
                outcomes += [failure(photo, f"{photo.task.name}: {reason}") for photo in group]
        return outcomes

    def _enhance(self, photos: Sequence[Photo]) -> list[Outcome]:
        """Of equal-sized photographs, all at once."""
        start = time.perf_counter()
        decoded = [photo.decoded for photo in photos if photo.decoded is not None]
        images = torch.stack([one.image for one in decoded]).to(self.device)
        references = [photo.reference for photo in photos if photo.reference is not None]
        reference = torch.stack(references).to(self.device) if references else None
        results = self._ascend(images, reference)
        grey = [to_grey(r.image) if one.grey else r.image for r, one in zip(results, decoded, strict=True)]
        after = [image.mul(255).round() / 255 for image in grey]  # the file is what is scored
        with torch.no_grad():
            before = self.objective.quality(images).tolist()
            final = self.objective(torch.stack(after).to(self.device), images if reference is None else reference)
        seconds = (time.perf_counter() - start) / len(photos)
        scores = map(Scores, before, final.quality.tolist(), final.fidelity.tolist())
        parts = zip(photos, decoded, after, results, scores, strict=True)
        return [success(*part, seconds) for part in parts]

    def _ascend(self, images: Tensor, reference: Tensor | None) -> list[Enhanced]:
        total = sum(stage.iterations + 1 for stage in self.stages)
        with tqdm(total=total, desc="ascent", leave=False, position=1, disable=None) as bar:

            def progress(iteration: int, values: list[float]) -> None:
                bar.update()
                bar.set_postfix(objective=f"{sum(values) / len(values):.2f}")

            return enhance(images, self.prior, self.objective, self.stages, progress, reference)


def _never() -> bool:
    return False
