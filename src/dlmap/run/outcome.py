"""What became of one photograph, ready to be written."""

from dataclasses import dataclass, replace

from PIL import Image
from torch import Tensor

from mslique import Decoded

from ..ascent import Enhanced
from .journal import Entry
from .photos import Photo
from .pictures import to_pillow
from .results import FAILED, OK, Row
from .thumbnails import shrink


@dataclass(frozen=True)
class Scores:
    """Quality of the photograph and of its result, in [0, 100], and the distance between result and reference."""

    before: float
    after: float
    fidelity: float


@dataclass(frozen=True)
class Pictures:
    """A small picture of the photograph, its result in 8 bits, and the photograph as decoded."""

    before: Image.Image
    after: Image.Image
    decoded: Decoded


@dataclass(frozen=True)
class Outcome:
    """The journal entry, and the pictures if there is a result."""

    entry: Entry
    pictures: Pictures | None = None

    def noted(self, note: str) -> "Outcome":
        """The same with ``note`` added to its row."""
        row = self.entry.row
        notes = "; ".join(filter(None, (row.note, note)))
        return replace(self, entry=replace(self.entry, row=replace(row, note=notes)))


def failure(photo: Photo, error: str) -> Outcome:
    """The outcome of a photograph that could not be enhanced."""
    task = photo.task
    return Outcome(Entry(Row(file=str(task.name), status=FAILED, error=error), str(task.output)))


def success(photo: Photo, decoded: Decoded, image: Tensor, result: Enhanced, scores: Scores, seconds: float) -> Outcome:
    """The outcome of a photograph of which ``image`` (3, H, W) in [0, 1] is the result to write."""
    row = Row(
        file=str(photo.task.name),
        status=OK,
        seconds=seconds,
        iterations=result.iterations,
        stages=" + ".join(str(count - 1) for count in result.stages),
        quality_before=scores.before,
        quality_after=scores.after,
        fidelity=scores.fidelity,
        note="; ".join(filter(None, (decoded.note, result.note))),
    )
    curves = (result.quality, result.fidelity, result.objective, list(result.stages))
    return Outcome(
        Entry(row, str(photo.task.output), photo.task.key, *curves),
        Pictures(
            before=shrink(to_pillow(decoded.image, decoded.alpha, decoded.grey)),
            after=to_pillow(image, decoded.alpha, decoded.grey),
            decoded=decoded,
        ),
    )
