from pathlib import Path

import pytest
import torch
from PIL import Image

from dlmap.run.interrupt import Stop
from dlmap.run.photos import PhotoBatches, StoppableBatches
from dlmap.run.plan import Task


def put(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, (255, 0, 0)).save(path)


def test_bad_files_and_references_are_items_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    put(tmp_path / "good.png")
    put(tmp_path / "large.png", (9, 6))
    tasks = [
        Task(tmp_path / "bad.png", Path("bad.png"), Path("bad.png")),
        Task(tmp_path / "good.png", Path("good.png"), Path("good.png")),
        Task(tmp_path / "good.png", Path("good.png"), Path("good.png"), reference=tmp_path / "large.png"),
        Task(tmp_path / "good.png", Path("good.png"), Path("good.png"), reference=tmp_path / "good.png"),
    ]
    bad, alone, unequal, fine = PhotoBatches([tasks], references=True)[0]
    assert bad.decoded is None and "bad.png cannot be decoded" in bad.error
    assert alone.decoded is None and "good.png has no reference" in alone.error
    assert unequal.decoded is None and "large.png has 9 x 6 pixels, good.png has 8 x 6 pixels" in unequal.error
    assert fine.decoded is not None and fine.reference is not None and fine.error == ""
    assert torch.equal(fine.decoded.image, fine.reference)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_end_when_asked_to(num_workers: int, tmp_path: Path) -> None:
    put(tmp_path / "x.png")
    task, stop = Task(tmp_path / "x.png", Path("x.png"), Path("x.png")), Stop()
    batches = StoppableBatches(PhotoBatches([[task, task], [task], [task]], references=False), 4, num_workers, stop)
    assert batches.photos == 4 and len(batches) == 3 and [len(batch) for batch in batches] == [2, 1, 1]
    seen = []
    for batch in batches:
        seen.append(len(batch))
        stop.told = True
    assert seen == [2]
