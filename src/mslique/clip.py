"""CLIP backbones by name or by configuration."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .io.errors import UserError

Backbone = str | dict[str, Any]
"""The name of a configuration in open_clip (``ViT-B-32-quickgelu``), or a configuration itself: ``embed_dim``,
``vision_cfg`` (a list of 4 ``layers`` makes a ResNet, a single number a transformer, ``timm_model_name`` any network of
timm), ``text_cfg`` and ``quick_gelu``."""

PUBLISHED = "ViT-B-32-quickgelu"
"""The backbone of LIQE and MS-LIQE."""


def build_clip(backbone: Backbone) -> Any:
    """An untrained ``open_clip.CLIP``; an image tower of timm is built without the hub.

    Raises:
        UserError: open_clip knows no such configuration, or cannot build the one that is given.
    """
    import open_clip

    config = open_clip.get_model_config(backbone) if isinstance(backbone, str) else backbone
    if config is None:
        raise UserError(f"unknown CLIP backbone {backbone!r}: take a name from open_clip.list_models()")
    try:
        return open_clip.CLIP(**_offline(config))
    except (TypeError, ValueError, KeyError) as reason:
        raise UserError(f"backbone {backbone!r} is no CLIP with a plain text transformer: {reason}") from reason


def _offline(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with an image tower that timm builds without asking the hub for its shape or weights."""
    import timm

    vision = dict(config.get("vision_cfg", {}))
    name = vision.get("timm_model_name")
    if name and not timm.is_model(name):
        raise ValueError(f"timm knows no model {name!r}")
    return {**config, "vision_cfg": {**vision, "timm_model_pretrained": False} if name else vision}


def image_size(clip: Any) -> int:
    """Side of the square images that the backbone takes, in pixels."""
    size = clip.visual.image_size
    return int(size if isinstance(size, int) else size[0])


def tokenize(prompts: list[str], clip: Any) -> Tensor:
    """(len(prompts), context length) int64 tokens of OpenAI's byte-pair vocabulary."""
    from open_clip import SimpleTokenizer

    return SimpleTokenizer(context_length=clip.context_length)(prompts)


def openai_name(backbone: str) -> str:
    """open_clip's name for OpenAI's version (QuickGELU) of a backbone: ``ViT-B-32`` or ``ViT-B/32``."""
    name = backbone.replace("/", "-")
    return name if name.endswith("-quickgelu") else f"{name}-quickgelu"
