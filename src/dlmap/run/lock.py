"""One run at a time in an output folder."""

import errno
import warnings
from pathlib import Path
from typing import IO

from .files import make_folder

try:
    import fcntl
except ImportError:  # no POSIX system
    fcntl = None  # type: ignore[assignment]

TAKEN = (errno.EACCES, errno.EAGAIN)


class Lock:
    """A lock of this process on a file, which ends with the process, however that ends.

    The file stays, is empty, and means nothing by itself. ``fcntl.flock`` would not do: processes that read ahead
    inherit its locks, and live on for some seconds after this process was killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Take the lock, or warn that there is none here; False: another process has it. Folders that miss are made.

        Raises:
            OSError: the file cannot be made.
        """
        make_folder(self.path.parent)
        self._file = self.path.open("a")
        try:
            if fcntl is None:
                raise OSError(errno.ENOTSUP, "this system has no fcntl")
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            if reason.errno in TAKEN:
                self.release()
                return False
            warnings.warn(
                f"{self.path} cannot be locked ({reason.strerror}): start no second run into this folder before this"
                " one has ended, because it would not be noticed",
                stacklevel=2,
            )
        return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._file is not None:
            self._file.close()
            self._file = None
