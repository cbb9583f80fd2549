from pathlib import Path

import pytest

from mslique import UserError
from mslique.data.known_datasets import KNOWN
from mslique.data.opinion import LabelSource, check_images, load_labels
from mslique.data.parts import Label


def load(root: Path, name: str, **options: object) -> dict[str, list[Label]]:
    return load_labels(name, LabelSource(**options), root, root, 1).splits  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["live", "csiq", "bid", "clive", "koniq", "kadid"])
def test_liqes_layout_is_known(name: str, iqa_database: Path) -> None:
    images = load_labels(name, LabelSource(), iqa_database, iqa_database, 1)
    assert {part: len(labels) for part, labels in images.splits.items()} == {"train": 9, "val": 6, "test": 6}
    check_images(images, ["train", "val", "test"])
    assert all(label.score >= 0 for label in images.splits["train"])


def flipped(folder: Path, source: Path, stem: str, highest: float) -> None:
    for file in source.glob(f"{stem}_*.txt"):
        rows = [line.split("\t") for line in file.read_text().splitlines()]
        (folder / file.name).write_text("".join(f"{p}\t{highest - float(s):.4f}\n" for p, s, *_ in rows))


@pytest.mark.parametrize(("name", "highest"), [("csiq", 1), ("kadid", 6)])
def test_a_manifest_that_runs_the_wrong_way_is_caught(
    name: str, highest: float, iqa_database: Path, tmp_path: Path
) -> None:
    known = KNOWN[name]
    flipped(tmp_path, iqa_database / known.folder / "splits2" / "1", known.stem, highest)
    with pytest.raises(UserError, match="set higher_is_better: false"):
        load_labels(name, LabelSource(labels="."), iqa_database, tmp_path, 1)
    turned = load_labels(name, LabelSource(labels=".", higher_is_better=False), iqa_database, tmp_path, 1)
    assert KNOWN[name].agreement({x.path: x.score for x in turned.splits["train"]}) == 1


@pytest.mark.parametrize("name", ["live", "bid", "clive", "koniq", "spaq"])
def test_named_images_tell_the_direction(name: str) -> None:
    known = KNOWN[name]
    right = {f"any/folder/{path}": 4.0 for path in known.best} | {f"any/folder/{path}": 1.0 for path in known.worst}
    assert known.agreement(right) == 1 and known.agreement({path: -score for path, score in right.items()}) == -1
    assert known.agreement({"something/else.png": 3.0}) is None


def test_tables_of_live_and_csiq_are_lower_is_better(tmp_path: Path) -> None:
    best, worst = KNOWN["live"].best, KNOWN["live"].worst
    rows = [f"LIVE/{path},5.0" for path in best] + [f"LIVE/{path},100.0" for path in worst]
    (tmp_path / "live.txt").write_text("\n".join(["dis_img_path,score", *rows]))
    table = {"labels": "live.txt", "format": "table", "image_column": "dis_img_path"}
    splits = load(tmp_path, "live", **table)
    assert {x.score for labels in splits.values() for x in labels} == {-5.0, -100.0}
    with pytest.raises(UserError, match="set higher_is_better: false"):
        load(tmp_path, "live", **table, higher_is_better=True)


def test_scores_outside_the_range_are_caught(iqa_database: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"range 1 to 3.*set score_range"):
        load(iqa_database, "koniq", score_range=(1, 3))
    (tmp_path / "mine.csv").write_text("image,score\na,0\nb,1000\n")
    splits = load(tmp_path, "mine", labels="mine.csv", format="table")
    assert sorted(x.score for labels in splits.values() for x in labels) == [0, 1000]


def test_an_image_may_have_one_row_only(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("image,score\na,0\nb,1\na,2\n")
    with pytest.raises(UserError, match=r"1 images of mine occur more than once \(a\)"):
        load(tmp_path, "mine", labels="mine.csv", format="table")


@pytest.mark.parametrize(
    ("labels", "message"),
    [([("a.png", 1.0)], "has 1 images"), ([("a.png", 1.0), ("b.png", 1.0)], "2 images with one and the same score")],
)
def test_there_must_be_something_to_rank(labels: list[tuple[str, float]], message: str, tmp_path: Path) -> None:
    rows = "".join(f"{path},{score},train\n" for path, score in labels)
    (tmp_path / "t.csv").write_text(f"image,score,part\n{rows}v.png,1,val\n")
    images = load_labels("t", LabelSource(labels="t.csv", format="table", split_column="part"), tmp_path, tmp_path, 1)
    with pytest.raises(UserError, match=message):
        check_images(images, ["train"])


def test_missing_images_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,score\n" + "".join(f"{k:02}.png,{k}\n" for k in range(20)))
    images = load_labels("mine", LabelSource(labels="t.csv", format="table"), tmp_path, tmp_path, 1)
    with pytest.raises(UserError, match=r"14 of 14 images of mine are missing .*\(\d\d\.png, (\d\d\.png, ){4}\.\.\.\)"):
        check_images(images, ["train"])
