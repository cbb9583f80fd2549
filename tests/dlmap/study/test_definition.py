import json
from pathlib import Path
from typing import Any

import pytest
from handmade import CONTESTANTS, make_study, photographs
from toys import photos

from dlmap.run.pictures import save_png
from dlmap.study.definition import Study
from mslique import UserError


def study(folder: Path, **changes: Any) -> Study:
    return Study(**{"folder": folder, "contestants": ("a", "b"), "photos": ("1.png",), "token": "t"} | changes)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = study(tmp_path, photos=("1.png", "sub/ü.png"), question="Why?", seed=3, details={"a": {"model": "x"}})
    saved.save()
    assert Study.load(tmp_path) == saved == Study.load(str(tmp_path))
    assert saved.output("a", "sub/ü.png") == tmp_path / "outputs" / "a" / "sub" / "ü.png"


@pytest.mark.parametrize(
    "changes",
    [{"contestants": ("a",)}, {"contestants": ("a", "a")}, {"photos": ()}, {"contestants": ("a", "../b")},
     {"contestants": ("a", "@original")}, {"contestants": ("a", "")}, {"contestants": ("a", "b\n")},
     {"photos": ("../../secret.png",)}, {"photos": ("/etc/passwd",)}, {"photos": ("1.png", "1.png")}, {"token": ""},
     {"token": "a/b"}, {"seed": -1}],
)  # fmt: skip
def test_impossible_studies(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        study(tmp_path, **changes)


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dlmap study create"):
        Study.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '"\xff"']
    + [
        json.dumps({"version": 1, "contestants": ["a", "b"], "photos": ["1.png"], "token": "t"} | wrong)
        for wrong in (
            {"contestants": 3},
            {"contestants": "ab"},
            {"contestants": [1, 2]},
            {"photos": "ab"},
            {"photos": [1]},
            {"token": 5},
            {"seed": "x"},
            {"seed": 1.5},
            {"question": 5},
            {"details": None},
            {"details": {"own": "x"}},
            {"details": {"judges": []}},
            {"more": 1},
        )
    ],
)
def test_a_broken_definition(content: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="not the definition of a study"):
        Study.load(tmp_path)


def test_a_definition_saved_by_an_editor_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    study(tmp_path).save()
    (tmp_path / "study.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "study.json").read_bytes())
    assert Study.load(tmp_path) == study(tmp_path)


def test_pictures_of_another_size_and_damaged_ones_are_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, photographs(16))
    picture = study.output(CONTESTANTS[0], "astronaut.png")
    save_png(photos(1, 8, 16)[0], picture)
    with pytest.raises(UserError, match=rf"{picture} has not the size"):
        study.check_pictures()
    picture.write_text("no picture")
    with pytest.raises(UserError, match=rf"{picture} cannot be decoded"):
        study.check_pictures()


@pytest.mark.parametrize("missing", ["originals/astronaut.png", f"outputs/{CONTESTANTS[-1]}/sub/chelsea.png"])
def test_a_missing_picture_is_named(missing: str, tmp_path: Path) -> None:
    study = make_study(tmp_path, photographs(16))
    study.check_pictures()
    (study.folder / missing).unlink()
    with pytest.raises(UserError, match=missing):
        study.check_pictures()
