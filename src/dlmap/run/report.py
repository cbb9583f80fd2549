"""report.html: one file that shows what became of a folder of photographs, without a server or a network."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mslique import UserError

from .journal import Entry, Journal
from .pictures import write_atomically
from .results import OK
from .thumbnails import MANY, Thumbnails


def report(output: str | Path) -> Path:
    """Write report.html of an output folder again, from what the runs have left there; returns its path.

    Raises:
        UserError: the folder holds no results.
    """
    journal = Journal(Path(output))
    entries = list(journal.read().values())
    if not entries:
        raise UserError(f"{output} holds no results: give the --output folder of a run of dlmap enhance")
    return write_report(journal.output, entries)


def write_report(output: Path, entries: Sequence[Entry]) -> Path:
    """Write ``output``/report.html about these entries, atomically; returns its path."""
    thumbnails, many = Thumbnails(Journal(output).folder), len(entries) > MANY
    config = output / "config.yaml"
    data = {
        "photos": map(_photo, entries),
        "thumbnails": (thumbnails.as_uris(entry.row.file, many) for entry in entries),
        "config": config.read_text(encoding="utf-8") if config.is_file() else "",
    }
    path = output / "report.html"
    write_page(path, files("dlmap.run") / "report.html", "REPORT_DATA", data)
    return path


def write_page(path: Path, template: Traversable, place: str, data: dict[str, Any]) -> None:
    """Write the template, an HTML page, with ``data`` as JSON at ``place`` in a script element; atomically.

    Values of ``data`` that are iterators become lists, and are never in memory as a whole.
    """
    head, tail = template.read_text(encoding="utf-8").split(place)

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as file:
            file.write(head)
            # only "<" could end the element; as an escape it is the same JSON
            file.writelines(piece.replace("<", "\\u003c") for piece in _json(data))
            file.write(tail)

    write_atomically(path, write)


def _json(data: dict[str, Any]) -> Iterator[str]:
    """Pieces of the JSON of ``data``."""
    opening = "{"
    for key, value in data.items():
        yield f"{opening}{json.dumps(key)}:"
        if isinstance(value, Iterator):
            comma = "["
            for one in value:
                yield comma + json.dumps(one, allow_nan=False)
                comma = ","
            yield "]" if comma == "," else "[]"
        else:
            yield json.dumps(value, allow_nan=False)
        opening = ","
    yield "}"


def _photo(entry: Entry) -> dict[str, Any]:
    row = entry.row
    return {
        "file": row.file,
        "status": row.status,
        "seconds": _finite(row.seconds),
        "iterations": row.iterations,
        "before": _finite(row.quality_before),
        "after": _finite(row.quality_after),
        "fidelity": _finite(row.fidelity),
        "text": row.error or row.note,
        "link": quote(os.fsencode(entry.output)) if row.status == OK else None,
        "stages": entry.stages,
        "curves": {name: [_finite(v) for v in getattr(entry, name)] for name in ("quality", "fidelity", "objective")},
    }


def _finite(value: float | None) -> float | None:
    """The value to six digits, or None if there is none that JSON can hold."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
