"""The prompts as tokens of the text tower's own vocabulary."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .io.errors import UserError, in_short
from .towers import Tower

WAYS = (
    "give as backbone a folder with the model's settings and its tokenizer, or take a model that mslique export or"
    " mslique import wrote (its config.json keeps the tokens)"
)


def prompt_tokens(
    prompts: Sequence[str], tower: Tower, clip: Any, known: Sequence[Sequence[int]] | None = None
) -> Tensor:
    """(len(prompts), context length) int64.

    OpenAI's vocabulary comes with open_clip. Others are read from the tower's folder, else from the hub or its cache;
    no code in them is run. SigLIP's tokenizers pad to the context length, and the text tower sees the padding.

    Args:
        clip: as built.
        known: the tokens, if they are known already.

    Raises:
        UserError: the tokenizer cannot be found, or the tokens do not fit the text tower or the prompts.
    """
    text = getattr(clip, "text", clip)
    shape = (len(prompts), text.context_length)
    tokens = _tokenized(list(prompts), tower, text.context_length) if known is None else _as_tensor(known)
    if tokens.shape != shape or tokens.min() < 0 or tokens.max() >= text.vocab_size:
        raise UserError(
            f"tokens of shape {tuple(tokens.shape)} do not fit the prompts and the text tower, which need {shape} with"
            f" numbers from 0 to {text.vocab_size - 1}: leave tokens out, or take the tokenizer of this text tower"
        )
    return tokens


def _as_tensor(known: Sequence[Sequence[int]]) -> Tensor:
    try:
        return torch.tensor(known, dtype=torch.int64)
    except (TypeError, ValueError) as reason:
        raise UserError(f"tokens are no rows of equal length of whole numbers ({reason}): leave them out") from reason


def _tokenized(prompts: list[str], tower: Tower, length: int) -> Tensor:
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    if not tower.foreign_tokenizer:
        return SimpleTokenizer(context_length=length)(prompts)
    text: dict[str, Any] = {} if tower.of_transformers else tower.settings["text_cfg"]
    source = str(tower.folder) if tower.folder is not None else text.get("hf_tokenizer_name")
    if source is None:
        raise UserError(f"settings of transformers come without a tokenizer: {WAYS}")
    own = text.get("tokenizer_kwargs", {}) if text else {"clean": "lower"}
    options = {name: own[name] for name in ("clean", "strip_sep_token") if name in own} | {"trust_remote_code": False}
    try:
        return HFTokenizer(source, length, tokenizer_mode=text.get("tokenizer_mode"), **options)(prompts)
    except Exception as reason:  # no network, no such folder, a library that is missing: the same for the caller
        raise UserError(
            f"{source}, the tokenizer of the text tower, cannot be read ({in_short(reason, 200)}): {WAYS}"
        ) from reason
