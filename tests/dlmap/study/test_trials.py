from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from dlmap.study.options import Plan
from dlmap.study.trials import DEGRADED, ORIGINAL, Answer, Cell, Trial, draw, read_answers, write_answers
from mslique import UserError

CONTESTANTS = ("a", "b", "c", "d")
PHOTOS = ("1.png", "2.png", "3.png", "4.png", "5.png")
CELLS = len(PHOTOS) * 4 * 3
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


SPREADSHEET = (
    "Observer;Photo ;LEFT;Right;Choice;Seconds;Kind;;\r\n"
    ";;;;;;;;\r\n"
    "Jürgen;a, b.png;A;B;Left;0,52;Pair;;\r\n"
    "\r\n"
    " Jürgen;2.png; B;A ;A;;;;\r\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("separator", "line_end"), [(";", "\r\n"), ("\t", "\n"), ("\t", "\r")])
def test_a_table_of_a_spreadsheet(separator: str, line_end: str, encoding: str, tmp_path: Path) -> None:
    """Semicolons or tabs, capitals, spaces, empty rows and columns, decimal commas, a byte order mark, UTF-16."""
    text = SPREADSHEET.replace(";", separator).replace("\r\n", line_end)
    (tmp_path / "table.csv").write_bytes(text.encode(encoding))
    assert read_answers(tmp_path / "table.csv") == [
        Answer("Jürgen", "pair", "a, b.png", "A", "B", "left", 0.52),
        Answer("Jürgen", "pair", "2.png", "B", "A", "right"),
    ]


def test_a_contestant_called_left_can_be_chosen_by_its_own_spelling(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(
        "observer,photo,left,right,choice\nme,1.png,A,Left,Left\nme,1.png,A,Left,left\n"
    )
    assert [answer.choice for answer in read_answers(tmp_path / "table.csv")] == ["right", "left"]


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("observer,photo,left,right,choice,Choice\nme,1.png,A,B,left,right\n")
    with pytest.raises(UserError, match="several columns choice"):
        read_answers(tmp_path / "table.csv")


@pytest.mark.parametrize(
    "line",
    ["me,1.png,A,B,C,1", "me,1.png,A,A,left,1", "me,1.png,A,B,left,fast", "me,1.png,A,B,left,nan", "me,1.png,A,B",
     "me,,A,B,left,1", "me,1.png,A,B,left,0,52", "me,1.png,A,B,left,-1", "me,1.png,A,B,left,1e999"],
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


def drawn(taken: Counter[Cell] | None = None, seed: int = 0, **options: int) -> list[Trial]:
    return draw(CONTESTANTS, PHOTOS, taken or Counter(), np.random.default_rng(seed), Plan(**options))


def cells(trials: list[Trial]) -> list[Cell]:
    return [(t.photo, t.left, t.right) for t in trials if t.kind == "pair"]


@pytest.mark.parametrize("trials", [7, 12, 20, 30, 60])
def test_every_pair_is_shown_equally_often_in_both_orders(trials: int) -> None:
    """However many observers there are, no cell is ahead of another by more than two showings, one for each order."""
    taken: Counter[Cell] = Counter()
    for seed in range(CELLS * 20 // trials):
        taken.update(cells(drawn(taken, seed, trials=trials)))
        counts = [taken[photo, *pair] for photo in PHOTOS for pair in permutations(CONTESTANTS, 2)]
        assert max(counts) - min(counts) <= 2
    assert sum(counts) == pytest.approx(20 * CELLS, abs=trials)


def test_no_pair_is_shown_twice_on_a_photograph_while_there_are_others() -> None:
    taken: Counter[Cell] = Counter()
    for seed in range(6):
        shown = cells(drawn(taken, seed, trials=30))
        assert len({(photo, frozenset(pair)) for photo, *pair in shown}) == 30
        taken.update(shown)
    assert len(set(cells(drawn(trials=1000)))) == CELLS  # more than there are: each once


def test_a_session_is_balanced_in_itself() -> None:
    shown = cells(drawn(trials=20))
    photographs, pairs = Counter(photo for photo, *_ in shown), Counter(frozenset(pair) for _, *pair in shown)
    assert set(photographs.values()) == {4}
    assert len(pairs) == 6 and set(pairs.values()) <= {3, 4}


def test_catch_trials_are_spread() -> None:
    lefts = set()
    for seed in range(20):
        trials = drawn(seed=seed, trials=40, catches=4, practice=3)
        assert [t.kind for t in trials[:3]] == ["practice"] * 3 and len(trials) == 47
        places = [k for k, t in enumerate(trials[3:]) if t.kind == "catch"]
        assert len(places) == 4
        assert all(11 * k <= place <= 11 * k + 10 for k, place in enumerate(places))  # one in each quarter
        caught = [t for t in trials if t.kind == "catch"]
        assert all({t.left, t.right} == {ORIGINAL, DEGRADED} for t in caught)
        lefts |= {t.left for t in caught}
    assert lefts == {ORIGINAL, DEGRADED}


def test_the_order_is_random_and_repeats_with_its_seed() -> None:
    assert drawn(seed=5) == drawn(seed=5) != drawn(seed=6)
    shown = cells(drawn(seed=5))
    assert shown != sorted(shown)


def test_short_sessions() -> None:
    assert [t.kind for t in drawn(trials=1, catches=3, practice=0)].count("catch") == 3
    assert len(drawn(trials=1, catches=0, practice=0)) == 1
