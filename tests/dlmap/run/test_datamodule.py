from pathlib import Path

import pytest
import torch
from PIL import Image

from dlmap.run.datamodule import Photo, PhotoBatches, PhotoFolderData, StoppableBatches
from dlmap.run.record import Record
from dlmap.run.run import Run
from mslique import UserError


def put(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (255, 0, 0)).save(path)


def names(data: PhotoFolderData, output: Path) -> list[str]:
    return [record.file for record in data.records(output, keep_format=False)]


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


def test_bad_files_and_references_are_records_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    put(tmp_path / "good.png")
    put(tmp_path / "large.png", (9, 6))
    good, large = str(tmp_path / "good.png"), str(tmp_path / "large.png")
    records = [
        Record("bad.png", "bad.png", str(tmp_path / "bad.png")),
        Record("good.png", "good.png", good).failed("failed before"),
        Record("good.png", "good.png", good, reference=large),
        Record("good.png", "good.png", good, reference=good),
        Record("good.png", "good.png", good),
    ]
    bad, before, unequal, fine, alone = PhotoBatches([records])[0]
    assert isinstance(bad, Record) and bad.status == "failed" and "bad.png cannot be decoded" in bad.error
    assert before == records[1]
    assert isinstance(unequal, Record) and unequal.status == "failed"
    assert "large.png has 9 x 6 pixels, good.png has 8 x 6 pixels" in unequal.error
    assert isinstance(fine, Photo) and fine.reference is not None and fine.record == records[3]
    assert torch.equal(fine.decoded.image, fine.reference)
    assert isinstance(alone, Photo) and alone.reference is None


def test_a_missing_reference_is_a_failure(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png", "to/a.jpg", "to/b.png", "to/c.jpg", "to/c.bmp"):
        put(tmp_path / name)
    data = PhotoFolderData(str(tmp_path / "in"), reference=str(tmp_path / "to"))
    a, b, c = data.records(tmp_path / "out", keep_format=False)
    assert (a.reference, b.reference) == (str(tmp_path / "to" / "a.jpg"), str(tmp_path / "to" / "b.png"))
    assert a.status == b.status == "" and c.status == "failed" and c.reference is None
    assert "c.png has no reference of the same name, or several" in c.error


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_end_when_asked_to(num_workers: int, tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    record, run = Record("x.png", "x.png", str(tmp_path / "x.png")), Run(tmp_path / "out")
    batches = StoppableBatches(PhotoBatches([[record, record], [record], [record]]), num_workers, run)
    assert len(batches) == 3 and [len(batch) for batch in batches] == [2, 1, 1]
    seen = []
    for batch in batches:
        seen.append(len(batch))
        run.told_to_stop = True
    assert seen == [2]


def test_it_needs_a_run(tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    with pytest.raises(RuntimeError, match="together with a MAPEnhancer"):
        PhotoFolderData(str(tmp_path)).predict_dataloader()
