"""CLIP, SigLIP and SigLIP 2 of transformers behind the interface of open_clip; transformers computes the features."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .io.errors import UserError, in_short
from .io.trust import check_finite
from .towers import KINDS


class HuggingFaceCLIP(nn.Module):
    """A model of transformers with what MS-LIQE uses of ``open_clip.CLIP``; at first with random weights.

    Args:
        settings: see :attr:`mslique.towers.Tower.settings`.

    Raises:
        UserError: transformers cannot build it.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        import transformers

        super().__init__()
        config, model = (getattr(transformers, KINDS[settings["model_type"]] + part) for part in ("Config", "Model"))
        try:
            self.model = model._from_config(config.from_dict(dict(settings)), attn_implementation="sdpa").float()
        except Exception as reason:  # a config.json may hold anything
            raise UserError(
                f"transformers cannot build the backbone ({type(reason).__name__}: {reason}): take its own config.json"
            ) from reason
        vision, text = self.model.config.vision_config, self.model.config.text_config
        self.patch = vision.patch_size if settings["model_type"] == "siglip2" else None
        size = vision.image_size if self.patch is None else self.patch * math.isqrt(vision.num_patches)
        self.visual = SimpleNamespace(image_size=size)
        self.context_length, self.vocab_size = text.max_position_embeddings, text.vocab_size

    @property
    def logit_scale(self) -> nn.Parameter:
        return self.model.logit_scale

    @property
    def logit_bias(self) -> nn.Parameter | None:
        return getattr(self.model, "logit_bias", None)

    def encode_image(self, images: Tensor, normalize: bool = False) -> Tensor:
        """Normalised pixels (B, 3, s, s) to features (B, d)."""
        inputs = {"pixel_values": images} if self.patch is None else _patches(images, self.patch)
        return _features(self.model.get_image_features(**inputs), normalize)

    def encode_text(self, tokens: Tensor, normalize: bool = False) -> Tensor:
        """Tokens (n, context length) to features (n, d). The padding is seen, as in the training of SigLIP."""
        return _features(self.model.get_text_features(input_ids=tokens), normalize)


def _patches(images: Tensor, patch: int) -> dict[str, Tensor]:
    """(B, 3, s, s) as the inputs of NaFlex: patches (B, n, patch * patch * 3), all of them seen, in a square."""
    count, side = len(images), images.shape[-1] // patch
    cut = images.unflatten(3, (side, patch)).unflatten(2, (side, patch)).permute(0, 2, 4, 3, 5, 1)
    return {
        "pixel_values": cut.reshape(count, side * side, -1),
        "pixel_attention_mask": torch.ones(count, side * side, dtype=torch.int32, device=images.device),
        "spatial_shapes": torch.full((count, 2), side, device=images.device),
    }


def _features(found: Any, normalize: bool) -> Tensor:
    features = found if isinstance(found, Tensor) else found.pooler_output  # tensors before transformers 5
    return F.normalize(features, dim=-1) if normalize else features


def load_hf_weights(clip: Any, folder: Path) -> None:
    """Fill all of ``clip`` from a folder of transformers. Only safetensors are read.

    Raises:
        UserError: ``clip`` is another kind of model, or the weights are missing, damaged, or do not fit.
    """
    if not isinstance(clip, HuggingFaceCLIP):
        raise UserError(f"{folder} holds a model of transformers, unlike the backbone: set backbone: {folder}")
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        found, report = type(clip.model).from_pretrained(folder, config=clip.model.config, **options)
    except Exception as reason:  # truncated, other shapes, no safetensors: the same for the caller
        raise UserError(
            f"{folder} does not fit the backbone, or has no complete model.safetensors ({in_short(reason)})"
        ) from reason
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"{folder} does not fit the backbone: its weights lack {', '.join(missing)[:300]}")
    check_finite(found.state_dict(), folder)
    clip.model.load_state_dict(found.state_dict())
