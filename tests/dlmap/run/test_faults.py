"""The world around a run goes wrong: the disk fills or refuses, the clock jumps. Nothing is lost or half written."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import photos, predict, rows_of

from dlmap.run import module
from dlmap.run.pictures import save_png
from mslique import list_images


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow further, as a full disk does, with EFBIG in the place of ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def check_what_is_there(output: Path) -> None:
    """No result is half written."""
    for path in output.glob("*.png"):
        Image.open(path).load()
    assert not list(output.rglob("*.part"))


def check_complete(folder: Path, output: Path) -> None:
    rows = rows_of(output)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert sorted(rows) == [str(path.relative_to(folder)) for path in list_images(folder)]
    check_what_is_there(output)
    assert not list(output.rglob(".dlmap/part-*"))


@pytest.mark.parametrize("size", [500, 5000, 8000])
def test_a_disk_that_fills_up(
    size: int, folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """At 500 bytes not even config.yaml can be written, at 5000 no photograph, at 8000 the small ones can."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise[0]).save(folder / "d.png")
    out = tmp_path / "out"
    with files_of_at_most(size):
        assert predict(folder, out, *models, "--data.batch_size=1") == 1
    error = capsys.readouterr().err
    assert "cannot be written (File too large)" in error and "Traceback" not in error
    check_what_is_there(out)
    assert predict(folder, out, *models) == 0
    check_complete(folder, out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_small_disk_that_fills_up(
    small_disk: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", small_disk / "out"
    folder.mkdir()
    for k, noise in enumerate(np.random.default_rng(0).integers(0, 256, (4, 192, 192, 3), dtype=np.uint8)):
        Image.fromarray(noise).save(folder / f"{k}.png")
    assert predict(folder, out, *models, "--data.batch_size=1") == 1
    error = capsys.readouterr().err
    assert "cannot be written (No space left on device)" in error and "Traceback" not in error
    check_what_is_there(out)
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 0 < len(done) < 4
    subprocess.run(["mount", "-o", "remount,size=9M", str(small_disk)], check=True)
    assert predict(folder, out, *models) == 0
    check_complete(folder, out)
    assert sum(path.stat().st_mtime_ns == when for path, when in done.items()) >= len(done) - 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_known_before_the_work(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    monkeypatch.setattr(module, "enhance", None)
    assert predict(folder, tmp_path / "out", *models) == 1
    assert "out cannot be written to (Permission denied): give another folder" in capsys.readouterr().err


def test_a_clock_that_jumps_changes_nothing(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, clock, jumps = tmp_path / "out", time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: clock() + (-1) ** next(jumps) * 10**8)
    assert predict(folder, out, *models) == 0
    rows = rows_of(out)
    assert all(0 < float(row["seconds"]) < 60 for row in rows.values())
    written = {path: path.stat().st_mtime_ns for path in list_images(out)}
    for path in written:  # results older than their inputs, inputs from the future
        os.utime(path, ns=(0, 0))
    os.utime(folder / "a.png", (clock() + 10**8,) * 2)
    assert predict(folder, out, *models) == 0
    again = {path.name for path in list_images(out) if path.stat().st_mtime_ns}
    assert again == {"a.png"}  # the only one whose file says that it has changed
    assert rows_of(out)["b.png"] == rows["b.png"]


@pytest.mark.slow
def test_many_photographs_take_no_more_memory_and_no_more_files_than_some(
    tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """400 photographs; resident memory is within 5% of what it was after the first 100."""
    for k in range(400):
        save_png(photos(1, 32, 32 + 8 * (k % 3), seed=k)[0], tmp_path / "in" / f"{k:03d}.png")
    enhance, samples = module.enhance, []

    def measured(*args: Any) -> Any:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append((pages, len(os.listdir("/proc/self/fd"))))
        return enhance(*args)

    monkeypatch.setattr(module, "enhance", measured)
    assert predict(tmp_path / "in", tmp_path / "out", *models) == 0
    pages, handles = np.array(samples[len(samples) // 4 :]).T
    record_property("growth", float(pages.max() / pages[0]))
    assert pages.max() <= 1.05 * pages[0] and handles.max() <= handles[0] + 2
