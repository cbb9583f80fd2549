import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from toys import predict

from dlmap.run import module
from dlmap.run.lock import Lock
from mslique import list_images

HOLD = """
import os, pathlib, sys, time
from dlmap.run.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print(lock.take(), flush=True)
if os.fork() == 0:  # as a process that reads ahead does
    time.sleep(20)
sys.stdin.read()
"""


@contextmanager
def another_process(output: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has the lock of the folder, and a child."""
    command = [sys.executable, "-c", HOLD, str(output / ".dlmap" / "lock")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_a_second_run_is_refused_while_the_first_one_lives(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with another_process(out) as process:
        with monkeypatch.context() as patch:
            patch.setattr(module, "enhance", None)
            assert predict(folder, out, *models) == 1
        error = capsys.readouterr().err
        assert f"error: another run is writing to --output {out}: wait until it has ended, or give another" in error
        assert "Traceback" not in error and [path.name for path in out.iterdir()] == [".dlmap"]
        process.kill()  # and not its child
        process.wait()
        assert predict(folder, out, *models) == 0
    assert len(list_images(out)) == 3
    assert predict(out, tmp_path / "again", *models) == 0  # what is left of the lock is no photograph
    with another_process(out):  # it ended
        pass


def test_after_an_error_the_folder_is_free(folder: Path, tmp_path: Path, models: list[str]) -> None:
    (folder / "bad.png").write_bytes(b"")
    for _ in range(2):
        assert predict(folder, tmp_path / "out", *models) == 1
        with another_process(tmp_path / "out"):
            pass


@pytest.mark.parametrize("system", ["without locks", "whose file system has none"])
def test_where_there_are_no_locks_a_warning_says_so(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if system == "without locks":
        monkeypatch.setattr("dlmap.run.lock.fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.warns(UserWarning, match="cannot be locked .*(no fcntl|No locks available)"):
        assert Lock(tmp_path / "lock").take()
