"""A study on disk: its folder, its contestants, its photographs.

    STUDY/study.json                  this definition
    STUDY/originals/PHOTO             the photographs as the contestants received them, PNG
    STUDY/outputs/CONTESTANT/PHOTO    the contestants' pictures of them, PNG of the same size
    STUDY/answers.sqlite              the observers' answers

PHOTO is a relative path with the suffix .png, CONTESTANT a name of letters, digits and ``+-._``.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mslique import UserError, image_size

from ..run.files import write_bytes
from .trials import ORIGINAL

FILE = "study.json"
QUESTION = "Which of the two pictures do you prefer?"
KINDS = {"contestants": list, "photos": list, "token": str, "question": str, "seed": int, "details": dict}


@dataclass(frozen=True)
class Study:
    """A study on disk.

    Args:
        contestants: at least two names, in the user's order.
        photos: names below ``originals``; every contestant has an output of each.
        token: secret part of the page's address; letters, digits and ``-_``.
        question: to the observers.
        seed: of the draw of trials, 0 or more.
        details: the source of each contestant: its configuration, constants, folder.

    Raises:
        UserError: there are fewer than two contestants or no photograph, or a name is wrong or leaves the folder.
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
        for photo in self.photos:
            path = PurePosixPath(photo)
            if path.is_absolute() or ".." in path.parts or self.photos.count(photo) > 1:
                raise UserError(f"the study {self.folder} names {photo!r} twice, or outside its folder: make it anew")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.token) or self.seed < 0:
            raise UserError(f"the study {self.folder} has a wrong token or seed: make it anew by dlmap study create")

    def original(self, photo: str) -> Path:
        return self.folder / "originals" / photo

    def output(self, contestant: str, photo: str) -> Path:
        return self.folder / "outputs" / contestant / photo

    def picture(self, name: str, photo: str) -> Path:
        """The output of the contestant ``name``, or the original for ORIGINAL."""
        return self.original(photo) if name == ORIGINAL else self.output(name, photo)

    def check_pictures(self) -> None:
        """Raise a UserError that names the first picture that is missing, damaged, or not of the original's size."""
        for photo in self.photos:
            sizes = {}
            for name in (ORIGINAL, *self.contestants):
                if not (path := self.picture(name, photo)).is_file():
                    raise UserError(f"the study lacks {path}: run the `dlmap study create` that made it again")
                sizes[name] = image_size(path)
                if sizes[name] != sizes[ORIGINAL]:
                    raise UserError(f"{path} has not the size of the original: run the `dlmap study create` again")

    @property
    def answers(self) -> Path:
        return self.folder / "answers.sqlite"

    def save(self) -> None:
        """Write study.json, atomically."""
        entries = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"}
        write_bytes(self.folder / FILE, json.dumps({"version": 1, **entries}, indent=2).encode())

    @classmethod
    def load(cls, folder: str | Path) -> "Study":
        """Read STUDY/study.json; raises a UserError if it is missing or wrong."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise UserError(f"{folder} is no study: there is no {FILE} in it; `dlmap study create` makes one")
        try:
            entries = json.loads(path.read_text(encoding="utf-8-sig"))
            entries.pop("version")
            _check_kinds(entries)
            entries |= {name: tuple(entries[name]) for name in ("contestants", "photos")}
            return cls(folder=Path(folder), **entries)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as reason:
            raise UserError(f"{path} is not the definition of a study: {reason}") from reason


def _check_kinds(entries: dict[str, Any]) -> None:
    """Raise a TypeError unless every entry is of its kind."""
    for name, kind in KINDS.items():
        if not isinstance(entries.get(name, kind()), kind):
            raise TypeError(f"{name} is not of the kind {kind.__name__}")
    if not all(isinstance(text, str) for text in [*entries["contestants"], *entries["photos"]]):
        raise TypeError("contestants and photos must be names")
    if not all(isinstance(entries.get("details", {}).get(name, {}), dict) for name in ("judges", "own")):
        raise TypeError("details has judges or own of another kind")


def check_name(name: str) -> None:
    """Raise a UserError unless ``name`` can name a contestant, its folder, and a part of an address."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+._-]*", name):
        raise UserError(f"{name!r} cannot name a contestant: use letters, digits and +-._ only")
