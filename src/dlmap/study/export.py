"""Answers and observers of a study as csv."""

import csv
from pathlib import Path

from mslique import UserError

from ..images import write_atomically
from .answers import write_answers
from .definition import Study
from .store import Store


def export(study: Study, answers: Path, observers: Path | None = None) -> None:
    """Write the answers of all observers, and what is known of their screens.

    Raises:
        UserError: nobody has taken part yet, or a file cannot be written.
    """
    if not study.answers.is_file():
        raise UserError(f"{study.folder} has no answers yet: show it to observers with `dlmap study serve`")
    store = Store(study.answers)
    try:
        write_answers(answers, store.answers())
        if observers is not None:
            write_atomically(observers, lambda part: _write_observers(part, store))
    except OSError as reason:
        raise UserError(f"the answers cannot be written: {reason}") from reason


def _write_observers(path: Path, store: Store) -> None:
    facts = store.facts()
    names = sorted({name for entries in facts.values() for name in entries})
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["observer", "trials", "answered", *names])
        table.writeheader()
        for observer, entries in facts.items():
            counts = {"trials": len(store.trials(observer)), "answered": len(store.answered(observer))}
            table.writerow({"observer": observer, **counts, **entries})
