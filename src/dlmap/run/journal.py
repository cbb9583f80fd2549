"""The journal of an output folder: what became of every input, in a form that survives a kill.

``OUT/.dlmap/journal.jsonl`` holds one JSON object an input. While a run lasts, every process appends to a part of its
own; the parts are merged into the journal at the end, or, after a kill, by the next run. results.csv and report.html
are views of the journal.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .pictures import write_atomically
from .results import OK, Row


@dataclass(frozen=True)
class Entry:
    """What became of one input.

    ``output`` is the path of the result below the output folder, ``key`` stands for the
    content of the input and all options that change the result (empty: unknown). ``quality``, ``fidelity`` and
    ``objective`` have one value per evaluation of the ascents, of which each has as many as ``stages`` says, its
    starting point first.
    """

    row: Row
    output: str
    key: str = ""
    quality: list[float] = field(default_factory=list)
    fidelity: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)


class Journal:
    """The journal of the output folder ``output``."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / ".dlmap"
        self.path = self.folder / "journal.jsonl"

    def read(self) -> dict[str, Entry]:
        """The latest entry of every input, by its name, sorted; parts of a run that was killed included."""
        latest = {entry.row.file: entry for path in (self.path, *self._parts()) for entry in _entries(path)}
        return dict(sorted(latest.items()))

    def append(self, rank: int, entry: Entry) -> None:
        """Add to the part of process ``rank``; the entry is complete on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"part-{rank:05d}.jsonl").open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def merge(self) -> list[Entry]:
        """Move the parts into the journal. No process may be appending. Returns the entries of the parts."""
        parts = self._parts()
        moved = [entry for part in parts for entry in _entries(part)]
        if parts:
            entries = self.read()
            write_atomically(self.path, lambda path: _write(path, entries.values()))
            for part in parts:
                part.unlink()
        return moved

    def is_done(self, old: Entry | None, output: str, key: str) -> bool:
        """Whether by its entry ``old`` an input has its result at ``output``, from the same content and options."""
        same = old is not None and old.row.status == OK and (old.output, old.key) == (output, key)
        return same and key != "" and (self.output / output).is_file()

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.jsonl"))


def _line(entry: Entry) -> str:
    return json.dumps(dataclasses.asdict(entry)) + "\n"


def _write(path: Path, entries: Iterable[Entry]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(map(_line, entries))


def _entries(path: Path) -> Iterator[Entry]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                values = json.loads(line)
            except json.JSONDecodeError:
                continue  # a kill or a full disk cut the line off: its input is done again
            yield Entry(**{**values, "row": Row(**values["row"])})
