import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from mslique import UserError, list_images, read_image


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"x")


def listed(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in list_images(folder)]


def test_listing_is_sorted_and_recursive(tmp_path: Path) -> None:
    fill(tmp_path, "b.PNG", "sub/a.jpg")
    (tmp_path / "folder.png").mkdir()
    assert listed(tmp_path) == ["b.PNG", "sub/a.jpg"]
    assert list_images(tmp_path, recursive=False) == [tmp_path / "b.PNG"]


SAVED = {"jfif": "JPEG", "jpe": "JPEG", "mpo": "MPO", "avif": "AVIF", "AVIF": "AVIF", "apng": "PNG", "j2k": "JPEG2000"}


@pytest.mark.parametrize("suffix", SAVED)
def test_all_that_pillow_reads_is_listed_and_read(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (16, 8), (200, 100, 50)).save(tmp_path / f"x.{suffix}", SAVED[suffix])
    (path,) = list_images(tmp_path)
    assert np.abs(read_image(path).mean((1, 2)).numpy() * 255 - (200, 100, 50)).max() < 3


def test_files_of_other_kinds_are_counted_in_one_warning(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "b.heic", "sub/c.HEIC", "d.gif", "e.cr2", "README")
    with pytest.warns(UserWarning) as caught:
        assert listed(tmp_path) == ["a.jpg"]
    (warning,) = caught
    assert f"5 files in {tmp_path} left out" in str(warning.message)
    assert ".heic (2), .cr2 (1), .gif (1), without suffix (1); save photographs" in str(warning.message)
    fill(tmp_path, *(f"x.{k:03d}" for k in range(20)))
    with pytest.warns(UserWarning, match=r"\.000 \(1\), .* and others; save"):
        list_images(tmp_path)


def test_what_systems_put_beside_photographs_is_no_photograph(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.jpg", "__MACOSX/b.jpg")
    fill(tmp_path, "@eaDir/a.jpg/THUMB_XL.jpg", ".dlmap/journal.jsonl")
    with warnings.catch_warnings(action="error"):
        assert listed(tmp_path) == ["a.jpg"]


def test_texts_and_tables_beside_photographs_are_no_news(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "README.md", "results.csv", "report.html", "config.YAML", "a.xmp")
    with warnings.catch_warnings(action="error"):
        assert listed(tmp_path) == ["a.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match=r"but \.csv \(1\), \.html"):
        list_images(tmp_path)


def test_an_error_says_what_is_there_instead(tmp_path: Path) -> None:
    fill(tmp_path, "a.heic", "b.heic")
    with pytest.raises(UserError, match=r"holds no image \(\.apng, .*\), but \.heic \(2\): check the folder"):
        list_images(tmp_path)


def test_a_registered_reader_of_heif_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pillow_heif.register_heif_opener() does it; here the content is a JPEG."""
    Image.new("RGB", (16, 8), "red").save(tmp_path / "a.heic", "JPEG")
    monkeypatch.setitem(Image.EXTENSION, ".heic", "HEIF")
    accept = lambda start: start.startswith(b"\xff\xd8")  # noqa: E731
    monkeypatch.setitem(Image.OPEN, "HEIF", (JpegImagePlugin.JpegImageFile, accept))
    monkeypatch.delitem(Image.OPEN, "JPEG")
    (path,) = list_images(tmp_path)
    assert read_image(path).shape == (3, 8, 16)
