import pytest
import timm
import torch

from mslique import UserError
from mslique.clip import build_clip
from mslique.tokens import prompt_tokens
from mslique.towers import find_tower, openai_name

TINY = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="unknown CLIP backbone 'ViT-Z-99'"):
        build_clip("ViT-Z-99")


def test_a_configuration_that_is_no_clip_is_refused() -> None:
    with pytest.raises(UserError, match="no CLIP"):
        build_clip({"embed_dim": 8, "vision": {}})


def test_openai_names() -> None:
    assert openai_name("ViT-B/32") == openai_name("ViT-B-32") == openai_name("ViT-B-32-quickgelu")


def test_tokens_are_those_of_openais_vocabulary() -> None:
    tokens = prompt_tokens(["a photo"], find_tower(TINY), build_clip(TINY))
    assert tokens.tolist() == [[49406, 320, 1125, 49407] + [0] * 12]  # published ids: <start> a photo <end>


def by_timm(name: str = "test_efficientnet", **options: object) -> dict:
    vision = {"timm_model_name": name, "timm_pool": "avg", "timm_proj": "linear", "image_size": 64}
    return {**TINY, "vision_cfg": vision | options}


def test_timm_builds_image_towers_and_is_never_asked_for_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: asked.append(k["pretrained"]) or create(*a, **k))
    clip = build_clip(by_timm(timm_model_pretrained=True))
    assert asked == [False]
    assert clip.encode_image(torch.rand(2, 3, 64, 64)).shape == (2, 64)


@pytest.mark.parametrize("name", ["hf-hub:somebody/model", "no_such_network"])
def test_only_networks_of_timm_itself_are_built(name: str) -> None:
    with pytest.raises(UserError, match="timm knows no model"):
        build_clip(by_timm(name))
