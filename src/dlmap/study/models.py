"""The quality models of a study: named on the command line or in a YAML file, built, tried, put on one scale.

An entry is ``{class_path, init_args}``, as ``objective.quality`` of ``lightning predict`` has it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from torch import Tensor, nn

from mslique import UserError

from .. import calibrate
from ..metrics import check_gradient
from ..run.configuration import built, key_values, parser_of, read_yaml
from .definition import check_name

Entry = dict[str, Any]
T = TypeVar("T")
PLACE = ("model", "init_args", "objective", "init_args", "quality")
"""Where a configuration of ``lightning predict`` has the entry."""
TEXT = re.compile(r"(?:(?P<name>[^=:,]+)=)?(?P<kind>mslique|pyiqa):(?P<model>[^,]+)(?P<options>(?:,[^=,]+=[^,]*)*)")
SAMPLES = 240
"""Crops to which constants are fitted; the default of ``dlmap calibrate``."""


def from_files(paths: Sequence[Path]) -> dict[str, Entry]:
    """The entries of YAML files, by the names of the files; raises a UserError if a file sets anything else."""
    return unique([(path.stem, _entry(path)) for path in paths])


def from_texts(texts: Sequence[str]) -> dict[str, Entry]:
    """The entries, without constants, of ``[NAME=]mslique:FOLDER`` and ``[NAME=]pyiqa:METRIC``, with ``,KEY=VALUE``.

    A text of another form raises a UserError.
    """
    return unique([_parsed(text) for text in texts])


def unique(named: Sequence[tuple[str, T]]) -> dict[str, T]:
    """The pairs as a dictionary; raises a UserError if a name cannot be a contestant's, or occurs twice."""
    names = [name for name, _ in named]
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise UserError(f"two contestants are called {name!r}: give one of them another name (NAME=...)")
    return dict(named)


def default_name(entry: Entry) -> str:
    """The name of a model's folder or metric, or of its class."""
    options = entry["init_args"]
    name = str(options.get("model") or options.get("name") or entry["class_path"].rpartition(".")[2])
    return Path(name).name.removesuffix(".ckpt")


def quality_of(settings: dict[str, Any]) -> Entry:
    """The entry in a configuration of ``lightning predict``."""
    return cast(Entry, reduce(dict.__getitem__, PLACE, settings))


def overlay(entry: Entry) -> str:
    """The YAML file that sets the model in a configuration of ``lightning predict``.

    It has all defaults of the class, so that no option of the configuration's own model remains.
    """
    values = parser_of(nn.Module).parse_object({"entry": entry}).as_dict()["entry"]
    return yaml.safe_dump(reduce(lambda inner, key: {key: inner}, reversed(PLACE), values), sort_keys=False)


def with_constants(entry: Entry, center: float | None, scale: float | None) -> Entry:
    """The entry with these constants of calibration."""
    return {**entry, "init_args": {**entry["init_args"], "center": center, "scale": scale}}


def recorded(entries: Mapping[str, Entry], paths: Mapping[str, Path]) -> dict[str, Entry]:
    """The entries with the constants of an earlier run, so that its pictures stay; empty if a model has none.

    ``paths`` are the files that :func:`overlay` wrote for the same models.
    """
    found = {}
    for name, entry in entries.items():
        old = _entry(paths[name])["init_args"] if paths[name].is_file() else {}
        found[name] = with_constants(entry, old.get("center"), old.get("scale"))
        if not old or overlay(found[name]) != paths[name].read_text(encoding="utf-8"):
            return {}
    return found


def build(entry: Entry, name: str = "quality") -> nn.Module:
    """The frozen module of an entry: a quality model, (B, 3, H, W) in [0, 1] -> (B,) in [0, 100], or a fidelity.

    Raises:
        UserError: weights are missing, an option is wrong, or a configuration may not name the class.
    """
    return built(nn.Module, entry, name).eval().requires_grad_(False)


def check(entries: Mapping[str, Entry], calibrated: bool) -> None:
    """Build every model and try its gradient (without constants, the gradient of its raw score).

    If some fail, this raises a UserError with the name and reason of each.
    """
    refused = []
    for name, entry in entries.items():
        try:
            check_gradient(name, build(entry) if calibrated else _raw(entry))
        except Exception as reason:  # models fail in many ways
            refused.append(f"{name} ({' '.join(str(reason).split())})")
    if refused:
        raise UserError(f"{len(refused)} of {len(entries)} models cannot be used: {'; '.join(refused)}")


def fitted(entries: Mapping[str, Entry], photos: Path) -> dict[str, Entry]:
    """The entries with constants, fitted to the same degraded crops for all, as ``dlmap calibrate`` fits them.

    Raises:
        UserError: the photographs are too small, or the scores of a model do not rise with the labels.
    """
    try:
        crops = list(calibrate.degraded(photos, SAMPLES))
    except UserError as reason:
        way_out = "models with constants of their own are given as --models"
        raise UserError(f"--quality fits constants to the photographs, which failed: {reason}; {way_out}") from reason
    found = {}
    for name, entry in entries.items():
        try:
            constants = calibrate.rounded(calibrate.fit(_raw(entry), crops).calibration)
        except UserError as reason:
            raise UserError(f"{name} cannot be calibrated: {reason}") from reason
        found[name] = with_constants(entry, **constants)
    return found


def _raw(entry: Entry) -> Callable[[Tensor], Tensor]:
    return cast(Callable[[Tensor], Tensor], build(with_constants(entry, 0.0, 1.0)).raw)


def _entry(path: Path) -> Entry:
    values = read_yaml(path)
    for depth, key in enumerate(PLACE):
        found = set(values) if isinstance(values, dict) else set()
        if found != {key}:
            others = [".".join((*PLACE[:depth], other)) for other in sorted(map(str, found - {key}))]
            raise UserError(
                f"{path} sets {', '.join(others) or 'no model'}: it must hold {'.'.join(PLACE)} and nothing else, so"
                " that all other settings are the same for every model"
            )
        values = values[key]
    if not isinstance(values, dict) or "class_path" not in values or not values.keys() <= {"class_path", "init_args"}:
        raise UserError(f"{path}: {'.'.join(PLACE)} must hold class_path and init_args")
    return {"class_path": values["class_path"], "init_args": values.get("init_args") or {}}


def _parsed(text: str) -> tuple[str, Entry]:
    match = TEXT.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is not [NAME=]mslique:FOLDER or [NAME=]pyiqa:METRIC, with ,KEY=VALUE for options")
    options = key_values(pair for pair in match["options"].split(",") if pair)
    if match["kind"] == "pyiqa":
        entry = {"class_path": "dlmap.quality.PyiqaQuality", "init_args": {"name": match["model"], "options": options}}
    else:
        entry = {"class_path": "dlmap.quality.MSLIQEQuality", "init_args": {"model": match["model"], **options}}
    return match["name"] or default_name(entry), entry
