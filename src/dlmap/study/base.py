"""What all contestants of a study share: the photographs, and a configuration of ``lightning predict``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mslique import UserError, lightning_cli

from ..run.datamodule import PhotoFolderData
from ..run.record import Record
from .entries import Entry, quality_of


@dataclass(frozen=True)
class Base:
    """The common part of all runs of ``lightning predict``.

    Args:
        study: folder of the study.
        photos: folder of the photographs.
        config: the configuration file.
        further: options on top of it.
        settings: what both come to.
    """

    study: Path
    photos: str
    config: Path
    further: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def options(self) -> list[str]:
        return ["--config", str(self.config), *self.further]

    @property
    def quality(self) -> Entry:
        return quality_of(self.settings)

    def tasks(self) -> list[Record]:
        """The photographs, and the names of their pictures."""
        data = PhotoFolderData(**{**self.settings["data"]["init_args"], "folder": self.photos, "reference": None})
        return data.records(self.study / "originals", keep_format=False)

    def check_quality_is_free(self) -> None:
        """Refuse options that set the quality model, which is what the contestants differ in.

        Raises:
            UserError: one does.
        """
        if quality_of(_parse(self.config, (), self.photos)) != self.quality:
            raise UserError("the quality model is what the contestants differ in: leave out options that set it")


def read_base(study: Path, photos: str, config: Path, further: Sequence[str]) -> Base:
    """Parse the configuration, before any work.

    Raises:
        UserError: it cannot be one of a study, or the folders of study and photographs contain one another.
        SystemExit: an option is not one of ``lightning predict``.
    """
    inner, outer = Path(photos).resolve(), study.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"{study} and {photos} contain one another: give a folder elsewhere for the study")
    settings = _parse(config, further, photos)
    if settings["output"] is not None or settings["model"]["init_args"]["format"] != "png":
        raise UserError("a study says itself where pictures go, and that they are PNG: leave out --output and format")
    return Base(study, photos, config, tuple(further), settings)


def _parse(config: Path, further: Sequence[str], photos: str) -> dict[str, Any]:
    return lightning_cli.parse(["predict", "--config", str(config), *further, "--data.folder", photos])
