"""The quality models of a study: built, tried, put on one scale."""

from argparse import ArgumentError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from mslique import UserError, lightning_cli, only_weights

from .. import calibrate
from ..metrics import check_gradient
from .entries import Entry, entry_parser, with_constants


def build(entry: Entry, name: str = "quality") -> nn.Module:
    """The frozen module of an entry: a quality model, (B, 3, H, W) in [0, 1] -> (B,) in [0, 100], or a fidelity.

    Raises:
        UserError: its weights are missing, an option is wrong, or its class is none that a configuration may name.
    """
    parser = entry_parser(name)
    try:
        with only_weights():
            model: nn.Module = parser.instantiate_classes(parser.parse_object({name: entry}))[name]
    except (ValueError, ArgumentError) as error:
        raise lightning_cli.user_error(error) or UserError(f"{name} cannot be made: {error}") from None
    return model.eval().requires_grad_(False)


def check(entries: Mapping[str, Entry], calibrated: bool) -> None:
    """Build every model and try its gradient; that of the raw score where constants have yet to be fitted.

    Raises:
        UserError: some cannot be built or optimised; the message names all of them and says why.
    """
    refused = []
    for name, entry in entries.items():
        try:
            check_gradient(name, build(entry) if calibrated else _raw(entry))
        except Exception as reason:  # models fail in many ways; each of them is told
            refused.append(f"{name} ({' '.join(str(reason).split())})")
    if refused:
        raise UserError(f"{len(refused)} of {len(entries)} models cannot be used: {'; '.join(refused)}")


def fitted(entries: Mapping[str, Entry], photos: Path, samples: int) -> dict[str, Entry]:
    """The entries with constants fitted to the same degraded crops for all, as ``dlmap calibrate`` fits them.

    Raises:
        UserError: the photographs are too small, or a model does not rank the crops at all.
    """
    try:
        crops = list(calibrate.degraded(photos, samples))
    except UserError as reason:
        raise UserError(
            f"--quality fits constants to the photographs, which failed: {reason}; models with constants of their own"
            " are given as --models"
        ) from reason
    found = {}
    for name, entry in entries.items():
        try:
            fit = calibrate.fit(_raw(entry), crops).calibration
        except UserError as reason:
            raise UserError(f"{name} cannot be calibrated: {reason}") from reason
        found[name] = with_constants(entry, round(fit.center, 5), round(fit.scale, 5))
    return found


def _raw(entry: Entry) -> Callable[[Tensor], Tensor]:
    """The score of an entry without constants."""
    return cast(Callable[[Tensor], Tensor], build(with_constants(entry, 0.0, 1.0)).raw)
