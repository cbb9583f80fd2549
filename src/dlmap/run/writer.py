"""Results on their way to disk, in the background."""

import errno
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mslique import Decoded, UserError

from .pictures import save_picture, to_pillow
from .record import Journal, Record
from .report import Thumbnails


@dataclass(frozen=True)
class Result:
    """An enhanced photograph that is to be written: its record, the photograph as decoded, the result in 8 bits."""

    record: Record
    before: Decoded
    after: Image.Image


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


class Writer:
    """Writes results and thumbnails, then adds the records to the journal's part of process ``rank``.

    Args:
        metadata: whether the results carry EXIF and XMP of the photographs.
    """

    def __init__(self, journal: Journal, rank: int, metadata: bool) -> None:
        self.journal, self.rank, self.metadata = journal, rank, metadata
        self._thumbnails = Thumbnails(journal.folder)

    def write(self, done: Result | Record) -> None:
        """Write a result, or only the record of a photograph that failed.

        Raises:
            UserError: the file system refuses.
        """
        record = done.record if isinstance(done, Result) else done
        path = self.journal.output / record.output
        try:
            self.journal.append(self.rank, self._saved(done, path) if isinstance(done, Result) else done)
        except OSError as reason:
            raise UserError(
                f"{path} cannot be written ({reason.strerror}): free the space or allow it, or give another --output;"
                " then run the same command again to go on"
            ) from reason

    def _saved(self, result: Result, path: Path) -> Record:
        """Write the pictures. An error of the file system is raised; any other one fails this photograph alone."""
        record, before = result.record, result.before
        try:
            save_picture(result.after, path, before if self.metadata else None)
            self._thumbnails.save(record.file, to_pillow(before.image, before.alpha, before.grey), result.after)
        except (OSError, ValueError, RuntimeError) as reason:
            # Pillow raises an OSError without a number where a format cannot hold the picture
            if isinstance(reason, OSError) and reason.errno not in (None, errno.ENAMETOOLONG):
                raise
            return record.failed(f"{path.name} cannot be written: {reason}")
        return record
