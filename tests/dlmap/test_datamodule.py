from pathlib import Path

import pytest
from PIL import Image

from dlmap.datamodule import PhotoFolder, PhotoFolderData
from mslique import UserError


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (255, 0, 0)).save(path)


def test_names_are_relative_and_equal_stems_do_not_collide(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.bmp", "sub/b.jpg"):
        put(tmp_path / name)
    photos = list(PhotoFolder(tmp_path)[k] for k in range(3))
    assert [(str(p.name), str(p.output)) for p in photos] == [
        ("a.bmp", "a.bmp.png"),
        ("a.jpg", "a.jpg.png"),
        ("sub/b.jpg", "sub/b.png"),
    ]
    assert photos[2].image is not None and photos[2].image.shape == (3, 6, 8)


def test_a_bad_file_is_an_item_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    photo = PhotoFolder(tmp_path)[0]
    assert photo.image is None and "bad.png cannot be decoded" in photo.error


def test_one_file_is_a_folder_of_one(tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    put(tmp_path / "y.png")
    (batch,) = PhotoFolderData(str(tmp_path / "x.png")).predict_dataloader()
    assert [str(photo.output) for photo in batch] == ["x.png"]


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        PhotoFolderData(str(tmp_path / "no"))
    with pytest.raises(UserError, match="holds no image"):
        PhotoFolderData(str(tmp_path))
