import os
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import photos

from dlmap.run.pictures import save_png
from dlmap.run.record import OK, Journal, Record, write_results
from dlmap.study import stimuli
from dlmap.study.definition import Study
from mslique import UserError

PHOTOS = {"a.jpg": "a.png", "b.png": "b.png"}


def run(output: Path, monkeypatch: pytest.MonkeyPatch, status: int, act: Callable[[], object]) -> dict[str, str]:
    """A contestant's run that does ``act`` instead of lightning predict."""

    def predict(options: list[str]) -> int:
        assert options == ["--limit", "3", "--output", str(output / "outputs" / "x")]
        act()
        return status

    monkeypatch.setattr(stimuli, "run_predict", predict)
    return stimuli.run_contestant(Study(output, ("x", "y"), ("a.png",), "token"), "x", ["--limit", "3"], PHOTOS)


def test_only_a_run_that_came_to_its_end_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "outputs" / "x"
    records = [Record(file, photo, status=OK) for file, photo in PHOTOS.items()]

    def write(*done: Record) -> None:
        for record in done:
            Journal(output).append(0, record)
        (output / "results.csv").unlink(missing_ok=True)
        write_results(output / "results.csv", done)

    early = "the run of x ended early, with exit status"
    for status in (0, 1, 2):  # nothing was written
        with pytest.raises(UserError, match=f"{early} {status}"):
            run(tmp_path, monkeypatch, status, lambda: None)
    with pytest.raises(UserError, match=f"{early} 0"):  # it did not get to all photographs
        run(tmp_path, monkeypatch, 0, lambda: write(records[0]))
    assert run(tmp_path, monkeypatch, 0, lambda: write(*records)) == {}
    with pytest.raises(UserError, match=f"{early} 1"):  # the results are those of an earlier run
        run(tmp_path, monkeypatch, 1, lambda: None)
    failed = records[1].failed("too dark")
    assert run(tmp_path, monkeypatch, 1, lambda: write(records[0], failed)) == {"b.png": "x: too dark"}


def test_a_name_that_the_answers_cannot_hold_is_left_out(tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xe9.png"), "\u00e9.png"]
    for name in names:
        save_png(photos(1, 16, 16)[0], tmp_path / "in" / name)
    records = [Record(name, name, source=str(tmp_path / "in" / name)) for name in names]
    errors = stimuli.save_originals(records, tmp_path / "originals")
    assert list(errors) == names[:1] and "not valid UTF-8" in errors[names[0]]
    assert [path.name for path in (tmp_path / "originals").iterdir()] == names[1:]
