"""The pictures of a study: originals, outputs of other enhancers, and outputs of ``lightning predict``."""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from tqdm import tqdm

from mslique import UserError, image_size

from ..run.ending import SIGNALS
from ..run.pictures import read_picture, save_picture
from ..run.plan import find_references
from ..run.record import OK, Journal, Record
from .definition import Study

Errors = dict[str, str]
"""The reason why there is no picture, by photograph."""


def save_originals(records: Sequence[Record], folder: Path) -> Errors:
    """Write the photographs as ``lightning predict`` decodes them: upright, sRGB, with their transparency."""
    errors = {}
    for record in tqdm(records, desc="originals", leave=False, disable=None):
        try:
            if not _is_text(record.output):
                raise UserError("its name is not valid UTF-8, as the answers must be: rename it")
            _write_if_new(read_picture(Path(record.source)), folder / record.output)
        except UserError as reason:
            errors[record.output] = str(reason)
    return errors


def copy_outputs(study: Study, source: Path, records: Sequence[Record], target: Path) -> Errors:
    """Write an enhancer's pictures of the photographs, which have the same names and sizes, as PNG.

    Raises:
        UserError: ``source`` is missing or holds no image.
    """
    errors = {}
    for record, path in zip(records, tqdm(find_references(source, records), leave=False, disable=None), strict=True):
        try:
            if path is None:
                raise UserError(f"{source} has no picture of this name, or several that differ in the suffix")
            picture = read_picture(path)
            sizes = [f"{w} x {h}" for w, h in (picture.size, image_size(study.original(record.output)))]
            if sizes[0] != sizes[1]:
                raise UserError(f"{path} has {sizes[0]} pixels, the original has {sizes[1]} pixels: resize it")
            _write_if_new(picture, target / record.output)
        except UserError as reason:
            errors[record.output] = str(reason)
    return errors


def run_contestant(study: Study, name: str, options: Sequence[str], photos: Mapping[str, str]) -> Errors:
    """Run ``lightning predict`` for one contestant.

    Args:
        photos: the photograph of the study, by the name of the run's input.

    Raises:
        UserError: the run did not get to all photographs.
    """
    rank_zero_info(f"contestant {name}")
    output = study.folder / "outputs" / name
    before = _written(output)
    status = run_predict([*options, "--output", str(output)])
    # status 1: either some photographs failed, and results.csv is new and says so, or there was no run at all
    records = Journal(output).read() if status == 0 or (status == 1 and _written(output) != before) else {}
    if not photos.keys() <= records.keys():
        raise UserError(
            f"the run of {name} ended early, with exit status {status}; its message stands above. The same command"
            " again goes on from here"
        )
    return {photos[file]: f"{name}: {r.error}" for file, r in records.items() if file in photos and r.status != OK}


def run_predict(options: Sequence[str]) -> int:
    """Run ``lightning predict`` in a process of its own, which more devices need; returns its exit status.

    The process receives Ctrl-C from the terminal, and SIGTERM from here; it finishes the photographs in flight. Then
    this raises a UserError.
    """
    signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        if number == signal.SIGTERM:
            process.send_signal(number)

    with subprocess.Popen([sys.executable, "-m", "mslique.lightning_cli", "predict", *options]) as process:
        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if signals:
        raise UserError("stopped: run the same command again to go on")
    return status


def _written(output: Path) -> int | None:
    """The time at which results.csv was written, or None; a complete run writes it."""
    table = output / "results.csv"
    return table.stat().st_mtime_ns if table.is_file() else None


def _is_text(name: str) -> bool:
    """Whether the name is valid UTF-8; other bytes in it are lone surrogates in Python."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _write_if_new(picture: Image.Image, path: Path) -> None:
    """Write a picture unless the file has the same pixels: the time of change tells a later run what is done."""
    if path.is_file():
        old = read_picture(path)
        if (old.mode, old.size, old.tobytes()) == (picture.mode, picture.size, picture.tobytes()):
            return
    save_picture(picture, path)
