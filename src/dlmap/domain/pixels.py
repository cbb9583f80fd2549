"""The domain of pixel MAP and of direct ascent: the picture itself."""

from torch import Tensor


class Pixels:
    """The state is the image itself, kept in [0, 1]."""

    speed = 255.0

    def start(self, images: Tensor) -> Tensor:
        return images.clone()

    def statistics(self) -> None:
        return None

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        return states[:, None]

    def project(self, state: Tensor, row: int) -> None:
        state.clamp_(0, 1)
