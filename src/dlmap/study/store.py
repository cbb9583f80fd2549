"""Trials and answers in SQLite: an answer is on disk before the page receives its confirmation."""

import datetime
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mslique import UserError

from .definition import Study
from .trials import Answer, Cell, Side, Trial

TABLES = (
    "CREATE TABLE IF NOT EXISTS observers (observer TEXT PRIMARY KEY, begun TEXT NOT NULL, facts TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS trials (
        observer TEXT NOT NULL REFERENCES observers, number INTEGER NOT NULL,
        kind TEXT NOT NULL, photo TEXT NOT NULL, "left" TEXT NOT NULL, "right" TEXT NOT NULL,
        choice TEXT, seconds REAL, time TEXT,
        PRIMARY KEY (observer, number)
    )""",
)
OBSERVER, TRIAL = "INSERT INTO observers VALUES (?, ?, ?)", "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
RECORD = "UPDATE trials SET choice = ?, seconds = ?, time = ? WHERE observer = ? AND number = ? AND choice IS NULL"
ANSWERS = """SELECT observer, kind, photo, "left", "right", choice, seconds, time FROM trials
    JOIN observers USING (observer) WHERE choice IS NOT NULL ORDER BY begun, observer, number"""
TAKEN = """SELECT photo, "left", "right", COUNT(*) FROM trials JOIN observers USING (observer)
    WHERE kind = 'pair' AND (choice IS NOT NULL OR begun > ?) GROUP BY photo, "left", "right" """
PATIENCE = datetime.timedelta(days=1)
"""After this time the open trials of an observer are given to others again."""


class Store:
    """The answers of one study in a file, which is made if missing.

    Every call is a transaction of its own and may come from any thread or process. It raises a UserError if the file
    cannot be made, read or written; then nothing of the call is in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._transaction() as connection:
            for table in TABLES:
                connection.execute(table)

    def begin(self, observer: str, facts: dict[str, Any], draw: Callable[[Counter[Cell]], list[Trial]]) -> list[Trial]:
        """The trials of ``observer``: those on record, or new ones that ``draw`` makes from the use of each cell."""
        with self._transaction() as connection:
            known = connection.execute("SELECT 1 FROM observers WHERE observer = ?", [observer]).fetchone()
            if known is None:
                since = (datetime.datetime.now(datetime.UTC) - PATIENCE).isoformat()
                taken = Counter({tuple(cell): count for *cell, count in connection.execute(TAKEN, [since])})
                trials = draw(taken)
                connection.execute(OBSERVER, [observer, _now(), json.dumps(facts)])
                rows = [(observer, n, t.kind, t.photo, t.left, t.right, None, None, None) for n, t in enumerate(trials)]
                connection.executemany(TRIAL, rows)
        return self.trials(observer)

    def trials(self, observer: str) -> list[Trial]:
        """All trials of an observer, in order; none if the observer is unknown."""
        query = 'SELECT kind, photo, "left", "right" FROM trials WHERE observer = ? ORDER BY number'
        return [Trial(*row) for row in self._rows(query, observer)]

    def answered(self, observer: str) -> set[int]:
        """The numbers of the answered trials of an observer."""
        query = "SELECT number FROM trials WHERE observer = ? AND choice IS NOT NULL"
        return {number for (number,) in self._rows(query, observer)}

    def record(self, observer: str, number: int, choice: Side, seconds: float | None) -> bool:
        """Record an answer unless the trial has one already; returns whether it was recorded."""
        with self._transaction() as connection:
            return connection.execute(RECORD, [choice, seconds, _now(), observer, number]).rowcount == 1

    def answers(self) -> list[Answer]:
        """All answers, by the start of the session, then by trial."""
        return [Answer(*row) for row in self._rows(ANSWERS)]

    def enter(self, answers: Iterable[Answer], facts: dict[str, Any]) -> bool:
        """Enter answers from elsewhere, all or none, if there is no observer yet; returns whether it did."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM observers").fetchone() is not None:
                return False
            numbers: Counter[str] = Counter()
            for a in answers:
                if a.observer not in numbers:
                    connection.execute(OBSERVER, [a.observer, _now(), json.dumps(facts)])
                row = (a.kind, a.photo, a.left, a.right, a.choice, a.seconds, a.time or _now())
                connection.execute(TRIAL, [a.observer, numbers[a.observer], *row])
                numbers[a.observer] += 1
            return True

    def facts(self) -> dict[str, dict[str, Any]]:
        """The facts about each observer's screen, by observer."""
        rows = self._rows("SELECT observer, facts FROM observers ORDER BY begun, observer")
        return {observer: json.loads(facts) for observer, facts in rows}

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._transaction() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")  # closing rolls back an open transaction
        except sqlite3.Error as reason:
            raise UserError(f"{self.path} cannot be used as the store of answers: {reason}") from reason


def collected(study: Study) -> Store:
    """The store of a study; raises a UserError if nobody has taken part yet."""
    if not study.answers.is_file():
        raise UserError(f"{study.folder} has no answers yet: `dlmap study serve` collects them")
    return Store(study.answers)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
