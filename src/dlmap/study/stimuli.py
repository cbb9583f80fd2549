"""The pictures of a study: the originals, the outputs of other enhancers, and those of ``lightning predict``."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType

from PIL import Image
from tqdm import tqdm

from mslique import UserError, decode_image

from ..run.ending import SIGNALS
from ..run.pictures import save_picture, to_pillow
from ..run.plan import find_references
from ..run.record import OK, Journal, Record

Errors = dict[str, str]
"""Why there is no picture, by photograph."""


def save_originals(tasks: Sequence[Record], folder: Path) -> Errors:
    """Write the photographs as ``lightning predict`` decodes them: upright, sRGB, transparency as it is."""
    errors = {}
    for task in tqdm(tasks, desc="originals", leave=False, disable=None):
        try:
            _write_if_new(_decoded(Path(task.source)), folder / task.output)
        except UserError as reason:
            errors[task.output] = str(reason)
    return errors


def copy_outputs(source: Path, tasks: Sequence[Record], originals: Path, target: Path) -> Errors:
    """Write the pictures that an enhancer has left in ``source``, found by the photographs' names, as PNG.

    They must have the size of the original, beside which observers see them.

    Raises:
        UserError: ``source`` is missing or holds no image.
    """
    errors = {}
    for task, path in zip(tasks, tqdm(find_references(source, tasks), leave=False, disable=None), strict=True):
        try:
            if path is None:
                raise UserError(f"{source} has no picture of this name, or several that differ in the suffix")
            picture = _decoded(path)
            _check_size(path, picture, originals / task.output)
            _write_if_new(picture, target / task.output)
        except UserError as reason:
            errors[task.output] = str(reason)
    return errors


def run_predict(options: Sequence[str]) -> int:
    """``lightning predict`` in a process of its own, which the trainer may start again for more devices.

    Ctrl-C, which reaches all processes of a terminal, and SIGTERM let it finish the photographs in flight.

    Returns:
        Its exit status.

    Raises:
        UserError: told to end meanwhile.
    """
    told: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if number == signal.SIGTERM:
            process.send_signal(number)

    with subprocess.Popen([sys.executable, "-m", "mslique.lightning_cli", "predict", *options]) as process:
        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if told:
        raise UserError("stopped: run the same command again to go on")
    return status


def errors_of_run(output: Path, photos: Iterable[tuple[str, str]]) -> Errors | None:
    """What the journal of a run says of the (input, photograph) pairs; None if it did not get to all of them."""
    entries, errors = Journal(output).read(), {}
    for name, photo in photos:
        if name not in entries:
            return None
        if entries[name].status != OK:
            errors[photo] = entries[name].error
    return errors


def _decoded(path: Path) -> Image.Image:
    decoded = decode_image(path)
    return to_pillow(decoded.image, decoded.alpha, decoded.grey)


def _write_if_new(picture: Image.Image, path: Path) -> None:
    """Leave a file with the same pixels as it is: by its time of change a later run knows what is done."""
    if path.is_file():
        with Image.open(path) as old:
            if (old.mode, old.size, old.tobytes()) == (picture.mode, picture.size, picture.tobytes()):
                return
    save_picture(picture, path)


def _check_size(path: Path, picture: Image.Image, original: Path) -> None:
    with Image.open(original) as other:
        if picture.size != other.size:
            sizes = [f"{width} x {height} pixels" for width, height in (picture.size, other.size)]
            raise UserError(f"{path} has {sizes[0]}, the original has {sizes[1]}: resize it")
