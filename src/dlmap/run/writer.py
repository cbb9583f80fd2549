"""Results on their way to disk, in the background."""

import errno
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mslique import Decoded

from .files import refusals
from .pictures import save_picture, to_pillow
from .record import Journal, Record
from .report import Thumbnails

OF_THE_NAME = (None, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
"""Errors of one result: what its name cannot be, or a folder in its place. Pillow raises None where a format cannot
hold the picture."""


@dataclass(frozen=True)
class Result:
    """What is to be written of an enhanced photograph: its record and, in 8 bits, its picture."""

    record: Record
    photo: Decoded
    picture: Image.Image


class Background:
    """One thread that does jobs in the order in which they come.

    Args:
        waiting: so many jobs may be unfinished. ``submit`` waits while there are more, which bounds their memory.
    """

    def __init__(self, waiting: int = 2) -> None:
        self.waiting = waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dlmap-writer")
        self._jobs: deque[Future[None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        """Add a job. Raises the error of an earlier job."""
        self._jobs.append(self._thread.submit(job))
        while self._jobs and (len(self._jobs) > self.waiting or self._jobs[0].done()):
            self._jobs.popleft().result()

    def finish(self) -> None:
        """Wait for all jobs. Raises the error of the first one that failed."""
        self.close()
        while self._jobs:
            self._jobs.popleft().result()

    def close(self) -> None:
        """Wait for all jobs and ignore their errors; for use after another error."""
        self._thread.shutdown(wait=True)


def write(done: Result | Record, journal: Journal, rank: int, metadata: bool) -> None:
    """Write a result and its thumbnails; then add the record to the journal's part of process ``rank``.

    Args:
        done: the result or, of a photograph that failed, only its record.
        metadata: whether the result carries EXIF and XMP of the photograph.

    Raises:
        UserError: the file system refuses.
    """
    record = done if isinstance(done, Record) else done.record
    path = journal.output / record.output
    with refusals(path):
        if isinstance(done, Result):
            record = _saved(done, path, Thumbnails(journal.folder), metadata)
        journal.append(rank, record)


def _saved(result: Result, path: Path, thumbnails: Thumbnails, metadata: bool) -> Record:
    """Write the pictures. An error of the file system is raised; any other one fails this photograph alone."""
    record, photo = result.record, result.photo
    try:
        save_picture(result.picture, path, photo if metadata else None)
        thumbnails.save(record.file, to_pillow(photo.image, photo.alpha, photo.grey), result.picture)
    except Exception as reason:  # Pillow's writers raise many kinds
        if isinstance(reason, OSError) and reason.errno not in OF_THE_NAME:
            raise
        return record.failed(f"{path.name} cannot be written: {reason}")
    return record
