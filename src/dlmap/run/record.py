"""The record of one photograph, and the journal: the records of all photographs of an output folder."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .files import append, six_digits, write_bytes, write_csv

OK, FAILED = "ok", "failed"
COLUMNS = (
    "file", "status", "seconds", "iterations", "quality_before", "quality_after", "fidelity", "stages", "error", "note",
)  # fmt: skip
"""Of results.csv."""


@dataclass(frozen=True)
class Record:
    """One photograph: first what is to be done with it, later also what came of it.

    Args:
        file: its path below the input folder, which is its name in every table.
        output: path of the result below the output folder.
        source: path of the photograph.
        reference: path of the image with which the fidelity term compares the result; None: the photograph.
        key: digest of the files and of all options that change the result; empty if unknown.
        status: empty until the photograph is done, then OK or FAILED.
        seconds: time for the enhancement; photographs that are enhanced together share it equally.
        iterations: of all ascents together.
        quality_before: of the photograph, in [0, 100].
        quality_after: of the file that is written, in [0, 100].
        fidelity: distance between the file that is written and the reference.
        error: why it failed.
        note: what else the user should know.
        stages: of every ascent, the number of evaluations, which is that of its iterations plus one.
        curves: "quality", "fidelity" and "objective", each with one value an evaluation, of all ascents in their order.
    """

    file: str
    output: str
    source: str = ""
    reference: str | None = None
    key: str = ""
    status: str = ""
    seconds: float | None = None
    iterations: int | None = None
    quality_before: float | None = None
    quality_after: float | None = None
    fidelity: float | None = None
    error: str = ""
    note: str = ""
    stages: list[int] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)

    def failed(self, error: str) -> "Record":
        """The same photograph, failed."""
        return replace(self, status=FAILED, error=error)

    def noted(self, *notes: str) -> "Record":
        """The same record with further notes; empty ones are left out."""
        return replace(self, note="; ".join(filter(None, (self.note, *notes))))

    def row(self) -> list[object]:
        """Its line in results.csv: floats with six significant digits, stages as iterations, such as "10 + 3"."""
        values = vars(self) | {"stages": " + ".join(str(max(count - 1, 0)) for count in self.stages)}
        return [six_digits(values[name]) for name in COLUMNS]


def write_results(path: Path, records: Iterable[Record]) -> None:
    """Write results.csv, atomically."""
    write_csv(path, COLUMNS, (record.row() for record in records))


class Journal:
    """The records of the output folder ``output``, in a form that survives a kill.

    ``OUT/.dlmap/journal.jsonl`` has one record a line, as JSON. During a run every process appends to its own file, a
    part. The parts are moved into the journal at the end of the run or, after a kill, at the beginning of the next one.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / ".dlmap"
        self.path = self.folder / "journal.jsonl"

    def begin(self) -> None:
        """Make the journal, so that the folder is known for one of results even if the run ends before the first."""
        write_bytes(self.path, b"")

    def read(self) -> dict[str, Record]:
        """The latest record of every photograph, by its name, sorted; the parts are included."""
        latest = {record.file: record for path in (self.path, *self._parts()) for record in _records(path)}
        return dict(sorted(latest.items()))

    def append(self, rank: int, record: Record) -> None:
        """Add a record to the part of process ``rank``. When this returns, the whole line is on disk."""
        append(self.folder / f"part-{rank:05d}.jsonl", _line(record))

    def merge(self) -> list[Record]:
        """Move the parts into the journal, while no process appends. Returns the records of the parts."""
        parts = self._parts()
        moved = [record for part in parts for record in _records(part)]
        if parts:
            write_bytes(self.path, "".join(map(_line, self.read().values())).encode())
            for part in parts:
                part.unlink()
        return moved

    def missing(self, planned: Sequence[Record]) -> list[Record]:
        """The planned photographs of which there is no result yet from the same files with the same options."""
        latest = self.read()
        return [record for record in planned if not self._is_done(record, latest.get(record.file))]

    def _is_done(self, record: Record, old: Record | None) -> bool:
        same = old is not None and old.status == OK and (old.output, old.key) == (record.output, record.key)
        return same and record.key != "" and (self.output / record.output).is_file()

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.jsonl"))


def _line(record: Record) -> str:
    return json.dumps(dataclasses.asdict(record)) + "\n"


def _records(path: Path) -> Iterator[Record]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = Record(**json.loads(line))
                sound = _is_sound(record)
            except (json.JSONDecodeError, TypeError, AttributeError):
                continue  # cut off by a kill or a full disk, or of another version: the photograph is done again
            if sound:
                yield record


def _is_sound(record: Record) -> bool:
    """Whether the values are of the kinds that the default ones are, as far as something else relies on them."""
    texts = (record.file, record.output, record.status, record.key, record.error, record.note)
    numbers = (record.seconds, record.quality_before, record.quality_after, record.fidelity, *record.stages)
    numbers += tuple(value for curve in record.curves.values() for value in curve)
    kinds = all(isinstance(text, str) for text in texts)
    return kinds and all(number is None or isinstance(number, int | float) for number in numbers)
