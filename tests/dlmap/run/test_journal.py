from pathlib import Path

from dlmap.run.journal import Entry, Journal
from dlmap.run.results import Row, read_rows, write_rows

HOSTILE = ["new\nline.png", 'quo"te, comma.png', "<script>.png", "späße 写真.png", "bytes-\udcff.png", " spaces .png"]


def entry(name: str, status: str = "ok", key: str = "k", **changes: float) -> Entry:
    return Entry(Row(name, status, **changes), f"{name}.out", key, [1.0, 2.0], [0.0, 0.1], [1.0, 1.9])  # type: ignore[arg-type]


def test_entries_survive_the_trip_to_disk(tmp_path: Path) -> None:
    entries = [entry(name, seconds=1 / 3) for name in HOSTILE]
    for k, one in enumerate(entries):
        Journal(tmp_path).append(k % 2, one)
    assert list(Journal(tmp_path).read().values()) == sorted(entries, key=lambda one: one.row.file)


def test_rows_survive_the_trip_to_disk(tmp_path: Path) -> None:
    write_rows(tmp_path / "r.csv", [entry(name, seconds=1 / 3).row for name in HOSTILE])
    rows = read_rows(tmp_path / "r.csv")
    assert [row["file"] for row in rows] == HOSTILE
    assert rows[0]["seconds"] == "0.333333" and rows[0]["quality_before"] == "" and rows[0]["note"] == ""


def test_parts_are_merged_and_the_latest_entry_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(0, entry("a", key="old"))
    assert [one.row.file for one in journal.merge()] == ["a"] and journal.merge() == []
    journal.append(1, entry("b"))
    journal.append(0, entry("a", key="new"))
    assert {name: one.key for name, one in journal.read().items()} == {"a": "new", "b": "k"}
    assert sorted(one.row.file for one in journal.merge()) == ["a", "b"]
    assert {name: one.key for name, one in journal.read().items()} == {"a": "new", "b": "k"}
    assert [path.name for path in journal.folder.iterdir()] == ["journal.jsonl"]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for name in ("a", "b"):
        journal.append(0, entry(name))
    part = journal.folder / "part-00000.jsonl"
    whole = part.read_bytes()
    for length in range(len(whole) - 1):
        part.write_bytes(whole[:length])
        assert len(journal.read()) == (length >= whole.index(b"\n"))
    part.write_bytes(whole[:20] + whole)  # after a full disk had cut a line, there was room again
    assert set(journal.read()) == {"b"}


def test_done_means_same_content_same_options_and_the_result_there(tmp_path: Path) -> None:
    journal, done = Journal(tmp_path), entry("a")
    assert not journal.is_done(done, "a.out", "k")
    (tmp_path / "a.out").touch()
    assert journal.is_done(done, "a.out", "k")
    assert not journal.is_done(done, "a.out", "other") and not journal.is_done(done, "b.out", "k")
    assert not journal.is_done(entry("a", key=""), "a.out", "") and not journal.is_done(None, "a.out", "k")
    assert not journal.is_done(entry("a", status="failed"), "a.out", "k")
