"""``dlmap study create``: every contestant's picture of every photograph, and the definition of the study."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mslique import UserError, lightning_cli

from ..run.datamodule import PhotoFolderData
from ..run.files import write_bytes
from ..run.plan import find
from ..run.record import Record
from . import models, stimuli
from .definition import FILE, Study
from .models import Entry
from .stimuli import Errors
from .store import Store

EVERY_PHOTO = ["--data.limit", "null", "--data.include", "*", "--data.exclude", ""]


@dataclass(frozen=True)
class Base:
    """What all contestants share; ``options`` of ``lightning predict`` and the ``settings`` that they lead to."""

    study: Path
    photos: str
    options: list[str]
    settings: dict[str, Any]

    @property
    def quality(self) -> Entry:
        return models.quality_of(self.settings)

    def records(self) -> list[Record]:
        """The photographs and the names of their pictures."""
        data = PhotoFolderData(**{**self.settings["data"]["init_args"], "folder": self.photos, "reference": None})
        return data.records(self.study / "originals", keep_format=False)


def read_base(study: Path, photos: str, config: Path, further: Sequence[str]) -> Base:
    """Parse the configuration, before any work; a UserError or (from the parser) SystemExit says what is wrong."""
    inner, outer = Path(photos).resolve(), study.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"{study} and {photos} contain one another: give a folder elsewhere for the study")
    options = ["--config", str(config), *further]
    settings = lightning_cli.parse(["predict", *options, "--data.folder", photos])
    if settings["output"] is not None or settings["model"]["init_args"]["format"] != "png":
        raise UserError("a study sets where pictures go, and that they are PNG: leave out --output and format")
    return Base(study, photos, options, settings)


def create_of_models(base: Base, entries: Mapping[str, Entry], calibrated: bool) -> Errors:
    """Make, or go on with, a study of quality models; returns the photographs that were left out, and why.

    Args:
        entries: by contestant.
        calibrated: whether the entries have constants; otherwise they are fitted.

    Raises:
        UserError: a model cannot be used, the study has answers to other pictures, or a run ended early.
    """
    plain = lightning_cli.parse(["predict", *base.options[:2], "--data.folder", base.photos])
    if models.quality_of(plain) != base.quality:
        raise UserError("the quality model is what the contestants differ in: leave out options that set it")
    records = base.records()
    study = _begin(base, list(entries), records, {"models": dict(entries)})
    models.check(entries, calibrated)
    originals = base.study / "originals"
    errors = stimuli.save_originals(records, originals)
    configs = {name: base.study / "configs" / f"{name}.yaml" for name in entries}
    if not calibrated:
        entries = models.recorded(entries, configs) or models.fitted(entries, originals)
    for name, entry in entries.items():
        write_bytes(configs[name], models.overlay(entry).encode())
        options = [*base.options, "--config", str(configs[name]), "--data.folder", base.photos]
        errors = stimuli.run_contestant(study, name, options, {r.file: r.output for r in records}) | errors
    _finish(study, errors, {"judges": dict(entries), "own": {name: name for name in entries}})
    return errors


def create_of_enhancers(base: Base, folders: Mapping[str, Path]) -> Errors:
    """The same with enhancers, each as it is (NAME), and refined (NAME+MAP); ``folders`` have the outputs, by NAME."""
    for folder in folders.values():
        find(folder)
    contestants = [contestant for name in folders for contestant in (name, f"{name}+MAP")]
    judge = models.default_name(base.quality)
    records = base.records()
    study = _begin(base, contestants, records, {"enhancers": {name: str(folder) for name, folder in folders.items()}})
    models.check({judge: base.quality}, calibrated=True)
    errors = stimuli.save_originals(records, base.study / "originals")
    for name, folder in folders.items():
        copies = base.study / "outputs" / name
        errors |= stimuli.copy_outputs(study, folder, [r for r in records if r.output not in errors], copies)
        photos = {r.output: r.output for r in records if r.output not in errors}
        if not photos:
            raise UserError(f"no picture in {folder} can be used; first: {next(iter(errors.values()))}")
        options = [*base.options, "--data.folder", str(copies), *EVERY_PHOTO]
        errors |= stimuli.run_contestant(study, f"{name}+MAP", options, photos)
    _finish(study, errors, {"judges": {judge: base.quality}, "own": dict.fromkeys(contestants, judge)})
    return errors


def _begin(base: Base, contestants: Sequence[str], records: Sequence[Record], sources: Mapping[str, Any]) -> Study:
    """The study if nothing fails; an existing definition keeps its token, question and seed."""
    # through JSON, as the file returns it: tuples become lists
    details = json.loads(json.dumps({"photos": base.photos, "model": base.settings["model"], **sources}))
    photos = tuple(record.output for record in records)
    if not (base.study / FILE).is_file():
        return Study(base.study, tuple(contestants), photos, secrets.token_urlsafe(16), details=details)
    old = Study.load(base.study)
    same = old.contestants == tuple(contestants) and details.items() <= old.details.items()
    if not same and old.answers.is_file() and Store(old.answers).facts():
        raise UserError(f"{base.study} has observers already, of other pictures than these: give another folder")
    return replace(old, contestants=tuple(contestants), photos=photos, details=details)


def _finish(study: Study, errors: Errors, judges: dict[str, Any]) -> None:
    photos = tuple(photo for photo in study.photos if photo not in errors)
    if not photos:
        raise UserError(f"no photograph is left that every contestant has; first: {next(iter(errors.values()))}")
    replace(study, photos=photos, details=study.details | judges).save()
