import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mslique import UserError
from mslique.io.folders import filled


@contextmanager
def small_files() -> Iterator[None]:
    """No file may have more than 1,000 bytes: like a disk that is full. Not a fixture: pytest's report has more."""
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def write(folder: Path, text: str) -> None:
    with filled(folder) as part:
        (part / "a.txt").write_text(text)
        (part / "below").mkdir()
        (part / "below" / "b.txt").write_text(text)


def test_files_replace_those_of_before_and_others_stay(tmp_path: Path) -> None:
    write(tmp_path / "new", "one")
    (tmp_path / "new" / "c.txt").touch()
    write(tmp_path / "new", "two")
    found = {str(file.relative_to(tmp_path / "new")) for file in (tmp_path / "new").rglob("*") if file.is_file()}
    assert found == {"a.txt", "below/b.txt", "c.txt"}
    assert (tmp_path / "new" / "below" / "b.txt").read_text() == "two"


def test_after_an_error_the_folder_is_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with small_files(), pytest.raises(UserError, match="cannot be written .*File too large.*free space"):
        write(tmp_path, "x" * 2000)
    assert (tmp_path / "a.txt").read_text() == "one" and len(list(tmp_path.iterdir())) == 2


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file: give a folder"):
        write(tmp_path / "file", "one")


def test_weights_have_the_permissions_of_other_files(tmp_path: Path) -> None:
    with filled(tmp_path / "model") as folder:
        save_file({"a": torch.ones(1)}, folder / "model.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "model" / "model.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
