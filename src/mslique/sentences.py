"""Errors that a user can mend, as one sentence in place of a traceback."""

import errno
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .io.errors import UserError

WAYS_OUT = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS), "free space, or give another --output"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "allow it, or give another --output"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "it is in the way: give another --output"),
}
"""What the user can do where the file system refuses to write."""


def sentence(function: Callable[..., Any], *args: Any) -> int:
    """Call ``function``; returns the exit status: 0, or 1 after a UserError or a refusal of the file system, shown as
    one sentence."""
    try:
        with _ctrl_c_again():
            function(*args)
    except OSError as error:
        if error.errno not in WAYS_OUT:
            raise
        way_out = WAYS_OUT[error.errno]
        sys.stderr.write(f"error: {error.filename or 'a file'} cannot be written ({error.strerror}): {way_out}\n")
        return 1
    except ValueError as error:
        mistake = user_error(error)
        if mistake is None:
            raise
        sys.stderr.write(f"error: {_message(mistake)}\n")
        return 1
    return 0


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError itself, or the one from which jsonargparse raised its own error about an argument."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


@contextmanager
def _ctrl_c_again() -> Iterator[None]:
    """Python ignores a Ctrl-C that comes while an object is deleted, such as a data loader with its processes: then it
    comes again a little later."""
    before, main = sys.unraisablehook, threading.main_thread().ident

    def hook(ignored: Any) -> None:
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
        else:
            before(ignored)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _message(mistake: UserError) -> str:
    """The message alone, where a data loader's worker has wrapped it in its own traceback."""
    text = str(mistake)
    if text.startswith("Caught UserError in DataLoader worker"):
        return re.split(r"^(?:[\w.]+\.)?UserError: ", text, flags=re.MULTILINE)[-1].strip()
    return text
