"""The interface that the domains of an ascent share."""

from typing import Protocol

from torch import Tensor


class Domain(Protocol):
    """A map from states, which the ascent moves, to images. ``start`` tells it the batch.

    ``speed``: when a state moves by 1, its picture moves by about so many levels of 8 bits (both root mean squares).
    """

    speed: float

    def start(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> the states (B, ...) that give them back."""
        ...

    def statistics(self) -> Tensor | None:
        """(B, S): numbers that tell a critic what the states will move; None where no critic knows the domain."""
        ...

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        """States of the images ``rows`` of the batch -> K images of each, (len(rows), K, 3, H, W) in [0, 1]."""
        ...

    def project(self, state: Tensor, row: int) -> None:
        """Bring the state (...) of image ``row`` back to what is allowed, in place. Called after every step."""
        ...


def repeated(images: Tensor, rows: list[int], count: int) -> Tensor:
    """Images (B, 3, H, W) -> the images of ``rows``, each ``count`` times in a row. A single one is not copied."""
    if len(rows) == 1:
        return images[rows[0]].expand(count, -1, -1, -1)
    return images[rows].repeat_interleave(count, dim=0)
