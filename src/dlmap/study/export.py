"""Answers and observers of a study as csv."""

from pathlib import Path

from mslique import UserError

from ..run.files import write_csv
from .answers import write_answers
from .definition import Study
from .store import Store, collected


def export(study: Study, answers: Path, observers: Path | None = None) -> None:
    """Write the answers of all observers, and what is known of their screens.

    Raises:
        UserError: nobody has taken part yet, or a file cannot be written.
    """
    store = collected(study)
    try:
        write_answers(answers, store.answers())
        if observers is not None:
            _write_observers(observers, store)
    except OSError as reason:
        raise UserError(f"the answers cannot be written: {reason}") from reason


def _write_observers(path: Path, store: Store) -> None:
    facts = store.facts()
    names = sorted({name for entries in facts.values() for name in entries})
    rows = []
    for observer, entries in facts.items():
        counts = len(store.trials(observer)), len(store.answered(observer))
        rows.append([observer, *counts, *(entries.get(name) for name in names)])
    write_csv(path, ["observer", "trials", "answered", *names], rows)
