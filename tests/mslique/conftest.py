"""Tiny models and images, made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from placeholders import write_iqa_database
from skimage import data
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mslique import MSLIQE
from mslique.clip_weights import load_clip_weights
from mslique.vocabulary import LEVELS, quality_prompts

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
VISION = {
    "resnet": {"layers": [1, 1, 1, 1], "width": 4, "head_width": 16, "image_size": 64},
    "transformer": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 32},
}


def backbone(kind: str = "resnet") -> dict[str, Any]:
    return {"embed_dim": 16, "quick_gelu": True, "init_logit_scale": 4.6, "vision_cfg": VISION[kind], "text_cfg": TEXT}


@pytest.fixture(scope="session")
def tiny_backbone() -> dict[str, Any]:
    return backbone()


@pytest.fixture(scope="session")
def tiny_transformer() -> str:
    """A vision transformer of 32-pixel views as an option on the command line."""
    return json.dumps({"embed_dim": 16, "quick_gelu": True, "vision_cfg": VISION["transformer"], "text_cfg": TEXT})


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., MSLIQE]:
    """Makes an untrained MSLIQE in eval mode, with the residual blocks that begin as zero switched on."""

    def make(kind: str = "resnet", seed: int = 0, **config: Any) -> MSLIQE:
        torch.manual_seed(seed)
        model = MSLIQE(backbone=backbone(kind), **config)
        with torch.no_grad():
            for parameter in (p for name, p in model.named_parameters() if name.endswith("bn3.weight")):
                parameter.fill_(1)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def write_tokenizer() -> Callable[..., None]:
    """Writes the files of a tokenizer that knows each word of MS-LIQE's prompts, as any in tokenizer.json."""

    def write(folder: Path) -> None:
        words = ["<pad>", "<eos>", "<unk>", *quality_prompts()[0].split(), *LEVELS]
        fast = Tokenizer(WordLevel({word: k for k, word in enumerate(dict.fromkeys(words))}, "<unk>"))
        fast.pre_tokenizer = Whitespace()
        fast.post_processor = TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
        special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
        PreTrainedTokenizerFast(tokenizer_object=fast, **special).save_pretrained(folder)

    return write


@pytest.fixture
def opens_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[MSLIQE, Path], None]:
    """Checks that a saved copy of a model needs neither the folder that the model is from nor the hub."""

    def check(model: MSLIQE, folder: Path) -> None:
        model.save_pretrained(tmp_path)
        assert str(folder) not in (tmp_path / "config.json").read_text()
        monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", None)  # whatever asks for a tokenizer fails
        images = torch.rand(2, 3, 80, 90)
        assert torch.equal(MSLIQE.from_pretrained(tmp_path)(images), model(images))
        started = MSLIQE(**json.loads((tmp_path / "config.json").read_text()))
        load_clip_weights(started.clip, str(tmp_path), {})
        assert torch.equal(started.eval()(images), model(images))

    return check


@pytest.fixture(scope="session")
def photo() -> Callable[..., Tensor]:
    """Cuts a square (3, side, side) in [0, 1] out of one of scikit-image's photographs."""

    def cut(name: str = "astronaut", top: int = 40, left: int = 140, side: int = 160) -> Tensor:
        pixels = np.asarray(getattr(data, name)())[top : top + side, left : left + side]
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255

    return cut


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs as PNG files."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def iqa_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six datasets in LIQE's layout with split 1: small images that darken as their score falls, on the spot."""
    root = tmp_path_factory.mktemp("IQA_Database")
    write_iqa_database(root)
    return root
