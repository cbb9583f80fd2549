import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mslique import MultiScaleViews
from mslique.views import usual_stride


def brute_force(images: Tensor, views: MultiScaleViews) -> Tensor:
    """The official views by resizing the whole image and unfolding every crop of the grid."""
    size, options = views.size, {"mode": "bicubic", "antialias": views.antialias}
    found = [F.interpolate(images, (size, size), **options)]
    for scale in views.scales:
        scaled = images if scale == 1 else F.interpolate(images, scale_factor=scale, **options)
        patches = scaled.unfold(2, size, views.stride).unfold(3, size, views.stride)  # (B, 3, rows, columns, s, s)
        patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
        step = patches.shape[1] // views.n_crops
        found += [patches[:, k * step] for k in range(views.n_crops)]
    return torch.stack(found, 1)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 64), (80, 200)])
def test_official_views_equal_unfolding_the_whole_grid(height: int, width: int, antialias: bool) -> None:
    images = torch.rand(2, 3, height, width, dtype=torch.float64)
    views = MultiScaleViews(size=32, scales=(1.0, 0.75), n_crops=5, stride=8, antialias=antialias)
    torch.testing.assert_close(views(images), brute_force(images, views), rtol=0, atol=1e-12)


def test_the_default_is_the_published_layout() -> None:
    views = MultiScaleViews()(torch.rand(1, 3, 299, 310))
    assert views.shape == (1, 15, 3, 224, 224)


@pytest.mark.parametrize(("size", "stride"), [(224, 32), (336, 48), (384, 55), (256, 37), (448, 64), (3, 1)])
def test_the_stride_grows_with_the_view(size: int, stride: int) -> None:
    assert usual_stride(size) == stride


def test_one_scale_with_fifteen_crops() -> None:
    views = MultiScaleViews(32, scales=(1.0,), n_crops=15, whole_image=False, stride=4)
    assert views(torch.rand(2, 3, 64, 64)).shape == (2, 15, 3, 32, 32)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (100, 260), (260, 100), (65, 64)])
def test_even_crops_reach_every_edge(height: int, width: int) -> None:
    corners = MultiScaleViews(64, n_crops=16, rule="even").offsets(height, width)
    assert len(set(corners)) == len(corners) <= 16
    assert {min(tops := [c[0] for c in corners]), max(tops)} == {0, height - 64}
    assert {min(lefts := [c[1] for c in corners]), max(lefts)} == {0, width - 64}


def test_sixteen_even_crops_tile_an_image_of_four_views() -> None:
    corners = MultiScaleViews(64, n_crops=16, rule="even").offsets(256, 256)
    assert corners == [(top, left) for top in (0, 64, 128, 192) for left in (0, 64, 128, 192)]


def test_even_drops_repeated_crops_of_small_images() -> None:
    assert MultiScaleViews(64, n_crops=16, rule="even").offsets(64, 64) == [(0, 0)]


def test_random_crops_stay_inside_and_follow_the_seed() -> None:
    views = MultiScaleViews(32, n_crops=200, rule="random")
    torch.manual_seed(1)
    first = views.offsets(40, 33)
    torch.manual_seed(1)
    assert views.offsets(40, 33) == first
    assert {top for top, _ in first} == set(range(9)) and {left for _, left in first} == {0, 1}


@pytest.mark.parametrize("shape", [(20, 90), (30, 31), (42, 43)])
def test_small_images_are_upsampled_until_every_scale_holds_a_view(shape: tuple[int, int]) -> None:
    images = torch.rand(1, 3, *shape)
    views = MultiScaleViews(size=32, scales=(1.0, 0.75), n_crops=3)(images)
    assert views.shape == (1, 7, 3, 32, 32)
    factor = max(1, 43 / min(shape))
    big = F.interpolate(images, [max(43, round(n * factor)) for n in shape], mode="bicubic")
    torch.testing.assert_close(views[:, 1], big[..., :32, :32])


def test_gradients_reach_exactly_the_pixels_of_the_crops() -> None:
    images = torch.rand(1, 3, 64, 96, requires_grad=True)
    MultiScaleViews(32, scales=(1.0,), n_crops=2, whole_image=False, stride=32)(images).sum().backward()
    expected = torch.zeros(64, 96)
    expected[:32, :32] = 1  # grid of 2 x 3: positions 0 and 3
    expected[32:, :32] = 1
    assert torch.equal(images.grad, expected.expand(1, 3, 64, 96))


def test_a_line_of_pixels_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    line, sizes, resize = torch.rand(1, 3, 1, 20_000), [], torch.nn.functional.interpolate

    def recorded(images: torch.Tensor, size: tuple[int, int], **options: object) -> torch.Tensor:
        sizes.append(size)
        return resize(images, size, **options)

    monkeypatch.setattr(torch.nn.functional, "interpolate", recorded)
    assert MultiScaleViews(32)(line).shape == (1, 15, 3, 32, 32)
    assert sizes[0] == (43, 20_000)
    MultiScaleViews(32)(line[..., :100])
    assert sizes[2] == (43, 32 * 43)


def test_antialiasing_is_a_choice() -> None:
    stripes = torch.zeros(1, 3, 256, 256)
    stripes[..., ::2] = 1
    soft, hard = (MultiScaleViews(64, n_crops=0, antialias=flag)(stripes) for flag in (True, False))
    inside = slice(4, -4)
    assert soft[..., inside].std() < 0.01 < (soft - hard).abs().max()


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"stride": 0}, {"scales": (0.0,)}, {"n_crops": 0, "whole_image": False}]
)
def test_a_layout_without_views_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="received"):
        MultiScaleViews(**options)


def test_a_single_image_without_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 64, 64\)"):
        MultiScaleViews(32)(torch.rand(3, 64, 64))
