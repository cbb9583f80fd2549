import json
from pathlib import Path
from typing import Any

import pytest
from handmade import CONTESTANTS, make_study, photographs

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
     {"contestants": ("a", "@original")}, {"contestants": ("a", "")}, {"contestants": ("a", "b\n")}],
)  # fmt: skip
def test_impossible_studies(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        study(tmp_path, **changes)


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dlmap study create"):
        Study.load(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps({"version": 1, "contestants": 3, "photos": []}), '"\xff"']
)
def test_a_broken_definition(content: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="not the definition of a study"):
        Study.load(tmp_path)


@pytest.mark.parametrize("missing", ["originals/astronaut.png", f"outputs/{CONTESTANTS[-1]}/sub/chelsea.png"])
def test_a_missing_picture_is_named(missing: str, tmp_path: Path) -> None:
    study = make_study(tmp_path, photographs(16))
    study.check_pictures()
    (study.folder / missing).unlink()
    with pytest.raises(UserError, match=missing):
        study.check_pictures()
