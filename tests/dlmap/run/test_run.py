import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dlmap.run.files import read_csv
from dlmap.run.record import Record
from dlmap.run.run import Run
from dlmap.run.writer import Result
from mslique import UserError, decode_image


def planned(folder: Path, count: int) -> list[Record]:
    folder.mkdir()
    records = []
    for k in range(count):
        path = folder / f"{k}.png"
        Image.new("RGB", (8, 6), (10 * k, 0, 0)).save(path)
        records.append(Record(path.name, path.name, str(path)))
    return records


def enhanced(record: Record) -> Result:
    return Result(replace(record, status="ok"), decode_image(record.source), Image.new("RGB", (8, 6), "white"))


def test_a_run_writes_what_it_has_planned(tmp_path: Path) -> None:
    records = planned(tmp_path / "in", 3)
    run = Run(tmp_path / "out")
    run.options = "x"
    batches = run.begin(run.plan(records, 2, 1), 0, 1)
    assert [[one.file for one in batch] for batch in batches] == [["0.png", "1.png"], ["2.png"]]
    assert (run.planned, run.share) == (3, 3) and all(one.key for batch in batches for one in batch)
    for batch in batches:
        for record in batch:
            run.finish(enhanced(record))
    run.wait()
    run.conclude()
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["ok"] * 3
    assert (tmp_path / "out" / "report.html").is_file()
    assert Image.open(tmp_path / "out" / "2.png").getpixel((0, 0)) == (255, 255, 255)

    again = Run(tmp_path / "out")
    again.options = "x"
    assert again.plan(records, 2, 2) == [[], []]
    assert [len(batch) for batch in again.plan(records, 2, 1, overwrite=True)] == [2, 1]
    os.utime(tmp_path / "in" / "1.png", (0, 0))
    assert [[one.file for one in batch] for batch in again.plan(records, 2, 2)] == [["1.png"], []]
    again.options = "y"
    assert sum(map(len, again.plan(records, 2, 1))) == 3


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    records, output = planned(tmp_path / "in", 2), tmp_path / "out"
    output.mkdir()
    (output / "1.png").write_text("mine")
    run = Run(output)
    with pytest.raises(UserError, match="out/1.png is there already, and of no run .*--data.overwrite true"):
        run.plan(records, 2, 1)
    assert (output / "1.png").read_text() == "mine" and not run.journal.path.exists()
    assert len(run.plan(records, 2, 1, overwrite=True)[0]) == 2
    (output / "1.png").unlink()
    run.plan(records, 2, 1)
    (output / "1.png").write_text("a result of a run that was killed before its line of the journal")
    assert len(Run(output).plan(records, 2, 1)[0]) == 2


def test_without_a_fingerprint_nothing_counts_as_done(tmp_path: Path) -> None:
    records, run = planned(tmp_path / "in", 1), Run(tmp_path / "out")
    for _ in range(2):
        ((record,),) = run.begin(run.plan(records, 2, 1), 0, 1)
        run.finish(enhanced(record))
        run.wait()
        run.conclude()


def test_the_processes_share_the_batches(tmp_path: Path) -> None:
    records = planned(tmp_path / "in", 5)
    batches = Run(tmp_path / "out").plan(records, 2, 2)
    shares = []
    for rank in (0, 1):
        run = Run(tmp_path / "out")
        mine = run.begin(batches, rank, 2)
        assert run.planned == 5 and run.share == sum(map(len, mine))
        shares += [record.file for batch in mine for record in batch]
    assert sorted(shares) == [record.file for record in records]


def test_a_failure_and_an_early_end_are_said_at_the_end(tmp_path: Path) -> None:
    records = planned(tmp_path / "in", 2)
    run = Run(tmp_path / "out", report=False)
    run.begin([records], 0, 1)
    run.finish(records[0].failed("0.png is no photograph"))
    run.wait()
    with pytest.raises(UserError, match="ended early: 1 photographs are done, 1 are not"):
        run.conclude()
    run.begin([records], 0, 1)
    run.finish(records[0].failed("0.png is no photograph"))
    run.finish(enhanced(records[1]))
    run.wait()
    with pytest.raises(UserError, match=r"1 of 2 images failed.*results.csv. First: 0.png is no photograph"):
        run.conclude()
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be opened")
def test_after_a_power_cut_no_line_of_the_journal_names_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on disk then is what os.fsync was called for, in this order."""
    calls: list[tuple[str, int, int]] = []
    sync, move = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        calls.append(("content", os.fstat(handle).st_ino, os.fstat(handle).st_size))
        sync(handle)

    def noted_move(old: Path, new: Path) -> None:
        calls.append(("name", os.stat(old).st_ino, 0))
        move(old, new)

    (record,), run = planned(tmp_path / "in", 1), Run(tmp_path / "out" / "below")
    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_move)
    run.check_output()
    run.begin([[replace(record, output="sub/0.png")]], 0, 1)
    run.finish(enhanced(replace(record, output="sub/0.png")))
    run.wait()
    run.close()
    note = run.journal.folder / "part-00000.jsonl"
    line = calls.index(("content", note.stat().st_ino, note.stat().st_size))
    folders = [index for kind, index, _ in calls if kind == "content"]
    for path in (run.output / "sub" / "0.png", *run.journal.folder.glob("thumbnails/*/*")):
        content, named = ("content", path.stat().st_ino, path.stat().st_size), ("name", path.stat().st_ino, 0)
        assert calls.index(content) < calls.index(named) < line
        last = max(k for k, call in enumerate(calls[:line]) if call[:2] == ("content", path.parent.stat().st_ino))
        assert calls.index(named) < last  # the new name is in the folder
    for folder in (tmp_path, tmp_path / "out", run.output, run.journal.folder):
        assert folder.stat().st_ino in folders  # each of them has a new name in it
    monkeypatch.undo()
    calls.clear()
    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "unlink", lambda path, **_: calls.append(("gone", path.name.startswith("part-"), 0)))
    run.journal.merge()
    journal = run.journal.path.stat()
    assert calls.index(("content", journal.st_ino, journal.st_size)) < calls.index(("gone", True, 0))


def test_the_output_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file: give a folder"):
        Run(tmp_path / "file")
    with pytest.raises(RuntimeError, match="begin"):
        Run(tmp_path).finish(Record("a", "a"))
