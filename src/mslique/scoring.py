"""Scoring photographs of any size in batches. The scores do not depend on the batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from .io.decoding import read_image
from .io.errors import UserError
from .model import MSLIQE


@dataclass(frozen=True)
class Score:
    """A file's score and the probabilities of the levels, worst to best; or the reason why there are none."""

    file: Path
    score: float | None = None
    probabilities: tuple[float, ...] = ()
    error: str = ""


@torch.inference_mode()
def score_files(model: MSLIQE, files: Iterable[Path], batch_size: int = 8) -> Iterator[Score]:
    """Scores in the order of the files.

    Only one whole photograph is in memory at a time: of the others in its batch only the views are kept.

    Args:
        model: on any device, in eval mode.
        batch_size: photographs in one pass through the network.
    """
    remaining = iter(files)
    while batch := list(islice(remaining, batch_size)):
        views = [_views(model, file) for file in batch]
        kept = [found for found in views if isinstance(found, Tensor)]
        probabilities = iter(model.probabilities_of_views(kept)) if kept else iter(())
        for file, found in zip(batch, views, strict=True):
            if isinstance(found, Tensor):
                levels = next(probabilities)
                yield Score(file, model.score(levels[None]).item(), tuple(levels.tolist()))
            else:
                yield Score(file, error=found)


def _views(model: MSLIQE, file: Path) -> Tensor | str:
    """Views (V, 3, s, s) of the file's photograph, or the reason why there are none."""
    try:
        return model.views(read_image(file)[None])[0].to(model.mean.device)
    except UserError as reason:
        return str(reason)
