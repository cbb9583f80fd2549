"""report.html: one file that shows what came of a folder of photographs, without a server or a network."""

import hashlib
import math
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from mslique import UserError

from .files import refusals, write_bytes, write_page
from .pictures import data_uri, shrink, webp
from .record import OK, Journal, Record

SIDE = 640
"""Longer side of a thumbnail, in pixels."""
MANY, SIDE_OF_MANY = 150, 320
"""A report with more photographs than MANY takes this side instead, so that it opens fast."""


class Thumbnails:
    """Small pictures of every photograph and its result, in ``folder``/thumbnails.

    They are WebP files named by a digest of the photograph's name. They have no suffix, because the output folder may
    be the input of another run, which would take them for photographs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "thumbnails"

    def save(self, name: str, before: Image.Image, after: Image.Image) -> None:
        """Shrink both and write them, atomically."""
        for kind, picture in (("before", before), ("after", after)):
            write_bytes(self._path(name, kind), webp(shrink(picture, SIDE)))

    def as_uris(self, name: str, many: bool) -> list[str] | None:
        """Data URIs of before and after; None if they are not both there."""
        paths = [self._path(name, kind) for kind in ("before", "after")]
        if not all(path.is_file() for path in paths):
            return None
        return [_uri(path, many) for path in paths]

    def _path(self, name: str, kind: str) -> Path:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
        return self.folder / digest[:2] / f"{digest}-{kind}"


def _uri(path: Path, many: bool) -> str:
    data = path.read_bytes()
    if many:
        with Image.open(path) as picture:
            if max(picture.size) > SIDE_OF_MANY:
                data = webp(shrink(picture, SIDE_OF_MANY), quality=75)
    return data_uri(data, "webp")


def report(output: str | Path) -> Path:
    """Write report.html of an output folder again, from what its runs have left there; returns its path.

    Raises:
        UserError: the folder holds no results, or the page cannot be written.
    """
    records = list(Journal(Path(output)).read().values())
    if not records:
        raise UserError(f"{output} holds no results: give the --output folder of a run of dlmap enhance")
    with refusals(Path(output) / "report.html", "check the rights and the free space"):
        return write_report(Path(output), records)


def write_report(output: Path, records: Sequence[Record]) -> Path:
    """Write ``output``/report.html about these photographs, atomically; returns its path."""
    thumbnails, many = Thumbnails(Journal(output).folder), len(records) > MANY
    config = output / "config.yaml"
    data = {
        "photos": map(_photo, records),
        "thumbnails": (thumbnails.as_uris(record.file, many) for record in records),
        "config": config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    }
    path = output / "report.html"
    write_page(path, files("dlmap.run") / "report.html", "REPORT_DATA", data)
    return path


def _photo(record: Record) -> dict[str, Any]:
    """What the page shows of one photograph."""
    return {
        "file": record.file,
        "status": record.status,
        "seconds": _finite(record.seconds),
        "iterations": record.iterations,
        "before": _finite(record.quality_before),
        "after": _finite(record.quality_after),
        "fidelity": _finite(record.fidelity),
        "text": record.error or record.note,
        "link": quote(os.fsencode(record.output)) if record.status == OK else None,
        "stages": record.stages,
        "curves": {name: list(map(_finite, values)) for name, values in record.curves.items()},
    }


def _finite(value: float | None) -> float | None:
    """The value with six digits; None if it is not finite, which JSON cannot express."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
