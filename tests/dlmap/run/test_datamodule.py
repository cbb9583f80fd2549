from pathlib import Path

import pytest
from PIL import Image

from dlmap.run.datamodule import PhotoFolderData
from mslique import UserError


def put(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (255, 0, 0)).save(path)


def names(data: PhotoFolderData, output: Path) -> list[str]:
    return [str(task.name) for task in data.tasks(output, keep_format=False)]


def test_one_file_is_a_folder_of_one(tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    put(tmp_path / "y.png")
    assert names(PhotoFolderData(str(tmp_path / "x.png")), tmp_path / "out") == ["x.png"]


def test_patterns_and_limit_choose(tmp_path: Path) -> None:
    for name in ("a.jpg", "B.JPG", "sub/c.png", "sub/d.jpg"):
        put(tmp_path / "in" / name)

    def chosen(**options: object) -> list[str]:
        return names(PhotoFolderData(str(tmp_path / "in"), **options), tmp_path / "out")  # type: ignore[arg-type]

    assert chosen() == ["B.JPG", "a.jpg", "sub/c.png", "sub/d.jpg"]
    assert chosen(include="*.jpg") == ["B.JPG", "a.jpg", "sub/d.jpg"]
    assert chosen(include="*.jpg, *.png", exclude="sub/*") == ["B.JPG", "a.jpg"]
    assert chosen(include="*.jpg", limit=2) == ["B.JPG", "a.jpg"]
    with pytest.raises(UserError, match=r"none of the 4 images .*--data.include '\*.gif'"):
        chosen(include="*.gif")
    with pytest.raises(UserError, match="--data.limit is 0"):
        chosen(limit=0)


def test_results_of_earlier_runs_are_no_inputs(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "out" / "a.png")
    assert names(PhotoFolderData(str(tmp_path)), tmp_path / "out") == ["a.jpg"]


def test_inputs_are_never_overwritten(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    with pytest.raises(UserError, match="is the folder of the photographs"):
        names(PhotoFolderData(str(tmp_path)), tmp_path)
    with pytest.raises(UserError, match="would overwrite .*a.png"):
        names(PhotoFolderData(str(tmp_path / "a.png")), tmp_path)
    put(tmp_path / "x" / "b.png")
    put(tmp_path / "x" / "x" / "b.jpg")
    with pytest.raises(UserError, match="result of x/b.jpg would overwrite .*x/b.png"):
        names(PhotoFolderData(str(tmp_path / "x")), tmp_path)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        PhotoFolderData(str(tmp_path / "no"))
    with pytest.raises(UserError, match="holds no image"):
        PhotoFolderData(str(tmp_path))
    put(tmp_path / "x.png")
    with pytest.raises(UserError, match="is not a folder"):
        PhotoFolderData(str(tmp_path), reference=str(tmp_path / "no"))
