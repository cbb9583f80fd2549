"""Quality models as the user names them, and as YAML: ``{class_path, init_args}``.

So ``objective.quality`` of ``lightning predict`` has it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser
from torch import nn

from mslique import UserError, restrict_classes

from .definition import check_name

Entry = dict[str, Any]
T = TypeVar("T")
PLACE = ("model", "init_args", "objective", "init_args", "quality")
MSLIQE, PYIQA = "dlmap.quality.MSLIQEQuality", "dlmap.quality.PyiqaQuality"
TEXT = re.compile(r"(?:(?P<name>[^=:,]+)=)?(?P<kind>mslique|pyiqa):(?P<model>[^,]+)(?:,(?P<options>.*))?")


def from_files(paths: Sequence[Path]) -> dict[str, Entry]:
    """The entries of YAML files that hold nothing else, by the files' stems.

    An entry stands for itself: what it leaves out has the default of its class, not what another file says.

    Raises:
        UserError: a file cannot be read or sets something else, or two have the same stem.
    """
    return _unique([(path.stem, _entry(path)) for path in paths])


def from_texts(texts: Sequence[str], piece: int | None) -> dict[str, Entry]:
    """The entries, without constants of calibration, of ``[NAME=]mslique:FOLDER`` and ``[NAME=]pyiqa:NAME``.

    Further options follow as ``,KEY=VALUE``.

    Args:
        piece: of every MS-LIQE whose options do not say otherwise.

    Raises:
        UserError: a text is of another form, or two have the same name.
    """
    return _unique([_parsed(text, piece) for text in texts])


def folders(texts: Sequence[str]) -> dict[str, Path]:
    """The folders of ``NAME=FOLDER``.

    Raises:
        UserError: a text is of another form, or two have the same name.
    """
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (name, _, folder) in zip(texts, pairs, strict=True) if not name or not folder]
    if wrong:
        raise UserError(f"--enhancers takes NAME=FOLDER, got {wrong[0]!r}")
    return _unique([(name, Path(folder)) for name, _, folder in pairs])


def default_name(entry: Entry) -> str:
    """A name for a model: that of its folder or metric, or of its class."""
    options = entry["init_args"]
    name = str(options.get("model") or options.get("name") or entry["class_path"].rpartition(".")[2])
    return Path(name).name.removesuffix(".ckpt")


def quality_of(settings: dict[str, Any]) -> Entry:
    """The entry in a configuration of ``lightning predict``."""
    values: Any = settings
    for key in PLACE:
        values = values[key]
    entry: Entry = values
    return entry


def with_constants(entry: Entry, center: float, scale: float) -> Entry:
    """The entry with these constants of calibration."""
    return {**entry, "init_args": {**entry["init_args"], "center": center, "scale": scale}}


def recorded(entry: Entry, path: Path) -> Entry | None:
    """The entry with the constants that the file, which :func:`overlay` wrote, has for the same model; or None."""
    if not path.is_file():
        return None
    old = _entry(path)["init_args"]
    known = with_constants(entry, old.get("center"), old.get("scale"))
    return known if overlay(known) == path.read_text(encoding="utf-8") else None


def overlay(entry: Entry) -> str:
    """The YAML that puts the model into a configuration of ``lightning predict``.

    The defaults of its class are written out, so that nothing of the model there shines through.
    """
    values: Any = entry_parser().parse_object({"quality": entry}).as_dict()["quality"]
    for key in reversed(PLACE):
        values = {key: values}
    return yaml.safe_dump(values, sort_keys=False)


def entry_parser(name: str = "quality") -> ArgumentParser:
    """A parser of one module alone, of the classes that every configuration may name; it raises its errors."""
    restrict_classes()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, name)
    return parser


def _entry(path: Path) -> Entry:
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as reason:
        raise UserError(f"{path} cannot be read as YAML: {' '.join(str(reason).split())}") from reason
    for depth, key in enumerate(PLACE):
        found = set(values) if isinstance(values, dict) else set()
        if found != {key}:
            others = [".".join((*PLACE[:depth], str(other))) for other in sorted(found - {key}, key=str)]
            raise UserError(
                f"{path} sets {', '.join(others) or 'no model'}: it must hold {'.'.join(PLACE)} and nothing else, so"
                " that all other settings are the same for every model"
            )
        values = values[key]
    if not isinstance(values, dict) or "class_path" not in values or not values.keys() <= {"class_path", "init_args"}:
        raise UserError(f"{path}: {'.'.join(PLACE)} must hold class_path and init_args")
    return {"class_path": values["class_path"], "init_args": values.get("init_args") or {}}


def _parsed(text: str, piece: int | None) -> tuple[str, Entry]:
    match = TEXT.fullmatch(text)
    pairs = [pair.partition("=") for pair in (match["options"] or "").split(",") if pair] if match else []
    if match is None or not all(equals for _, equals, _ in pairs):
        raise UserError(f"{text!r} is not [NAME=]mslique:FOLDER or [NAME=]pyiqa:METRIC, with ,KEY=VALUE for options")
    options = {key: yaml.safe_load(value) for key, _, value in pairs}
    if match["kind"] == "pyiqa":
        entry = {"class_path": PYIQA, "init_args": {"name": match["model"], "options": options}}
    else:
        entry = {"class_path": MSLIQE, "init_args": {"model": match["model"], "piece": piece, **options}}
    return match["name"] or default_name(entry), entry


def _unique(named: Sequence[tuple[str, T]]) -> dict[str, T]:
    names = [name for name, _ in named]
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise UserError(f"two contestants are called {name!r}: give one of them another name (NAME=...)")
    return dict(named)
