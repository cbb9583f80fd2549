import json
from pathlib import Path

from dlmap.run.files import read_csv
from dlmap.run.record import COLUMNS, FAILED, Journal, Record, write_results

HOSTILE = ["new\nline.png", 'quo"te, comma.png', "<script>.png", "späße 写真.png", "bytes-\udcff.png", " spaces .png"]


def done(name: str, status: str = "ok", key: str = "k", **changes: float) -> Record:
    curves = {"quality": [1.0, 2.0], "fidelity": [0.0, 0.1], "objective": [1.0, 1.9]}
    return Record(name, f"{name}.out", key=key, status=status, curves=curves, **changes)  # type: ignore[arg-type]


def test_a_record_keeps_what_it_was_planned_with() -> None:
    planned = Record("a", "a.out", "in/a", key="k")
    failed = planned.failed("it is no photograph")
    assert (failed.status, failed.error) == (FAILED, "it is no photograph")
    assert (failed.file, failed.output, failed.source, failed.key) == ("a", "a.out", "in/a", "k")
    assert planned.noted("", "one").noted("two", "").note == "one; two"


def test_records_survive_the_trip_to_disk(tmp_path: Path) -> None:
    records = [done(name, seconds=1 / 3) for name in HOSTILE]
    for k, one in enumerate(records):
        Journal(tmp_path).append(k % 2, one)
    assert list(Journal(tmp_path).read().values()) == sorted(records, key=lambda one: one.file)


def test_rows_survive_the_trip_to_disk(tmp_path: Path) -> None:
    records = [done(name, seconds=1 / 3) for name in HOSTILE]
    write_results(tmp_path / "r.csv", [*records, Record("stages", "out", stages=[11, 4, 0])])
    rows = read_csv(tmp_path / "r.csv")
    assert [row["file"] for row in rows[:-1]] == HOSTILE and tuple(rows[0]) == COLUMNS
    assert rows[0]["seconds"] == "0.333333" and rows[0]["quality_before"] == "" and rows[0]["note"] == ""
    assert rows[-1]["stages"] == "10 + 3 + 0"  # the last one ended before its first evaluation


def test_parts_are_merged_and_the_latest_record_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(0, done("a", key="old"))
    assert [one.file for one in journal.merge()] == ["a"] and journal.merge() == []
    journal.append(1, done("b"))
    journal.append(0, done("a", key="new"))
    assert {name: one.key for name, one in journal.read().items()} == {"a": "new", "b": "k"}
    assert sorted(one.file for one in journal.merge()) == ["a", "b"]
    assert {name: one.key for name, one in journal.read().items()} == {"a": "new", "b": "k"}
    assert [path.name for path in journal.folder.iterdir()] == ["journal.jsonl"]


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for name in ("a", "b"):
        journal.append(0, done(name))
    part = journal.folder / "part-00000.jsonl"
    whole = part.read_bytes()
    for length in range(len(whole) - 1):
        part.write_bytes(whole[:length])
        assert len(journal.read()) == (length >= whole.index(b"\n"))
    part.write_bytes(whole[:20] + whole)  # after a full disk had cut a line, there was room again
    assert set(journal.read()) == {"b"}


def test_lines_of_another_version_are_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(0, done("a"))
    with (journal.folder / "part-00000.jsonl").open("a") as file:
        file.writelines(json.dumps(value) + "\n" for value in ({"row": {"file": "b"}, "output": "b.out"}, [], 1))
        wrong: list[dict[str, object]] = [
            {"file": 3},
            {"output": None},
            {"stages": ["x"]},
            {"curves": None},
            {"key": 7},
            {"stages": None},
            {"curves": {"quality": None}},
            {"curves": {"quality": ["x"]}},
        ]
        file.writelines(json.dumps({"file": "c", "output": "c.out", **values}) + "\n" for values in wrong)
    assert set(journal.read()) == {"a"}


def test_done_means_same_content_same_options_and_the_result_there(tmp_path: Path) -> None:
    journal, planned = Journal(tmp_path), Record("a", "a.out", key="k")
    other_key, other_output, no_key = (
        Record("a", output, key=key) for output, key in (("a.out", "x"), ("b", "k"), ("a.out", ""))
    )
    assert journal.missing([planned]) == [planned]
    journal.append(0, done("a"))
    assert journal.missing([planned]) == [planned]
    (tmp_path / "a.out").touch()
    (tmp_path / "b").touch()
    changed = [other_key, other_output, Record("b", "a.out", key="k")]
    assert journal.missing([planned, *changed]) == changed
    journal.append(0, done("a", key=""))
    assert journal.missing([no_key]) == [no_key]
    journal.append(0, done("a", status="failed"))
    assert journal.missing([planned]) == [planned]
