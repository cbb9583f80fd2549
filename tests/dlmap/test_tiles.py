import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlmap.tiles import Tiling, blended, blended_pullback, mean_over_pieces


def image(height: int, width: int, channels: int = 2) -> Tensor:
    return torch.randn(
        2, channels, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(height * width)
    )


@pytest.mark.parametrize("side", [4, 5, 16])
@pytest.mark.parametrize(("height", "width"), [(17, 40), (16, 16), (3, 33), (1, 50), (100, 18)])
def test_windows_sum_to_one_and_cover_every_pixel_smoothly(height: int, width: int, side: int) -> None:
    tiling, total = Tiling(side, inputs=1, outputs=3), torch.zeros(3 * height, 3 * width)
    for source, target, window in tiling.tiles(image(height, width)):
        assert image(height, width)[source].shape[-2:] == (min(side, height), min(side, width))
        assert window.min() >= 0
        total[target] += window
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 2), (2, 1)])
def test_a_pixelwise_function_is_not_changed(inputs: int, outputs: int) -> None:
    def function(x: Tensor) -> Tensor:
        y = nn.functional.interpolate(x.sin(), scale_factor=outputs) if outputs > 1 else x.sin()
        return nn.functional.avg_pool2d(y, inputs) if inputs > 1 else y

    x = image(30, 44)
    torch.testing.assert_close(blended(function, x, Tiling(6, inputs, outputs)), function(x), rtol=0, atol=1e-6)


def test_what_fits_in_one_tile_is_computed_as_a_whole() -> None:
    x = image(16, 12)
    assert torch.equal(blended(lambda y: y - y.mean(), x, Tiling(16, 1, 1)), x - x.mean())


def test_no_seam_where_tiles_disagree() -> None:
    """Every tile subtracts its own mean: between tiles the result changes no faster than over the whole overlap."""
    ramp = torch.linspace(0, 1, 256, dtype=torch.float64).expand(1, 1, 64, 256)
    change = (blended(lambda y: y - y.mean(), ramp, Tiling(64, 1, 1)) - ramp).diff(dim=-1).abs().max()
    step = (ramp[..., :64].mean() - ramp[..., 56:120].mean()).abs()  # what a hard border between two tiles would show
    assert change < step * torch.pi / 2 / 8 * 1.05  # the overlap has 8 pixels, and sin^2 rises at most so fast


@pytest.mark.parametrize("side", [8, 64])
def test_gradients_are_those_of_autograd_through_the_blend(side: int) -> None:
    """Against the blend written out, every activation kept."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Tanh(), nn.Conv2d(4, 2, 1)).double()
    tiling, x = Tiling(side, 1, 1), image(20, 30).requires_grad_()
    cotangent = torch.randn(x.shape, dtype=torch.float64)
    written_out = torch.zeros_like(x)
    for source, target, window in tiling.tiles(x):
        part = torch.zeros_like(x)
        part[target] = network(x[source]) * window
        written_out = written_out + part
    (expected,) = torch.autograd.grad(written_out, x, cotangent)
    result, slope = blended_pullback(network, x.detach(), cotangent, tiling)
    torch.testing.assert_close(result, written_out.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)
    (recomputed,) = torch.autograd.grad(blended(network, x, tiling), x, cotangent)
    torch.testing.assert_close(recomputed, expected, rtol=1e-9, atol=1e-12)


def test_an_image_alone_is_as_in_a_batch() -> None:
    x, tiling = image(20, 30), Tiling(8, 1, 1)
    assert torch.equal(blended(torch.sin, x, tiling)[1:], blended(torch.sin, x[1:], tiling))


def test_second_derivatives_are_refused() -> None:
    x = image(16, 16).requires_grad_()
    with pytest.raises(RuntimeError, match="leave out create_graph"):
        torch.autograd.grad(blended(torch.sin, x, Tiling(4, 1, 1)).sum(), x, create_graph=True)


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


@pytest.mark.parametrize(
    ("size", "most", "count"),
    [((3024, 4032), 48, (6, 8)), ((3024, 4032), 192, (12, 16)), ((300, 9000), 4, (1, 4)), ((9000, 300), 1, (1, 1)),
     ((512, 512), 48, (2, 2)), ((2000, 2000), 7, (3, 2))],
)  # fmt: skip
def test_of_a_large_image_some_pieces_count_spread_evenly(
    size: tuple[int, int], most: int, count: tuple[int, int]
) -> None:
    seen: list[tuple[int, int]] = []
    corners = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij"))[None].float()

    def score(piece: Tensor) -> Tensor:
        assert piece.shape[-2:] == (256, 256)
        seen.append((int(piece[0, 0, 0, 0]), int(piece[0, 1, 0, 0])))
        return piece.mean((1, 2, 3))

    mean_over_pieces(score, corners, 256, most)
    for axis, (length, number) in enumerate(zip(size, count, strict=True)):
        firsts = sorted({corner[axis] for corner in seen})
        assert len(firsts) == number and firsts[0] == 0 and (number == 1 or firsts[-1] == length - 256)
        assert np.ptp(np.diff(firsts)) <= 1 if number > 1 else True
    assert len(seen) == count[0] * count[1] <= most


def test_every_pixel_counts_for_a_score() -> None:
    images = torch.rand(1, 3, 33, 50, requires_grad=True)
    mean_over_pieces(lambda piece: piece.sum(dim=(1, 2, 3)), images, 16).backward()
    assert (images.grad > 0).all()


def test_second_derivatives_of_a_score_are_refused() -> None:
    images = torch.rand(1, 3, 8, 16, requires_grad=True)
    with pytest.raises(RuntimeError, match="leave out create_graph"):
        torch.autograd.grad(mean_over_pieces(contrast, images, 8).sum(), images, create_graph=True)
