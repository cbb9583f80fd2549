"""Vision-language models (CLIP and its successors) with random weights."""

from collections.abc import Mapping
from typing import Any

from .hf_clip import HuggingFaceCLIP
from .io.errors import UserError
from .towers import Backbone, find_tower


def build_clip(backbone: Backbone) -> Any:
    """An untrained model with ``encode_image``, ``encode_text`` and ``logit_scale``; nothing is asked of the hub.

    It is one of open_clip's (``CLIP``, ``CustomTextCLIP``, ``CoCa`` without its decoder of captions) or a
    :class:`HuggingFaceCLIP`. SigLIP's ``logit_bias`` is not trained: a constant does not change the softmax over the
    prompts.

    Raises:
        UserError: there is no such backbone, or it cannot be built.
    """
    tower = find_tower(backbone)
    clip = HuggingFaceCLIP(tower.settings) if tower.of_transformers else _open_clip(tower.settings, backbone)
    if clip.logit_bias is not None:
        clip.logit_bias.requires_grad_(False)
    image_size(clip)
    return clip


def _open_clip(settings: Mapping[str, Any], backbone: Backbone) -> Any:
    import open_clip

    coca = "multimodal_cfg" in settings
    kind = open_clip.CoCa if coca else open_clip.CustomTextCLIP if settings.get("custom_text") else open_clip.CLIP
    try:
        clip = kind(**_offline(settings))
        _fit_size(clip.visual)
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as reason:
        raise UserError(
            f"backbone {backbone!r} is no CLIP that open_clip can build ({reason}): give a name, or embed_dim,"
            " vision_cfg and text_cfg as the configurations of open_clip have them"
        ) from reason
    if coca:
        del clip.text_decoder
    return clip


def _offline(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for open_clip, with towers that are built without asking the hub for their shapes or weights."""
    try:
        import timm
    except ImportError as reason:
        raise UserError("timm, which open_clip needs, is missing: pip install timm") from reason
    if text := settings.get("text_cfg", {}).get("hf_model_name"):
        raise ValueError(f"only the hub describes its text tower ({text}): take one with a text tower of open_clip")
    vision = dict(settings.get("vision_cfg", {}))
    if name := vision.get("timm_model_name"):
        if not timm.is_model(name):
            raise ValueError(f"timm knows no model {name!r}")
        vision["timm_model_pretrained"] = False
    return {**{name: value for name, value in settings.items() if name != "custom_text"}, "vision_cfg": vision}


def _fit_size(visual: Any) -> None:
    """Let a network of timm that has learnt positions take the image size of the settings."""
    patches: Any = getattr(getattr(visual, "trunk", None), "patch_embed", None)
    if getattr(patches, "img_size", None) not in (None, visual.image_size):
        if any(side % patch for side, patch in zip(visual.image_size, patches.patch_size, strict=True)):
            raise ValueError(f"image_size {visual.image_size} is no multiple of its patches, {patches.patch_size}")
        visual.set_input_size(visual.image_size)


def image_size(clip: Any) -> int:
    """Side of the square images that the backbone takes, in pixels."""
    size = clip.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise UserError(f"the backbone takes images of {height} x {width} pixels: take one for square images")
    return int(height)
