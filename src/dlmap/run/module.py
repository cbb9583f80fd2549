"""The LightningModule behind ``lightning predict``: photographs in, enhanced photographs out."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Timer
from torch import Tensor
from tqdm import tqdm

from mslique import UserError, in_short

from ..ascent import PUBLISHED, Ascent, Enhanced, enhance
from ..domain import NotInverted, make_domain
from ..objective import MAPObjective
from ..prior import DiffusionPrior
from .datamodule import Batch, Photo, PhotoFolderData
from .ending import Ending
from .fingerprint import fingerprint
from .memory import MemoryGuard
from .pictures import to_grey, to_pillow
from .record import OK, Record
from .run import Run
from .writer import Result


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

    Raises:
        UserError: ``output`` is empty or a file, there is no ascent, or one has an unknown domain, or one
            that needs a prior.
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
        if not output:
            raise UserError("--output is empty: give a folder")
        self.prior, self.objective = prior, objective
        self.stages = ascent if isinstance(ascent, list) else [ascent]
        if not self.stages or None in self.stages:
            raise UserError("--model.ascent is empty: give the options of one ascent at least, or leave it out")
        for stage in self.stages:
            make_domain(prior, stage)  # a mistake in the options must not wait for the first photograph
            if objective.critic is not None:
                objective.critic.check(stage)
        self.run = Run(Path(output), format == "input", metadata, report)
        self._memory = MemoryGuard() if prior is None else MemoryGuard(prior.shrink_tiles, prior.keep_nothing)
        self._inverts = False

    def configure_callbacks(self) -> list[Callback]:
        return [Ending(self.run)]

    def prepare_data(self) -> None:
        self.run.check_output(alone=self.trainer.is_global_zero)

    def setup(self, stage: str) -> None:
        # The module and the data module meet only here: Lightning calls setup before it asks for the batches.
        data = getattr(self.trainer, "datamodule", None)  # Lightning does not declare this attribute of its own
        if not isinstance(data, PhotoFolderData):
            raise UserError(
                "MAPEnhancer takes photographs from dlmap.run.datamodule.PhotoFolderData: give it as --data"
            )
        data.run = self.run
        if any(isinstance(callback, Timer) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError(
                "--trainer.max_time ends no predictions: leave it out; `timeout` (SIGTERM) or Ctrl-C ends a run after"
                " the photographs in flight, and the same command goes on"
            )
        if self.trainer.precision not in ("32-true", "16-mixed", "bf16-mixed"):
            raise UserError(
                f"--trainer.precision {self.trainer.precision} would round the photographs: leave it out; the network's"
                " precision is --model.prior.precision"
            )
        if self.trainer.is_global_zero:  # the process that plans
            self.run.options = fingerprint(self.trainer)

    def on_predict_start(self) -> None:
        if torch.is_inference_mode_enabled():
            raise UserError(
                "the trainer predicts under inference mode, where gradients are impossible: set"
                " --trainer.inference_mode false (the YAML files under configs/dlmap do)"
            )

    def predict_step(self, batch: Batch, *_: Any) -> list[dict[str, Any]]:
        """Enhance photographs, those of equal size together, and give every result to the run.

        Returns:
            The records as dictionaries, because Lightning does not collect frozen dataclasses.
        """
        done: list[Result | Record] = [one for one in batch if isinstance(one, Record)]  # these cannot be read
        groups: dict[torch.Size, list[Photo]] = defaultdict(list)
        for photo in batch:
            if isinstance(photo, Photo):
                groups[photo.decoded.image.shape].append(photo)
        for size, group in groups.items():
            done += self._enhance_or_fail(size, group)
        for one in done:
            self.run.finish(one)
        return [asdict(one.record if isinstance(one, Result) else one) for one in done]

    def _enhance_or_fail(self, size: torch.Size, photos: list[Photo]) -> Sequence[Result | Record]:
        try:
            results = self._memory.run(photos, size, self._enhance)
        except UserError as reason:
            if isinstance(reason, NotInverted) and not self._inverts:
                raise  # with these options no other photograph would be inverted either
            return _failed(photos, str(reason))
        except RuntimeError as reason:
            if not self._inverts:
                raise  # nothing has worked so far: the mistake is not this size's
            return _failed(photos, in_short(reason))
        self._inverts = True
        return [replace(one, record=one.record.noted(self._memory.note(size))) for one in results]

    def _enhance(self, photos: Sequence[Photo]) -> list[Result]:
        """Enhance photographs of equal size, all at once."""
        start = time.perf_counter()
        images = torch.stack([photo.decoded.image for photo in photos]).to(self.device)
        references = [photo.reference for photo in photos if photo.reference is not None]
        reference = torch.stack(references).to(self.device) if references else None
        enhanced = self._ascend(images, reference)
        # what is scored are the values in the file, which has 8 bits and, of a grey photograph, one channel
        grey = [to_grey(e.image) if p.decoded.grey else e.image for e, p in zip(enhanced, photos, strict=True)]
        after = torch.stack(grey).mul_(255).round_().div_(255)
        with torch.no_grad():
            before = self.objective.quality(images)
            final = self.objective(after.to(self.device), images if reference is None else reference)
        seconds = (time.perf_counter() - start) / len(photos)
        columns = zip(before.tolist(), final.quality.tolist(), final.fidelity.tolist(), strict=True)
        parts = zip(photos, enhanced, after, columns, strict=True)
        return [_result(photo, one, image, seconds, *scores) for photo, one, image, scores in parts]

    def _ascend(self, images: Tensor, reference: Tensor | None) -> list[Enhanced]:
        """:func:`dlmap.enhance` under a progress bar."""
        total = sum(stage.iterations + 1 for stage in self.stages)
        with tqdm(total=total, desc="ascent", leave=False, position=1, disable=None) as bar:

            def progress(iteration: int, values: list[float]) -> None:
                bar.update()
                bar.set_postfix(objective=f"{sum(values) / len(values):.2f}")

            return enhance(images, self.prior, self.objective, self.stages, progress, reference)


def _failed(photos: Sequence[Photo], reason: str) -> list[Result | Record]:
    return [photo.record.failed(f"{photo.record.file}: {reason}") for photo in photos]


def _result(
    photo: Photo, enhanced: Enhanced, image: Tensor, seconds: float, before: float, after: float, fidelity: float
) -> Result:
    """The result with the picture ``image`` (3, H, W) in [0, 1] and its scores."""
    record = replace(
        photo.record,
        status=OK,
        seconds=seconds,
        iterations=enhanced.iterations,
        quality_before=before,
        quality_after=after,
        fidelity=fidelity,
        stages=list(enhanced.stages),
        curves={"quality": enhanced.quality, "fidelity": enhanced.fidelity, "objective": enhanced.objective},
    )
    decoded = photo.decoded
    picture = to_pillow(image, decoded.alpha, decoded.grey)
    return Result(record.noted(decoded.note, enhanced.note), decoded, picture)
