import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlmap.study.store import Store
from dlmap.study.trials import Answer, Cell, Trial
from mslique import UserError

TRIALS = [
    Trial("practice", "1.png", "a", "b"),
    Trial("pair", "1.png", "b", "a"),
    Trial("catch", "1.png", "@original", "@degraded"),
]


def test_an_observers_way(tmp_path: Path) -> None:
    store = Store(tmp_path / "answers.sqlite")
    assert store.begin("o", {"screenWidth": 1920}, lambda taken: TRIALS) == TRIALS
    assert store.begin("o", {}, lambda taken: TRIALS[:1]) == TRIALS  # drawn once
    assert store.trials("o") == TRIALS and store.trials("stranger") == []
    assert store.record("o", 1, "right", 1.25) and not store.record("o", 1, "left", 9.0)
    assert not store.record("o", 3, "left", None) and not store.record("stranger", 1, "left", None)
    again = Store(tmp_path / "answers.sqlite")
    assert again.answered("o") == {1} and again.facts() == {"o": {"screenWidth": 1920}}
    (answer,) = again.answers()
    assert answer == Answer("o", "pair", "1.png", "b", "a", "right", 1.25, answer.time) and answer.time[:2] == "20"


def test_what_is_taken(tmp_path: Path) -> None:
    """Pairs that were answered, or that an observer of today may still answer; nothing else."""
    store = Store(tmp_path / "answers.sqlite")
    trials = [Trial("practice", "1.png", "a", "b"), *(Trial("pair", f"{k}.png", "a", "b") for k in range(3))]
    seen: list[Counter[Cell]] = []

    def draw(taken: Counter[Cell]) -> list[Trial]:
        seen.append(taken)
        return trials

    store.begin("early", {}, draw)
    store.record("early", 1, "left", None)
    store.begin("late", {}, draw)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE observers SET begun = '2020-01-01T00:00:00+00:00' WHERE observer = 'early'")
    store.begin("last", {}, draw)
    names = [f"{k}.png" for k in range(3)]
    assert seen == [
        Counter(),
        Counter({(name, "a", "b"): 1 for name in names}),
        Counter({("0.png", "a", "b"): 2, ("1.png", "a", "b"): 1, ("2.png", "a", "b"): 1}),
    ]


def test_many_at_once(tmp_path: Path) -> None:
    """Of many answers to the same trial one is on record; sessions that begin together see each other's trials."""
    path = tmp_path / "answers.sqlite"

    def begin(k: int) -> int:
        counts: list[int] = []

        def draw(taken: Counter[Cell]) -> list[Trial]:
            counts.append(sum(taken.values()))
            return TRIALS

        Store(path).begin(f"o{k}", {}, draw)
        return counts[0]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(begin, range(16))) == list(range(16))
        recorded = list(pool.map(lambda k: Store(path).record("o0", 1, "left", float(k)), range(16)))
    assert sum(recorded) == 1
    assert [answer.seconds for answer in Store(path).answers()] == [float(recorded.index(True))]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_text("not a database, but long enough to be read as one" * 99)
    with pytest.raises(UserError, match="answers.sqlite"):
        Store(tmp_path / "answers.sqlite")


def test_answers_from_elsewhere_enter_an_empty_store_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "answers.sqlite")
    given = [Answer(name, t.kind, t.photo, t.left, t.right, "left", 0.5, "2024") for name in "ab" for t in TRIALS]
    assert store.enter(given, {"simulated": True})
    assert store.answers() == given and store.facts() == dict.fromkeys("ab", {"simulated": True})
    assert not store.enter(given, {})
    other = Store(tmp_path / "other.sqlite")
    other.begin("ann", {}, lambda taken: [])  # she has only opened the page
    assert not other.enter(given, {}) and other.answers() == []


def test_a_store_that_was_damaged_meanwhile_is_a_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path / "answers.sqlite")
    store.begin("o", {}, lambda taken: TRIALS)
    store.record("o", 0, "left", 1.0)
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TABLE observers")
    with pytest.raises(UserError, match=r"answers\.sqlite cannot be used"):
        store.answers()
