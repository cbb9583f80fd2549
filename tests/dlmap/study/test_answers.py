from pathlib import Path

import pytest

from dlmap.study import Answer, read_answers, write_answers
from mslique import UserError

HEAD = "observer,photo,left,right,choice,seconds\n"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    answers = [
        Answer("o1", "practice", 'a "b",\n.png', "right", "left", "right", 0.1 + 0.2, "2024-05-01T10:00:00+00:00"),
        Answer("o2", "catch", "ü.png", "@original", "@degraded", "left"),
    ]
    write_answers(tmp_path / "answers.csv", iter(answers))
    assert read_answers(tmp_path / "answers.csv") == answers


def test_a_table_made_elsewhere(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("\ufeffchoice,left,right,photo,observer,mood\nB,A,B,1.png,me,good\nleft,A,B,2.png,me,bad\n")
    assert read_answers(table) == [
        Answer("me", "pair", "1.png", "A", "B", "right"),
        Answer("me", "pair", "2.png", "A", "B", "left"),
    ]


@pytest.mark.parametrize(
    "line",
    ["me,1.png,A,B,C,1", "me,1.png,A,A,left,1", "me,1.png,A,B,left,fast", "me,1.png,A,B,left,nan", "me,1.png,A,B",
     "me,,A,B,left,1"],
)  # fmt: skip
def test_a_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"{HEAD}me,1.png,A,B,left,\n{line}\n")
    with pytest.raises(UserError, match="line 3"):
        read_answers(table)


def test_a_wrong_kind_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("observer,photo,left,right,choice,kind\nme,1.png,A,B,left,joke\n")
    with pytest.raises(UserError, match="line 2"):
        read_answers(table)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_answers(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        read_answers(tmp_path / "binary.csv")
    (tmp_path / "short.csv").write_text("observer,left,right\n")
    with pytest.raises(UserError, match="no column photo, choice"):
        read_answers(tmp_path / "short.csv")
