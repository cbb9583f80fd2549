"""Whatever the bytes of a file are: a photograph, or a UserError that names the file; soon, and nothing else."""

import datetime
import warnings
from pathlib import Path

import pytest
from hostile import encoded, write_bad, write_odd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mslique import UserError, decode_image, image_size

KINDS = {kind: encoded(kind, side=24) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "JPEG2000", "BMP", "AVIF")}
KINDS["progressive JPEG"] = encoded("JPEG", side=24, progressive=True)
KINDS["compressed TIFF"] = encoded("TIFF", side=24, compression="tiff_lzw")
SOON = datetime.timedelta(seconds=3)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytes") / "x.png"


def check(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    try:
        with warnings.catch_warnings(action="ignore"):
            decoded = decode_image(file)
    except UserError as error:
        assert str(file) in str(error)
        return
    image = decoded.image
    assert image.ndim == 3 and image.shape[0] == 3 and min(image.shape) > 0
    assert image.min() >= 0 and image.max() <= 1 and image.isfinite().all()
    assert decoded.alpha is None or (decoded.alpha.shape == image.shape[1:] and decoded.alpha.isfinite().all())
    assert isinstance(decoded.exif, bytes) and isinstance(decoded.xmp, bytes)
    assert sorted(image_size(file)) == sorted(image.shape[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, file: Path) -> None:
    whole = KINDS[kind]
    places = st.integers(0, len(whole) - 1) | st.integers(0, 60)  # headers more often than pixels
    changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)

    @settings(max_examples=60, deadline=SOON, derandomize=True, database=None)
    @given(changes=changes, length=st.just(len(whole)) | places, inserted=st.binary(max_size=8))
    @example(changes=[], length=len(whole), inserted=b"")
    def damaged(changes: list[tuple[int, int]], length: int, inserted: bytes) -> None:
        data = bytearray(whole)
        for place, value in changes:
            data[place] = value
        middle = changes[0][0] if changes else 0
        check(file, bytes(data[:middle] + inserted + data[middle:])[:length])

    damaged()


@settings(max_examples=150, deadline=SOON, derandomize=True, database=None)
@given(head=st.sampled_from([whole[:k] for whole in KINDS.values() for k in (0, 4, 12, 30)]), rest=st.binary())
def test_random_bytes_after_a_true_beginning(file: Path, head: bytes, rest: bytes) -> None:
    check(file, head + rest)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_at_every_byte(kind: str, file: Path) -> None:
    for length in range(len(KINDS[kind])):
        check(file, KINDS[kind][:length])


def test_bad_files_are_refused_by_name_and_odd_ones_are_read(tmp_path: Path) -> None:
    for name in write_bad(tmp_path / "bad", 120, seed=1):
        with pytest.raises(UserError, match="cannot be decoded"), warnings.catch_warnings(action="ignore"):
            decode_image(tmp_path / "bad" / name)
    for name, note in write_odd(tmp_path / "odd").items():
        with warnings.catch_warnings(action="ignore"):
            decoded = decode_image(tmp_path / "odd" / name)
        assert note in decoded.note and bool(note) == bool(decoded.note)
