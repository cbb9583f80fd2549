"""What a configuration of ``lightning predict`` builds, without a trainer."""

from argparse import ArgumentError
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser

from mslique import UserError, in_short, lightning_cli, located, only_weights, restrict_classes

from ..objective import MAPObjective
from ..options import Ascent
from ..prior import DiffusionPrior
from .module import MAPEnhancer

T = TypeVar("T")


def load_config(config: str | Path) -> tuple[DiffusionPrior | None, MAPObjective, list[Ascent]]:
    """The prior, the objective and the ascents of a configuration: what :func:`~dlmap.enhance` takes after the images.

    As in the command, a configuration names classes of this project alone, and those that MSLIQE_CLASSES allows. This
    holds for all that jsonargparse reads in this process from now on.

    Args:
        config: YAML file of ``lightning predict``; one that ships is found by its name from any folder, such as
            ``configs/dlmap/tiny.yaml``.

    Returns:
        The prior (None where the ascent moves pixels), on the CPU; the objective; the ascents.

    Raises:
        UserError: the file cannot be read, is no configuration of an enhancement, or names models that cannot be
            loaded.
    """
    model = load_enhancer(config)
    return model.prior, model.objective, model.stages


def load_enhancer(config: str | Path) -> MAPEnhancer:
    """The model of a configuration; see :func:`load_config`."""
    entries = read_yaml(Path(located(config)))
    if not isinstance(entries, dict) or "model" not in entries:
        raise UserError(f"{config} has no entry `model`: give a configuration of lightning predict")
    return built(MAPEnhancer, entries["model"], str(config))


def read_yaml(path: Path) -> Any:
    """The values of a YAML file; raises a UserError that names it if it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as reason:
        raise UserError(f"{path} cannot be read as YAML: {' '.join(str(reason).split())}") from reason


def key_values(texts: Iterable[str]) -> dict[str, Any]:
    """Texts KEY=VALUE as a dictionary, values read as YAML; raises a UserError that names a text that is none."""
    found = {}
    for text in texts:
        key, _, value = text.partition("=")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as reason:
            raise UserError(f"{text!r} has an option that is no YAML ({in_short(reason)})") from reason
    return found


def built(kind: type[T], entry: Any, name: str) -> T:
    """The object of an entry ``{class_path, init_args}``.

    Raises:
        UserError: weights are missing, an option is wrong, or a configuration may not name the class.
    """
    parser = parser_of(kind)
    try:
        with only_weights():
            found: T = parser.instantiate_classes(parser.parse_object({"entry": entry})).entry
    except (ValueError, ArgumentError) as error:
        message = f"{name} cannot be made: {' '.join(str(error).split())}"
        raise lightning_cli.user_error(error) or UserError(message) from None
    return found


def parser_of(kind: type[Any]) -> ArgumentParser:
    """Of one ``entry`` that names a class of this kind, among those that a configuration may name."""
    restrict_classes()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "entry", required=True)
    return parser
