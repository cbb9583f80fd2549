"""Splits in a pickle, which is read without running its code."""

import pickle
from itertools import product
from pathlib import Path
from typing import Any

from ..io.errors import UserError
from .parts import PARTS

NUMBERS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *product(("numpy.core.multiarray", "numpy._core.multiarray"), ("scalar", "_reconstruct")),
}
"""The only classes and functions that a pickle may name: those of numpy's numbers."""


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts and containers, and numpy's numbers. Every other name is refused and never executed."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NUMBERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_row_numbers(file: Path, split: int) -> dict[str, list[int]]:
    """The row numbers of every part, from a pickle {split: {part: row numbers}} of IQA-PyTorch.

    Raises:
        UserError: the file is missing, holds something else, or has no such split.
    """
    try:
        with file.open("rb") as stream:
            found = _PlainUnpickler(stream).load()[split]
        return {part: [int(i) for i in found[part]] for part in PARTS if part in found}
    except Exception as reason:  # unpicklers fail in many ways, and all of them mean an unusable file
        raise UserError(
            f"{file} holds no plain {{split: {{part: rows}}}} with split {split} ({type(reason).__name__}: {reason})"
        ) from reason
