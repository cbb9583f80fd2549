"""What a study is: its folder, its contestants, its photographs.

    STUDY/study.json                  this definition
    STUDY/originals/PHOTO             the photographs as they were given to the contestants, PNG
    STUDY/outputs/CONTESTANT/PHOTO    what the contestants made of them, PNG of the same size
    STUDY/answers.sqlite              the observers' answers

PHOTO is a relative path with the suffix .png, CONTESTANT a name of letters, digits and ``+-._``.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mslique import UserError

from ..run.files import write_bytes
from .design import ORIGINAL

FILE = "study.json"
QUESTION = "Which of the two pictures do you prefer?"


@dataclass(frozen=True)
class Study:
    """A study on disk.

    Args:
        folder: of the study.
        contestants: at least two names, in the order in which they were given.
        photos: names below ``originals``, of which every contestant has an output.
        token: secret part of the page's address.
        question: what observers are asked.
        seed: of the random numbers with which trials are drawn.
        details: where each contestant came from (its configuration, constants, folder); for the record.
    """

    folder: Path
    contestants: tuple[str, ...]
    photos: tuple[str, ...]
    token: str
    question: str = QUESTION
    seed: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.contestants) < 2 or len(set(self.contestants)) < len(self.contestants):
            raise UserError(f"a study needs two or more contestants of different names, got {list(self.contestants)}")
        for name in self.contestants:
            check_name(name)
        if not self.photos:
            raise UserError(f"the study {self.folder} has no photograph of which every contestant has an output")

    def original(self, photo: str) -> Path:
        return self.folder / "originals" / photo

    def output(self, contestant: str, photo: str) -> Path:
        return self.folder / "outputs" / contestant / photo

    def picture(self, name: str, photo: str) -> Path:
        """Of the contestant ``name``, or ORIGINAL."""
        return self.original(photo) if name == ORIGINAL else self.output(name, photo)

    @property
    def answers(self) -> Path:
        return self.folder / "answers.sqlite"

    def save(self) -> None:
        """Write study.json, atomically."""
        entries = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"}
        write_bytes(self.folder / FILE, json.dumps({"version": 1, **entries}, indent=2).encode())

    @classmethod
    def load(cls, folder: str | Path) -> "Study":
        """Read a study's definition.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise UserError(f"{folder} is no study: there is no {FILE} in it; `dlmap study create` makes one")
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            entries.pop("version")
            entries |= {name: tuple(entries[name]) for name in ("contestants", "photos")}
            return cls(folder=Path(folder), **entries)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as reason:
            raise UserError(f"{path} is not the definition of a study: {reason}") from reason


def check_name(name: str) -> None:
    """Raise a UserError unless ``name`` can be a contestant's: it names a folder and appears in addresses."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+._-]*", name):
        raise UserError(f"{name!r} cannot name a contestant: use letters, digits and +-._ only")
