"""``dlmap study create``: every contestant's picture of every photograph, and the definition of the study."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from mslique import UserError

from ..run.files import write_bytes
from ..run.plan import find
from ..run.record import Record
from . import models
from .base import Base
from .definition import FILE, Study
from .entries import Entry, default_name, overlay, recorded
from .stimuli import Errors, copy_outputs, errors_of_run, save_originals
from .store import Store

Predict = Callable[[Sequence[str]], int]
"""Options of ``lightning predict`` -> its exit status."""
SAMPLES = 240  # crops to which constants are fitted, as `dlmap calibrate` takes
EVERY_PHOTO = ["--data.limit", "null", "--data.include", "*", "--data.exclude", ""]


def create_of_models(base: Base, entries: Mapping[str, Entry], calibrated: bool, predict: Predict) -> Errors:
    """Make, or go on with, a study whose contestants are quality models.

    Args:
        entries: by contestant.
        calibrated: whether the entries have constants; otherwise they are fitted.

    Returns:
        The photographs that were left out, and why.

    Raises:
        UserError: a model cannot be used, the study has answers to other pictures, or a run ended early.
    """
    base.check_quality_is_free()
    models.check(entries, calibrated)
    tasks = base.tasks()
    study = _begin(base, list(entries), tasks, {"models": dict(entries)})
    errors = save_originals(tasks, base.study / "originals")
    if not calibrated:
        entries = _calibrated(base.study, entries)
    inputs = [(task.file, task.output) for task in tasks]
    for name, entry in entries.items():
        config = _config(base.study, name)
        write_bytes(config, overlay(entry).encode())
        options = [*base.options, "--config", str(config), "--data.folder", base.photos]
        errors = _predict(base.study, name, options, inputs, predict) | errors
    _finish(study, errors, {"judges": dict(entries), "own": {name: name for name in entries}})
    return errors


def create_of_enhancers(base: Base, folders: Mapping[str, Path], predict: Predict) -> Errors:
    """The same with enhancers, each as it is and, as NAME+MAP, refined.

    Args:
        folders: with their outputs, by enhancer.
    """
    for folder in folders.values():
        find(folder)
    refined = {name: f"{name}+MAP" for name in folders}
    contestants = [contestant for pair in refined.items() for contestant in pair]
    judge = default_name(base.quality)
    models.check({judge: base.quality}, calibrated=True)
    tasks = base.tasks()
    study = _begin(base, contestants, tasks, {"enhancers": {name: str(folder) for name, folder in folders.items()}})
    errors = save_originals(tasks, base.study / "originals")
    for name, folder in folders.items():
        copies = base.study / "outputs" / name
        usable = [task for task in tasks if task.output not in errors]
        errors |= copy_outputs(folder, usable, base.study / "originals", copies)
        photos = [photo for task in usable if (photo := task.output) not in errors]
        if not photos:
            raise UserError(f"no picture in {folder} can be used; first: {next(iter(errors.values()))}")
        options = [*base.options, "--data.folder", str(copies), *EVERY_PHOTO]
        errors |= _predict(base.study, refined[name], options, [(photo, photo) for photo in photos], predict)
    _finish(study, errors, {"judges": {judge: base.quality}, "own": dict.fromkeys(contestants, judge)})
    return errors


def _begin(base: Base, contestants: Sequence[str], tasks: Sequence[Record], sources: Mapping[str, Any]) -> Study:
    """The study as it will be if nothing fails; a definition that is there keeps its token, question and seed.

    Raises:
        UserError: the contestants' names, or their number, are wrong; or observers have answered to other pictures.
    """
    # as the file gives it back: tuples are lists there
    details = json.loads(json.dumps({"photos": base.photos, "model": base.settings["model"], **sources}))
    photos = tuple(task.output for task in tasks)
    if not (base.study / FILE).is_file():
        return Study(base.study, tuple(contestants), photos, secrets.token_urlsafe(16), details=details)
    old = Study.load(base.study)
    same = old.contestants == tuple(contestants) and details.items() <= old.details.items()
    if not same and old.answers.is_file() and Store(old.answers).answers():
        raise UserError(f"{base.study} has answers already, to other pictures than these would be: give another folder")
    return replace(old, contestants=tuple(contestants), photos=photos, details=details)


def _finish(study: Study, errors: Errors, judges: dict[str, Any]) -> None:
    photos = tuple(photo for photo in study.photos if photo not in errors)
    if not photos:
        raise UserError(f"no photograph is left that every contestant has; first: {next(iter(errors.values()))}")
    replace(study, photos=photos, details=study.details | judges).save()


def _calibrated(folder: Path, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """With the constants of an earlier run, so that what is done stays done; or with new ones, the same way for all."""
    known = {name: recorded(entry, _config(folder, name)) for name, entry in entries.items()}
    if all(known.values()):
        return {name: entry for name, entry in known.items() if entry}
    return models.fitted(entries, folder / "originals", SAMPLES)


def _config(folder: Path, name: str) -> Path:
    return folder / "configs" / f"{name}.yaml"


def _predict(
    folder: Path, name: str, options: Sequence[str], inputs: Sequence[tuple[str, str]], predict: Predict
) -> Errors:
    """One contestant's run; ``inputs`` are pairs of the input's name and that of its picture."""
    rank_zero_info(f"contestant {name}")
    output = folder / "outputs" / name
    before = _changed(output)
    status = predict([*options, "--output", str(output)])
    # 1 may mean that some photographs failed, which results.csv then tells, or that there was no run at all
    over = status == 0 or (status == 1 and _changed(output) != before)
    errors = errors_of_run(output, inputs) if over else None
    if errors is None:
        raise UserError(
            f"the run of {name} ended early, with exit status {status}; its message stands above. The same command"
            " again goes on from here"
        )
    return {photo: f"{name}: {error}" for photo, error in errors.items()}


def _changed(output: Path) -> int | None:
    """When results.csv was written, or None; a run that comes to its end writes it."""
    table = output / "results.csv"
    return table.stat().st_mtime_ns if table.is_file() else None
