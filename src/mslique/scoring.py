"""Scoring photographs of any size in batches. The scores do not depend on the batches."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from .io.decoding import read_image
from .io.errors import UserError
from .io.tables import write_whole
from .model import MSLIQE
from .vocabulary import LEVELS


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


def write_tables(scores: Sequence[Score], levels: bool, table: Path | None, listing: Path | None) -> None:
    """Write file, score and error of every image, and with ``levels`` the probability of each level from 1, the worst.

    Args:
        table: a CSV file; a name that is not UTF-8 is written as its own bytes.
        listing: the same as a JSON list.

    Raises:
        UserError: a file cannot be written; an older one is still there.
    """
    count = max((len(score.probabilities) for score in scores if score.probabilities), default=len(LEVELS))
    records = [_record(score, count if levels else 0) for score in scores]
    if table is not None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, records[0])
        writer.writeheader()
        writer.writerows(records)
        write_whole(table, text.getvalue().encode("utf-8", errors="surrogateescape"))
    if listing is not None:
        write_whole(listing, (json.dumps(records, indent=1) + "\n").encode())


def _record(score: Score, levels: int) -> dict[str, str | float | None]:
    record: dict[str, str | float | None] = {"file": str(score.file), "score": None, "error": score.error}
    if score.score is not None:
        record["score"] = round(score.score, 6)
    shares = score.probabilities or (None,) * levels
    return record | {f"level_{k}": None if p is None else round(p, 6) for k, p in enumerate(shares[:levels], start=1)}
