"""Trials and answers in SQLite: every answer is on disk before the page hears that it is."""

import datetime
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mslique import UserError

from .answers import Answer, Side
from .definition import Study
from .design import Cell, Trial

TABLES = (
    "CREATE TABLE IF NOT EXISTS observers (observer TEXT PRIMARY KEY, begun TEXT NOT NULL, facts TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS trials (
        observer TEXT NOT NULL REFERENCES observers, number INTEGER NOT NULL,
        kind TEXT NOT NULL, photo TEXT NOT NULL, "left" TEXT NOT NULL, "right" TEXT NOT NULL,
        choice TEXT, seconds REAL, time TEXT,
        PRIMARY KEY (observer, number)
    )""",
)
PATIENCE = datetime.timedelta(days=1)
"""After this time the trials that an observer has left open are given to others again."""


class Store:
    """The answers of one study. Every call is a transaction of its own and may come from any thread or process.

    Args:
        path: of the database; made if missing.

    Raises:
        UserError: the file is no database, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._transaction() as connection:
                for table in TABLES:
                    connection.execute(table)
        except sqlite3.Error as reason:
            raise UserError(f"{path} cannot be used as the store of answers: {reason}") from reason

    def begin(self, observer: str, facts: dict[str, Any], draw: Callable[[Counter[Cell]], list[Trial]]) -> list[Trial]:
        """The trials of ``observer``: those drawn before, or new ones drawn from how often each cell is taken."""
        with self._transaction() as connection:
            known = connection.execute("SELECT 1 FROM observers WHERE observer = ?", [observer]).fetchone()
            if known is None:
                trials = draw(_taken(connection))
                connection.execute("INSERT INTO observers VALUES (?, ?, ?)", [observer, _now(), json.dumps(facts)])
                connection.executemany(
                    'INSERT INTO trials (observer, number, kind, photo, "left", "right") VALUES (?, ?, ?, ?, ?, ?)',
                    [(observer, n, t.kind, t.photo, t.left, t.right) for n, t in enumerate(trials)],
                )
        return self.trials(observer)

    def trials(self, observer: str) -> list[Trial]:
        """All trials of an observer, in order; none if the observer is not known."""
        query = 'SELECT kind, photo, "left", "right" FROM trials WHERE observer = ? ORDER BY number'
        with self._transaction() as connection:
            return [Trial(*row) for row in connection.execute(query, [observer])]

    def answered(self, observer: str) -> set[int]:
        """The numbers of the trials that an observer has answered."""
        query = "SELECT number FROM trials WHERE observer = ? AND choice IS NOT NULL"
        with self._transaction() as connection:
            return {row[0] for row in connection.execute(query, [observer])}

    def record(self, observer: str, number: int, choice: Side, seconds: float | None) -> bool:
        """Note an answer; returns whether it is now the one on record. The first answer to a trial stays."""
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE trials SET choice = ?, seconds = ?, time = ?"
                " WHERE observer = ? AND number = ? AND choice IS NULL",
                [choice, seconds, _now(), observer, number],
            )
            return done.rowcount == 1

    def answers(self) -> list[Answer]:
        """All answers, in the order of the observers' beginnings and their trials."""
        query = (
            'SELECT observer, kind, photo, "left", "right", choice, seconds, time FROM trials'
            " JOIN observers USING (observer) WHERE choice IS NOT NULL ORDER BY begun, observer, number"
        )
        with self._transaction() as connection:
            return [Answer(*row) for row in connection.execute(query)]

    def enter(self, answers: Iterable[Answer], facts: dict[str, Any]) -> bool:
        """Enter answers given elsewhere, all or none, if nobody has taken part yet; returns whether they were."""
        with self._transaction() as connection:
            if connection.execute("SELECT 1 FROM observers").fetchone() is not None:
                return False
            given: dict[str, list[Answer]] = {}
            for answer in answers:
                given.setdefault(answer.observer, []).append(answer)
            for observer, theirs in given.items():
                connection.execute("INSERT INTO observers VALUES (?, ?, ?)", [observer, _now(), json.dumps(facts)])
                connection.executemany(
                    "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (observer, n, a.kind, a.photo, a.left, a.right, a.choice, a.seconds, a.time or _now())
                        for n, a in enumerate(theirs)
                    ],
                )
            return True

    def facts(self) -> dict[str, dict[str, Any]]:
        """What the page told about each observer's screen, by observer."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT observer, facts FROM observers ORDER BY begun, observer").fetchall()
        return {observer: json.loads(facts) for observer, facts in rows}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed


def collected(study: Study) -> Store:
    """The store of a study in which somebody has taken part.

    Raises:
        UserError: nobody has.
    """
    if not study.answers.is_file():
        raise UserError(f"{study.folder} has no answers yet: `dlmap study serve` collects them")
    return Store(study.answers)


def _taken(connection: sqlite3.Connection) -> Counter[Cell]:
    """How often each cell was answered or is about to be."""
    query = (
        'SELECT photo, "left", "right", COUNT(*) FROM trials JOIN observers USING (observer)'
        ' WHERE kind = \'pair\' AND (choice IS NOT NULL OR begun > ?) GROUP BY photo, "left", "right"'
    )
    since = (datetime.datetime.now(datetime.UTC) - PATIENCE).isoformat()
    return Counter({tuple(row[:3]): row[3] for row in connection.execute(query, [since])})


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
