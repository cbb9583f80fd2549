"""The command that measures trainings, in-process, with a network of one layer."""

from pathlib import Path

import pytest
import training


def test_tables_without_and_with_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = "--tiny --size=320x240 --photos=20 --batch=2 --steps=2 --repeats=1 --workers=1"
    assert training.main(options.split()) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    rows, costs = rows[-7:-5], rows[-2:]
    assert [row[:2] for row in rows] == [["1", "no"], ["1", "yes"]]
    assert rows[0][3] == "1.00"
    for row in rows:
        assert float(row[2]) > 0 and 0 < float(row[4].rstrip("%")) < 100
    for label, reading, sample in costs:
        assert label in ("no", "yes") and 0 < float(reading) < float(sample)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_shares_are_those_of_the_median() -> None:
    slow, fast = training.Speed(2.0, 0.5), training.Speed(8.0, 0.25)
    found = {(0, False): [slow, slow, fast], (0, True): [fast, slow, fast]}
    assert training.table(found).splitlines()[2:] == ["| 0 | no | 2 | 1.00 | 50.0% |", "| 0 | yes | 8 | 4.00 | 25.0% |"]
