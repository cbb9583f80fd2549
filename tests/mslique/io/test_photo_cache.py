import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from mslique import UserError, read_image
from mslique.io.photo_cache import PhotoCache, decoded, shrunk

SIDE = 90


def save(path: Path, image: Tensor, **options: object) -> Path:
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.fixture
def file(tmp_path: Path, photo: Callable[..., Tensor]) -> Path:
    """A photograph of 160x120 pixels, stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(tmp_path / "photo.jpg", photo()[:, :120].rot90(1, (1, 2)), exif=exif, quality=95)


@pytest.fixture
def cache(tmp_path: Path) -> PhotoCache:
    return PhotoCache(tmp_path / "new" / "cache", SIDE)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond 16 kB. Not a fixture: the file to which pytest reports may be larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def entries(cache: PhotoCache) -> list[Path]:
    return sorted(cache.folder.iterdir())


def mark(entry: Path) -> Tensor:
    """Put another image into an entry, by which it is known again."""
    pixels = np.full((3, 2, 2), 7, np.uint8)
    with entry.open("wb") as file:
        np.savez(file, image=pixels)
    return torch.from_numpy(pixels)


def test_only_images_larger_on_both_sides_are_shrunk() -> None:
    assert shrunk(torch.rand(3, 100, 60), 40).shape == (3, 67, 40)
    assert shrunk(torch.rand(3, 40, 200), 40).shape == (3, 40, 200)


def test_decoded_is_the_shrunk_image_in_eight_bits(file: Path) -> None:
    image, found = read_image(file), decoded(file, SIDE)
    assert image.shape == (3, 120, 160) and found.shape == (3, SIDE, SIDE * 160 // 120)
    assert (found / 255 - shrunk(image, SIDE)).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(decoded(file, None).float() / 255, image)  # a file of 8 bits that is not shrunk loses nothing


def test_what_is_kept_is_what_was_decoded(file: Path, cache: PhotoCache) -> None:
    expected = decoded(file, SIDE)
    for _ in range(2):
        image = cache(file)
        assert torch.equal(image, expected) and image.stride() == expected.stride()
    (entry,) = entries(cache)
    assert torch.equal(cache(file), expected)
    marked = mark(entry)
    assert torch.equal(cache(file), marked)  # the entry is read, not the file
    assert torch.equal(PhotoCache(cache.folder, SIDE)(file), marked)  # by later trainings too


def test_another_size_or_file_is_decoded_anew(file: Path, cache: PhotoCache, photo: Callable[..., Tensor]) -> None:
    cache(file)
    mark(entries(cache)[0])
    for side in (SIDE + 1, None):
        assert torch.equal(PhotoCache(cache.folder, side)(file), decoded(file, side))
    other = file.with_name("other.jpg")
    other.write_bytes(file.read_bytes())
    assert torch.equal(cache(other), decoded(file, SIDE))
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert torch.equal(cache(file), decoded(file, SIDE))
    mark(max(entries(cache), key=lambda entry: entry.stat().st_mtime_ns))
    save(file, photo("coffee"), quality=50)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # only its size tells
    assert torch.equal(cache(file), decoded(file, SIDE)) and len(entries(cache)) == 6


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "one bit", "another file"])
def test_damaged_entries_are_made_anew(
    damage: str, file: Path, cache: PhotoCache, caplog: pytest.LogCaptureFixture
) -> None:
    expected = cache(file)
    (entry,) = entries(cache)
    data = bytearray(entry.read_bytes())
    flipped = data.copy()
    flipped[len(data) // 2] ^= 1
    damaged = {"empty": b"", "cut": data[:9000], "zeros": bytes(len(data)), "one bit": flipped, "another file": b"PNG"}
    entry.write_bytes(damaged[damage])
    assert torch.equal(cache(file), expected) and "is damaged" in caplog.text
    assert entry.read_bytes()[-2000:] == data[-2000:] and entries(cache) == [entry]


def test_a_full_disk_is_told_once_and_the_training_goes_on(
    file: Path, cache: PhotoCache, caplog: pytest.LogCaptureFixture
) -> None:
    expected = decoded(file, SIDE)
    with full_disk():
        read = [cache(file) for _ in range(3)]
    assert all(torch.equal(image, expected) for image in read)
    assert caplog.text.count("nothing more is kept in the cache") == 1 and entries(cache) == []


def read_by_workers(cache: PhotoCache, file: Path, times: int, then: Callable[[], bool] = lambda: True) -> set[bool]:
    """Whether workers of a data loader, reading at once, get the right image, and ``then`` is true."""
    expected = decoded(file, SIDE)

    def read(paths: list[Path]) -> bool:
        return torch.equal(cache(paths[0]), expected) and then()

    return set(DataLoader([file] * times, num_workers=2, collate_fn=read, timeout=60))  # type: ignore[arg-type]


def test_all_workers_know_of_a_full_disk(file: Path, cache: PhotoCache) -> None:
    with full_disk():
        right = read_by_workers(cache, file, 1)
    assert right == {True} and cache._unwritable


def test_a_cache_that_cannot_be_made_is_a_mistake(file: Path) -> None:
    with pytest.raises(UserError, match=r"photo\.jpg/cache cannot be made \(Not a directory\): give another folder"):
        PhotoCache(file / "cache", SIDE)


def test_files_that_cannot_be_decoded_are_not_kept(file: Path, cache: PhotoCache) -> None:
    file.write_bytes(b"no image")
    for path in (file, file.with_name("missing.jpg")):
        with pytest.raises(UserError, match=f"{path.name} cannot be decoded"):
            cache(path)
    assert entries(cache) == []


def test_workers_that_write_the_same_entry_at_once(
    file: Path, cache: PhotoCache, caplog: pytest.LogCaptureFixture
) -> None:
    def forget() -> bool:
        for entry in cache.folder.glob("*.npz"):
            entry.unlink(missing_ok=True)  # so that the others write again
        return not caplog.records  # none met a damaged entry

    assert read_by_workers(cache, file, 200, forget) == {True} and not cache._unwritable
    cache(file)
    assert len(entries(cache)) == 1
