from pathlib import Path

import pytest
from PIL import Image

from dlmap.run.plan import find_references, make_batches, output_names
from dlmap.run.record import Record


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (["a.jpg", "sub/a.bmp"], ["a.png", "sub/a.png"]),
        (["a.bmp", "a.jpg", "b.jpg"], ["a.bmp.png", "a.jpg.png", "b.png"]),
        (["a.bmp", "a.jpg", "a.jpg.png"], ["a.bmp.png", "a.jpg.png.png", "a.jpg.png"]),
        (["A.jpg", "a.bmp"], ["A.jpg.png", "a.bmp.png"]),
        (["a.jpg", "a.png/b.jpg"], ["a.jpg.png", "a.png/b.png"]),
        (
            ["a.bmp", "a.jpg", "a.jpg.bmp", "a.jpg.png/b.png"],
            ["a.bmp.png", "a.jpg.png.png", "a.jpg.bmp.png", "a.jpg.png/b.png"],
        ),
        (["a.b.jpg", ".hidden.jpg"], ["a.b.png", ".hidden.png"]),
    ],
)
def test_every_input_has_an_output_of_its_own(names: list[str], outputs: list[str]) -> None:
    assert [str(name) for name in output_names([Path(name) for name in names], keep_format=False)] == outputs
    assert output_names([Path(name) for name in names], keep_format=True) == [Path(name) for name in names]


def make_records(folder: Path, sizes: list[tuple[int, int]]) -> list[Record]:
    records = []
    for k, size in enumerate(sizes):
        path = folder / f"{k:02d}.png"
        Image.new("L", size).save(path)
        records.append(Record(path.name, path.name, str(path)))
    return records


def test_batches_are_full_of_equal_sizes(tmp_path: Path) -> None:
    records = make_records(tmp_path, [(8, 8), (9, 8)] * 5)
    batches = [[int(Path(record.file).stem) for record in batch] for batch in make_batches(records, 4, processes=1)]
    assert batches == [[0, 2, 4, 6], [1, 3, 5, 7], [8], [9]]


def test_no_process_waits_while_another_has_many(tmp_path: Path) -> None:
    records = make_records(tmp_path, [(8, 8)] * 6)
    assert [len(batch) for batch in make_batches(records, 4, processes=3)] == [2, 2, 2]
    assert [len(batch) for batch in make_batches(records, 4, processes=9)] == [1] * 6 + [0] * 3
    assert make_batches([], 4, processes=2) == [[], []]


def test_unreadable_headers_do_no_harm(tmp_path: Path) -> None:
    records = make_records(tmp_path, [(8, 8)] * 2)
    Path(records[0].source).write_bytes(b"nothing")
    Path(records[1].source).unlink()
    assert make_batches(records, 4, processes=1) == [records]


def test_references_have_the_same_name_or_stem(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.jpg", "c.png", "c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    records = [Record(n, n, n) for n in ("a.png", "sub/b.png", "b.png", "c.jpg", "c.bmp")]
    found = [path and str(path.relative_to(tmp_path)) for path in find_references(tmp_path, records)]
    assert found == ["a.png", "sub/b.jpg", None, "c.jpg", None]
    assert find_references(tmp_path / "c.png", records[:1]) == [tmp_path / "c.png"]
