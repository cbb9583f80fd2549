"""MS-LIQE on a small tower of every family of open_clip, against open_clip's own way to build and read it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import yaml
from open_clip.factory import load_checkpoint
from safetensors.torch import save_file

from mslique import MSLIQE, UserError
from mslique.clip import build_clip, image_size
from mslique.clip_weights import load_clip_weights
from mslique.towers import find_tower, openai_name, published_normalisation
from mslique.vocabulary import quality_prompts

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
SIGLIP_TEXT = {
    **TEXT, "vocab_size": 32, "hf_tokenizer_name": "timm/ViT-B-16-SigLIP2",
    "tokenizer_kwargs": {"clean": "canonicalize"}, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
}  # fmt: skip


def by_timm(name: str, size: int, pool: str, proj: str | None, text: dict = TEXT, **more: Any) -> dict[str, Any]:
    vision = {"timm_model_name": name, "timm_pool": pool, "timm_proj": proj, "image_size": size}
    return {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, **more}


VIT = {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 48}
COCA = {**VIT, "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4, "output_tokens": True}
COCA_TEXT = {**TEXT, "embed_cls": True, "output_tokens": True}
FAMILIES = {
    "ViT": {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": TEXT},
    "ViT quick": {"embed_dim": 16, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": TEXT},
    "ConvNeXt": by_timm("test_convnext", 64, "", "linear"),
    "SigLIP": by_timm("test_vit3", 48, "map", "none", SIGLIP_TEXT, embed_dim=96, custom_text=True, init_logit_bias=-10),
    "MobileCLIP": by_timm("fastvit_t8", 64, "avg", None, custom_text=True),
    "EVA": by_timm("eva02_tiny_patch14_224", 56, "token", None, custom_text=True),
    "CoCa": {
        "embed_dim": 16, "vision_cfg": COCA, "text_cfg": COCA_TEXT, "custom_text": True,
        "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
    },
}  # fmt: skip
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, write_tokenizer: Callable) -> Path:
    """A folder of open_clip as the hub has it: settings, random weights, and a tokenizer where one is needed."""
    config = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp("tower")
    settings = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    torch.manual_seed(3)
    clip = open_clip.create_model(f"local-dir:{folder}", force_image_size=config["vision_cfg"]["image_size"])
    weights = {k: v + 0.02 * torch.randn_like(v) if v.is_floating_point() else v for k, v in clip.state_dict().items()}
    weights = {k: v.abs() if k.endswith("running_var") else v.contiguous() for k, v in weights.items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    if "hf_tokenizer_name" in config["text_cfg"]:
        write_tokenizer(folder)
    return folder


@pytest.fixture
def filled(folder: Path) -> MSLIQE:
    model = MSLIQE(backbone=str(folder), n_crops=2)
    load_clip_weights(model.clip, str(folder), str(folder))
    return model.eval()


def test_features_and_score_are_those_of_open_clip(folder: Path, filled: MSLIQE) -> None:
    size = filled.views.size
    clip = open_clip.create_model(f"local-dir:{folder}", load_weights=False, force_image_size=size).eval()
    load_checkpoint(clip, str(folder / "open_clip_model.safetensors"))
    image = torch.rand(1, 3, 90, 120)
    views = (filled.views(image)[0] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(quality_prompts())
    assert torch.equal(filled.tokens, tokens)
    with torch.no_grad():
        pictures, texts = clip.encode_image(views, normalize=True), clip.encode_text(tokens, normalize=True)
        torch.testing.assert_close(filled.clip.encode_image(views, normalize=True), pictures, rtol=0, atol=1e-5)
        torch.testing.assert_close(filled.text_features(), texts, rtol=0, atol=1e-5)
        logits = clip.logit_scale.exp() * (pictures @ texts.T).mean(0)
        if clip.logit_bias is not None:  # a constant, which the softmax does not see
            logits = logits + clip.logit_bias
        expected = (logits / 2).softmax(0) @ torch.arange(1.0, 6)
        torch.testing.assert_close(filled(image)[0], expected, rtol=0, atol=1e-4)
    assert filled.views.stride == round(size / 7)


def test_a_copy_opens_without_the_folder_and_the_hub(
    filled: MSLIQE, folder: Path, opens_alone: Callable[[MSLIQE, Path], None]
) -> None:
    opens_alone(filled, folder)


def test_all_that_is_trained_takes_part(filled: MSLIQE) -> None:
    """Several processes wait for the gradient of every weight that asks for one."""
    filled.train()(torch.rand(2, 3, 80, 90)).sum().backward()
    assert [name for name, p in filled.named_parameters() if p.requires_grad and p.grad is None] == []


def test_sizes_that_a_network_of_timm_was_not_made_for() -> None:
    siglip = build_clip(FAMILIES["SigLIP"])
    assert siglip.visual.trunk.pos_embed.shape[1] == 3 * 3 + 1  # the network's own size is 160
    with pytest.raises(UserError, match="no multiple of its patches"):
        build_clip(by_timm("test_vit3", 50, "map", "none", SIGLIP_TEXT, embed_dim=96, custom_text=True))


@pytest.mark.parametrize(
    ("name", "mean", "size"),
    [
        ("ViT-B-32-quickgelu", 0.48145466, 224),
        ("ViT-B-16-SigLIP2-384", 0.5, 384),
        ("MobileCLIP-S1", 0.0, 256),
        ("convnext_base_w", 0.48145466, 256),
        ("PE-Core-T-16-384", 0.5, 384),
        ("ViT-L-14-CLIPA-336", 0.485, 336),
    ],
)
def test_a_name_brings_its_normalisation_and_size(name: str, mean: float, size: int) -> None:
    tower = find_tower(name)
    assert tower.mean[0] == mean and tower.settings["vision_cfg"]["image_size"] == size and tower.config == name


def test_published_weights_of_one_name_can_differ_in_normalisation() -> None:
    assert published_normalisation("ViT-L-14", "laion2b_s32b_b82k")["mean"] == (0.5, 0.5, 0.5)
    assert published_normalisation("ViT-L-14", "openai")["mean"] == published_normalisation("ViT-L-14")["mean"]
    assert published_normalisation("ViT-L-14", "my/weights.pt") == published_normalisation("ViT-S-32") == {}


def test_openais_layout_fills_a_text_tower_of_its_own(tmp_path: Path) -> None:
    """MobileCLIP, EVA and others keep below ``text.`` what OpenAI keeps at the top."""
    plain = build_clip(FAMILIES["ViT"])
    save_file({k: v.contiguous() for k, v in plain.state_dict().items()}, tmp_path / "clip.safetensors")
    custom = build_clip({**FAMILIES["ViT"], "custom_text": True})
    load_clip_weights(custom, str(tmp_path / "clip.safetensors"), FAMILIES["ViT"])
    tokens = torch.randint(49408, (3, 16))
    torch.testing.assert_close(custom.encode_text(tokens), plain.encode_text(tokens))


def test_openai_names_leave_other_names_alone(tmp_path: Path) -> None:
    assert openai_name("ViT-B-16-SigLIP2") == "ViT-B-16-SigLIP2"
    assert openai_name(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "clap"}, "no CLIP of images and texts .*clap"),
        ({"model_type": "bert"}, "no CLIP of images and texts .*bert"),
        ({**FAMILIES["ViT"], "text_cfg": {"hf_model_name": "roberta-base"}}, "only the hub describes its text tower"),
        ({**FAMILIES["ViT"], "vision_cfg": {**VIT, "image_size": [48, 64]}}, "48 x 64 .* square"),
    ],
)
def test_what_is_no_tower_for_photographs_is_refused(config: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        build_clip(config)
    (tmp_path / "config.json" if "model_type" in config else tmp_path / "open_clip_config.json").write_text(
        json.dumps(config)
    )
    with pytest.raises(UserError, match=said):
        build_clip(str(tmp_path))


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"model_cfg": 3}', '{"model_cfg": {"embed_dim": 4}, "preprocess_cfg": 5}']
)
def test_settings_that_are_none_are_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(UserError, match=f"{tmp_path.name}.*: (take|give) "):
        MSLIQE(backbone=str(tmp_path))


def test_missing_timm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match="pip install timm"):
        build_clip(FAMILIES["ConvNeXt"])


CONFIGS = Path(__file__).parents[2] / "configs" / "mslique"


@pytest.mark.parametrize(("name", "side", "width"), [("vit_l_14", 224, 768), ("siglip2", 256, 768)])
def test_the_configurations_build_the_real_towers(name: str, side: int, width: int) -> None:
    """The architecture in full, on torch's device without memory."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["init_args"]["model"]
    with torch.device("meta"):
        clip = build_clip(config["backbone"])
        assert clip.encode_image(torch.rand(1, 3, side, side)).shape == (1, width)
        length = getattr(clip, "text", clip).context_length
        assert clip.encode_text(torch.zeros(5, length, dtype=torch.int64)).shape == (5, width)
    assert image_size(clip) == side


@pytest.mark.parametrize("name", ["vit_l_14", "siglip2"])
def test_the_configurations_name_published_weights(name: str) -> None:
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["init_args"]
    assert config["clip_weights"] in open_clip.list_pretrained_tags_by_model(config["model"]["backbone"])
    assert find_tower(config["model"]["backbone"]).config == config["model"]["backbone"]
