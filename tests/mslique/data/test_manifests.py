import pickle
from pathlib import Path

import numpy as np
import pytest

from mslique import UserError
from mslique.data.manifests import numbered, read_liqe, read_meta, read_table
from mslique.data.parts import Splits, duplicates


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def liqe(folder: Path, train: str = "a.png\t1.5\tblur\nb c.png\t2\tnoise\n") -> Path:
    for part, text in (("train", train), ("val", "v.png\t3\n"), ("test", "t.png\t4\n")):
        write(folder / f"live_{part}_clip.txt", text)
    return folder


META = "name,mos,std,official_split,ratio_split_02\n" + "".join(
    f"{k}.jpg,{k / 2},0.1,{part},{other}\n"
    for k, (part, other) in enumerate([("train", "test"), ("train", "train"), ("val", "train"), ("test", "train")])
)


def scores(splits: Splits) -> dict[str, list[float]]:
    return {part: [label.score for label in labels] for part, labels in splits.items()}


def test_liqe_manifests_are_read(tmp_path: Path) -> None:
    splits = read_liqe(liqe(tmp_path), "live")
    assert [(label.path, label.score) for label in splits["train"]] == [("a.png", 1.5), ("b c.png", 2.0)]
    assert scores(splits) == {"train": [1.5, 2.0], "val": [3.0], "test": [4.0]}


def test_meta_files_are_split_by_a_column(tmp_path: Path) -> None:
    file = write(tmp_path / "meta.csv", META)
    assert scores(read_meta(file, 1, "official_split")) == {"train": [0, 0.5], "val": [1], "test": [1.5]}
    numbered = read_meta(file, 2, "ratio_split_{split:02d}")  # without a validation set
    assert numbered["test"][0].score == 0 and len(numbered["train"]) == 2 and len(numbered["val"]) == 1


@pytest.mark.parametrize("kind", [list, np.array])
def test_meta_files_are_split_by_a_pickle(kind: type, tmp_path: Path) -> None:
    rows = {1: {"train": kind([0, 2]), "val": kind([3]), "test": kind([1])}}
    (tmp_path / "splits.pkl").write_bytes(pickle.dumps(rows))
    splits = read_meta(write(tmp_path / "meta.csv", META), 1, splits=tmp_path / "splits.pkl")
    assert scores(splits) == {"train": [0, 1], "val": [1.5], "test": [0.5]}


def test_no_code_in_a_pickle_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "hacked",))

    (tmp_path / "splits.pkl").write_bytes(pickle.dumps({1: Evil()}))
    with pytest.raises(UserError, match="it asks for"):
        read_meta(write(tmp_path / "meta.csv", META), 1, splits=tmp_path / "splits.pkl")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_tables_are_drawn_at_random_with_references_together(separator: str, tmp_path: Path) -> None:
    rows = [("mos", "file", "ref"), *((str(k), f"{k}.png", f"r{k // 5}") for k in range(200))]
    file = write(tmp_path / "t.csv", "\n".join(separator.join(row) for row in rows))
    splits = read_table(file, 1, "file", "mos", reference="ref")
    assert {part: len(labels) for part, labels in splits.items()} == {"train": 140, "val": 20, "test": 40}
    references = [{label.reference for label in labels} for labels in splits.values()]
    assert not references[0] & references[1] and not references[0] & references[2] and not references[1] & references[2]
    assert read_table(file, 1, "file", "mos", "ref") == splits != read_table(file, 2, "file", "mos", "ref")


def test_a_table_of_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("Image;Score;Part;\r\na;1,5;train;\r\n;;;\r\nb;2;test;\r\n".encode("utf-16"))
    assert scores(read_table(tmp_path / "t.csv", 1, "image", "score", column="part"))["train"] == [1.5]


def test_tables_can_name_the_part(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "image,score,part\na,1,train\nb,2,val\nc,3,test\n")
    assert scores(read_table(file, 1, "image", "score", column="part")) == {"train": [1], "val": [2], "test": [3]}


def test_images_that_occur_twice_are_found(tmp_path: Path) -> None:
    splits = read_liqe(liqe(tmp_path, "v.png\t1\na.png\t2\n./a.png\t3\n"), "live")
    assert sorted(duplicates(splits)) == ["a.png", "v.png"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png,1.5", "line 1 has a single column.*tabs"),
        ("a.png\tgood", "line 1: the score 'good' is not a number"),
        ("a.png\tnan", "not finite"),
        ("../a.png\t1", "leaves the dataset's folder"),
        ("/etc/a.png\t1", "leaves the dataset's folder"),
        ("", "is empty"),
    ],
)
def test_a_broken_manifest_names_file_and_line(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"live_train_clip\.txt.*{message}"):
        read_liqe(liqe(tmp_path, line), "live")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image\na.png\n", "single column"),
        ("file,score\na.png,1\n", "no column 'image': choose one of file, score"),
        ("image,score,x\na.png,1\n", "line 2 has 2 columns, the header 3"),
    ],
)
def test_a_broken_table_names_the_way_out(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_table(write(tmp_path / "t.csv", text), 1, "image", "score")


def test_missing_files_and_splits_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"live_train_clip\.txt cannot be read"):
        read_liqe(tmp_path, "live")
    file = write(tmp_path / "meta.csv", META)
    with pytest.raises(UserError, match="no column 'split_3'"):
        read_meta(file, 3, "split_{split}")
    (tmp_path / "splits.pkl").write_bytes(pickle.dumps({1: {"train": [99]}}))
    with pytest.raises(UserError, match="row 99 of a table with 4"):
        read_meta(file, 1, splits=tmp_path / "splits.pkl")
    with pytest.raises(UserError, match="with split 2"):
        read_meta(file, 2, splits=tmp_path / "splits.pkl")


@pytest.mark.parametrize("text", ["{x}.csv", "{.csv", "{split.name}", "{}"])
def test_other_braces_than_those_of_the_split_are_told(text: str) -> None:
    with pytest.raises(UserError, match="write {split}"):
        numbered(text, 1)
    assert numbered("part_{split:02d}", 3) == "part_03"
