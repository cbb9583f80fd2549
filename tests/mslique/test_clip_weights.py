from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from mslique import MSLIQE, UserError
from mslique.clip import build_clip
from mslique.clip_weights import load_clip_weights, load_openai_weights, read_openai_layout

TOWER = {"timm_model_name": "test_efficientnet", "timm_pool": "avg", "timm_proj": "linear", "image_size": 64}
TINY = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
BY_TIMM = {**TINY, "vision_cfg": TOWER}


@pytest.mark.parametrize("layout", ["plain", "nested", "half", "data parallel", "sizes", "safetensors"])
def test_every_layout_of_openai_weights_loads_strictly(layout: str, tmp_path: Path) -> None:
    source = build_clip(TINY)
    weights: dict = OrderedDict(source.state_dict())
    path = tmp_path / ("clip.safetensors" if layout == "safetensors" else "clip.pt")
    if layout == "half":
        weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    elif layout == "data parallel":
        weights = {f"module.{k}": v for k, v in weights.items()}
    elif layout == "sizes":
        weights |= {"input_resolution": torch.tensor(64), "vocab_size": torch.tensor(49408)}
    if layout == "safetensors":
        save_file({k: v.contiguous() for k, v in weights.items()}, path)
    else:
        torch.save({"model_state_dict": weights, "epoch": 3} if layout == "nested" else weights, path)
    target = build_clip(TINY)
    load_openai_weights(target, path)
    tolerance = 1e-3 if layout == "half" else 0.0
    for name, value in target.state_dict().items():
        assert value.dtype == source.state_dict()[name].dtype
        torch.testing.assert_close(value, source.state_dict()[name], rtol=tolerance, atol=tolerance)


def test_a_checkpoint_of_another_kind_is_named_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pt"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match=r"resnet\.pt is not in the layout .*fc\.weight.*from_pretrained"):
        read_openai_layout(path)


def test_a_tensor_alone_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "t.pt")
    with pytest.raises(UserError, match="holds a Tensor"):
        read_openai_layout(tmp_path / "t.pt")


def test_another_backbones_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    torch.save(build_clip(TINY).state_dict(), path)
    wider = build_clip(TINY | {"embed_dim": 32})
    with pytest.raises(UserError, match="does not fit the backbone"):
        load_openai_weights(wider, path)


@pytest.mark.parametrize("layers", [[1, 1, 1, 1], 1], ids=["ResNet", "transformer"])
def test_an_exported_model_starts_one_with_larger_views(layers: list[int] | int, tmp_path: Path) -> None:
    """Positions that rise linearly over the image still do; everything else is as it was."""
    small, large = (
        TINY | {"vision_cfg": {"layers": layers, "width": 16, "head_width": 8, "patch_size": 16, "image_size": size}}
        for size in (64, 96)
    )
    source = MSLIQE(backbone=small)
    (name,) = (name for name in source.state_dict() if name.startswith("clip.visual") and "positional" in name)
    table = source.state_dict()[name]
    grid = round((len(table) - 1) ** 0.5)
    ramp = torch.linspace(0, 1, grid)
    table[1:] = (ramp[:, None] + 10 * ramp).reshape(-1, 1)
    source.save_pretrained(tmp_path)
    target = build_clip(large)
    load_clip_weights(target, str(tmp_path), large)
    for key, value in target.state_dict().items():
        if f"clip.{key}" == name:
            finer = torch.linspace(0, 1, grid * 3 // 2)
            torch.testing.assert_close(value[0], table[0])
            torch.testing.assert_close(value[1:], (finer[:, None] + 10 * finer).reshape(-1, 1).expand_as(value[1:]))
        else:
            torch.testing.assert_close(value, source.state_dict()[f"clip.{key}"])


class Surprise:
    def __reduce__(self) -> tuple:
        return (Path("surprise").touch, ())


def test_pickled_code_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"visual.conv1.weight": Surprise()}, "evil.pt")
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        read_openai_layout("evil.pt")
    assert not (tmp_path / "surprise").exists()


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        read_openai_layout(tmp_path / "none.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be read"):
        read_openai_layout(tmp_path / "broken.safetensors")


def test_weights_of_timm_fill_the_image_tower_alone(tmp_path: Path) -> None:
    trained = timm.create_model("test_efficientnet", num_classes=7)
    save_file(trained.state_dict(), path := tmp_path / "tower.safetensors")
    clip = build_clip(BY_TIMM)
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    load_clip_weights(clip, str(path), BY_TIMM)
    for name, value in clip.state_dict().items():
        _, trunk, inner = name.partition("visual.trunk.")
        torch.testing.assert_close(value, trained.state_dict()[inner] if trunk else before[name], rtol=0, atol=0)
    save_file(trained.state_dict() | {"conv_stem.weight": torch.zeros(16, 3, 3, 3)}, path)
    with pytest.raises(UserError, match=r"tower\.safetensors does not fit the image tower"):
        load_clip_weights(clip, str(path), BY_TIMM)


def test_a_model_with_a_tower_of_timm_is_shared_like_any_other(tmp_path: Path) -> None:
    model = MSLIQE(backbone=BY_TIMM, whole_image=False, n_crops=2).eval()
    model.save_pretrained(tmp_path)
    images = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(MSLIQE.from_pretrained(tmp_path)(images), model(images), rtol=0, atol=0)
    again = build_clip(BY_TIMM)
    load_clip_weights(again, str(tmp_path), BY_TIMM)
    torch.testing.assert_close(again.state_dict(), model.clip.state_dict(), rtol=0, atol=0)
