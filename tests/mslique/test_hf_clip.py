"""Small models that transformers' own classes wrote, against what transformers says of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPConfig, Siglip2Config, SiglipConfig
from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

from mslique import MSLIQE, UserError, cli
from mslique.clip import build_clip
from mslique.clip_weights import load_clip_weights
from mslique.sharing import RECORD, load_model
from mslique.vocabulary import quality_prompts

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {
    **SMALL,
    "vocab_size": 32,
    "max_position_embeddings": 16,
    "eos_token_id": 1,
    "bos_token_id": 2,
    "pad_token_id": 0,
}
VISION = {**SMALL, "image_size": 48, "patch_size": 16}
KINDS = {
    "clip": CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12),
    "siglip": SiglipConfig(text_config=TEXT, vision_config=VISION),
    "siglip2": Siglip2Config(text_config=TEXT, vision_config={**SMALL, "num_patches": 9, "patch_size": 16}),
}
MODELS = {"clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model"}


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, write_tokenizer: Callable) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(5)
    model = getattr(transformers, MODELS[request.param])(KINDS[request.param])
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    model.save_pretrained(folder)
    write_tokenizer(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}')
    return folder


@pytest.fixture
def filled(folder: Path) -> MSLIQE:
    return MSLIQE.from_clip_checkpoint(folder, n_crops=2)


def by_transformers(folder: Path, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features of the images and of the prompts, and the logits, by transformers alone."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    options = {"padding": "max_length", "truncation": True, "max_length": 16, "return_tensors": "pt"}
    tokens = tokenizer(quality_prompts(), **options).input_ids
    images = {"pixel_values": views}
    if model.config.model_type == "siglip2":
        images = {
            "pixel_values": torch.stack([convert_image_to_patches(view, 16) for view in views]),
            "pixel_attention_mask": torch.ones(len(views), 9, dtype=torch.int32),
            "spatial_shapes": torch.tensor([[3, 3]] * len(views)),
        }
    with torch.no_grad():
        found = [model.get_image_features(**images), model.get_text_features(input_ids=tokens)]
        features = [f if isinstance(f, Tensor) else f.pooler_output for f in found]
        return *features, model(**images, input_ids=tokens).logits_per_image


def test_features_and_score_are_those_of_transformers(folder: Path, filled: MSLIQE) -> None:
    assert filled.views.size == 48 and filled.views.stride == 7
    torch.testing.assert_close(filled.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    image = torch.rand(1, 3, 90, 120)
    views = (filled.views(image)[0] - filled.mean) / filled.std
    pictures, texts, logits = by_transformers(folder, views)
    with torch.no_grad():
        torch.testing.assert_close(filled.clip.encode_image(views), pictures, rtol=0, atol=1e-5)
        torch.testing.assert_close(filled.clip.encode_text(filled.tokens), texts, rtol=0, atol=1e-5)
        expected = (logits.mean(0) / 2).softmax(0) @ torch.arange(1.0, 6)
        torch.testing.assert_close(filled(image)[0], expected, rtol=0, atol=1e-4)


def test_a_copy_opens_without_the_folder_and_the_hub(
    filled: MSLIQE, folder: Path, opens_alone: Callable[[MSLIQE, Path], None]
) -> None:
    opens_alone(filled, folder)


def test_a_checkpoint_opens_without_the_folder(filled: MSLIQE, tmp_path: Path) -> None:
    weights = {f"model.{name}": value for name, value in filled.state_dict().items()}
    torch.save({"state_dict": weights, RECORD: {"config": filled._hub_mixin_config}}, tmp_path / "last.ckpt")
    images = torch.rand(2, 3, 80, 90)
    assert torch.equal(load_model(tmp_path / "last.ckpt")(images), filled(images))


def test_all_that_is_trained_takes_part(filled: MSLIQE) -> None:
    images = torch.rand(2, 3, 80, 90, requires_grad=True)
    filled.train()(images).sum().backward()
    assert [name for name, p in filled.named_parameters() if p.requires_grad and p.grad is None] == []
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_weights_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    with pytest.raises(UserError, match="does not fit the backbone: its weights lack .*2"):
        load_clip_weights(build_clip(config), str(folder), config)
    with pytest.raises(UserError, match="unlike the backbone: set backbone"):
        load_clip_weights(build_clip("ViT-S-32-alt"), str(folder), "ViT-S-32-alt")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save(load_file(folder / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no complete model\.safetensors"):
        load_clip_weights(build_clip(str(folder)), str(tmp_path), str(folder))
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale"] = torch.full_like(weights["logit_scale"], torch.nan)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="not finite"):
        load_clip_weights(build_clip(str(folder)), str(tmp_path), str(folder))


def test_settings_that_name_code_are_left_out(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "evil.Model"}, "attn_implementation": "somebody/kernel"}
    config["vision_config"] |= {"_attn_implementation": "somebody/kernel"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    clip = build_clip(str(tmp_path))
    assert clip.model.config.vision_config._attn_implementation == "sdpa"
    assert "evil" not in str(clip.model.config) and "somebody" not in str(clip.model.config)


def test_settings_without_a_tokenizer_and_broken_ones_are_one_sentence(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(UserError, match="without a tokenizer: give as backbone a folder"):
        MSLIQE(backbone=config)
    with pytest.raises(UserError, match="transformers cannot build"):
        build_clip({**config, "text_config": {**TEXT, "num_attention_heads": 3}})


def test_the_processor_of_transformers_5_is_read_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "processor_config.json").write_text('{"image_processor": {"image_mean": [0, 0.5, 1]}}')
    model = MSLIQE(backbone=str(tmp_path), tokens=[[1] * 16] * 5)
    assert model.mean.flatten().tolist() == [0, 0.5, 1]
    (tmp_path / "processor_config.json").write_text('{"image_processor": {"image_mean": [0, "x"]}}')
    with pytest.raises(UserError, match="image_mean .* three numbers"):
        MSLIQE(backbone=str(tmp_path), tokens=[[1] * 16] * 5)


def test_the_command_imports_a_folder_without_the_constants_of_other_weights(
    folder: Path, filled: MSLIQE, tmp_path: Path
) -> None:
    assert cli.main(["import", str(folder), str(tmp_path / "model"), "--set", "n_crops=2"]) == 0
    model, images = MSLIQE.from_pretrained(tmp_path / "model"), torch.rand(2, 3, 80, 90)
    assert torch.equal(model(images), filled(images)) and model.calibration is None
