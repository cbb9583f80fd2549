from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from mslique import UserError
from mslique.clip import build_clip
from mslique.tokens import prompt_tokens
from mslique.towers import find_tower

VIT = {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 48}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
PLAIN = {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": TEXT}


def foreign(name: str, **options: object) -> dict:
    text = {
        **TEXT,
        "vocab_size": 32,
        "hf_tokenizer_name": name,
        "tokenizer_kwargs": {"clean": "canonicalize", **options},
    }
    return {**PLAIN, "text_cfg": text}


def test_a_tokenizer_that_is_not_here_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", unreachable)
    config = foreign("timm/ViT-B-16-SigLIP2")
    with pytest.raises(UserError, match=r"timm/ViT-B-16-SigLIP2, .*no network.*folder.*tokens"):
        prompt_tokens(["a photo"], find_tower(config), build_clip(config))


def test_no_code_of_a_tokenizer_is_run(
    write_tokenizer: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer(tmp_path)
    asked = []
    read = transformers.AutoTokenizer.from_pretrained
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *a, **k: asked.append(k) or read(*a, **k))
    config = foreign(str(tmp_path), trust_remote_code=True, anything=1)
    tokens = prompt_tokens(["a photo, with GOOD quality!"], find_tower(config), build_clip(config))
    assert tokens.shape == (1, 16) and tokens[0, 5] == 1 and tokens[0, 6] == 0  # five words, <eos>, padding
    assert asked[0]["trust_remote_code"] is False and "anything" not in asked[0]


@pytest.mark.parametrize(
    "known", [[[1] * 15], [[1] * 16] * 2, [[1] * 15 + [49408]], [[1] * 15 + [-1]], [[1], [1, 2]], [], 5]
)
def test_tokens_that_do_not_fit_are_refused(known: object) -> None:
    with pytest.raises(UserError, match="leave .* out"):
        prompt_tokens(["a photo"], find_tower(PLAIN), build_clip(PLAIN), known)


def test_given_tokens_are_taken() -> None:
    tokens = prompt_tokens(["a photo"], find_tower(PLAIN), build_clip(PLAIN), [list(range(16))])
    assert torch.equal(tokens, torch.arange(16)[None])
