import pytest
import torch
from torch import Tensor

from dlmap.pieces import mean_over_pieces


def contrast(images: Tensor) -> Tensor:
    return images.square().mean(dim=(1, 2, 3)) + images[:, 0, 1, 2].sin()


@pytest.mark.parametrize(
    ("height", "width", "corners"),
    [
        (8, 12, [(0, 0), (0, 4)]),
        (16, 17, [(t, left) for t in (0, 8) for left in (0, 4, 9)]),
        (5, 20, [(0, 0), (0, 6), (0, 12)]),
    ],
)
def test_score_and_gradient_are_those_of_the_pieces(height: int, width: int, corners: list[tuple[int, int]]) -> None:
    images = torch.rand(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    pieces = [images[..., top : top + 8, left : left + 8] for top, left in corners]
    expected = torch.stack([contrast(piece) for piece in pieces]).mean(0)
    result = mean_over_pieces(contrast, images, 8)
    torch.testing.assert_close(result, expected)
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad((result * weights).sum(), images)
    (plain,) = torch.autograd.grad((expected * weights).sum(), images)
    torch.testing.assert_close(gradient, plain)


def test_every_pixel_counts() -> None:
    images = torch.rand(1, 3, 33, 50, requires_grad=True)
    mean_over_pieces(lambda piece: piece.sum(dim=(1, 2, 3)), images, 16).backward()
    assert (images.grad > 0).all()


def test_second_derivatives_are_refused() -> None:
    images = torch.rand(1, 3, 8, 16, requires_grad=True)
    with pytest.raises(RuntimeError, match="leave out create_graph"):
        torch.autograd.grad(mean_over_pieces(contrast, images, 8).sum(), images, create_graph=True)
