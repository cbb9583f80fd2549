"""What is known of a vision-language model before it is built: its configuration, normalisation and tokenizer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .io.errors import UserError

Backbone = str | dict[str, Any]
"""One of

- a name in open_clip (``ViT-B-32-quickgelu``, ``ViT-B-16-SigLIP2``);
- a folder with ``open_clip_config.json``, or with ``config.json`` of transformers (CLIP, SigLIP, SigLIP 2), and with
  the files of its tokenizer;
- a configuration itself. open_clip's has ``embed_dim``, ``vision_cfg`` (a list of 4 ``layers`` makes a ResNet, a single
  number a transformer, ``timm_model_name`` any network of timm), ``text_cfg``, ``quick_gelu``, ``custom_text``, and for
  CoCa ``multimodal_cfg``. That of transformers has ``model_type``.
"""
PUBLISHED = "ViT-B-32-quickgelu"
"""The backbone of LIQE and MS-LIQE."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
OPEN_CLIP, TRANSFORMERS = "open_clip_config.json", "config.json"
KINDS = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}
"""``model_type`` of transformers, and how the names of its classes begin.

SigLIP 2 of one image size is published as ``siglip``; ``siglip2`` is NaFlex.
"""
CODE = ("auto_map", "attn_implementation", "quantization_config")
"""Settings of transformers that name code or kernels to load."""


@dataclass(frozen=True)
class Tower:
    """A backbone, not yet built.

    Args:
        config: its name or configuration, without paths, as config.json keeps it.
        settings: the configuration itself.
        mean, std: per channel, of the images that it was trained with.
        folder: where its tokenizer is; None: in open_clip or on the hub.
    """

    config: Backbone
    settings: dict[str, Any]
    mean: Sequence[float] = CLIP_MEAN
    std: Sequence[float] = CLIP_STD
    folder: Path | None = None

    @property
    def of_transformers(self) -> bool:
        return "model_type" in self.settings

    @property
    def foreign_tokenizer(self) -> bool:
        """The vocabulary is not OpenAI's, which comes with open_clip."""
        return self.of_transformers or bool((self.settings.get("text_cfg") or {}).get("hf_tokenizer_name"))


def find_tower(backbone: Backbone) -> Tower:
    """Look a backbone up.

    Raises:
        UserError: open_clip knows no such name, or the folder holds no model of images and texts.
    """
    import open_clip

    if not isinstance(backbone, str):
        settings = _checked(backbone, "backbone")
        return Tower(settings, settings, **_usual(settings))
    if backbone in open_clip.list_models():
        return Tower(backbone, open_clip.get_model_config(backbone), **published_normalisation(backbone))
    folder = Path(backbone)
    if (folder / OPEN_CLIP).is_file():
        found = _read(folder / OPEN_CLIP)
        settings = _checked(found.get("model_cfg", found), folder / OPEN_CLIP)
        own = _channels(found.get("preprocess_cfg"), "", folder)
    elif (folder / TRANSFORMERS).is_file():
        settings, own = _checked(_read(folder / TRANSFORMERS), folder / TRANSFORMERS), _processor(folder)
    else:
        raise UserError(
            f"unknown CLIP backbone {backbone!r}: take a name from open_clip.list_models(), or a folder with"
            f" {OPEN_CLIP} or with {TRANSFORMERS} of transformers"
        )
    return Tower(settings, settings, folder=folder, **{**_usual(settings), **own})


def holds_transformers(folder: Path) -> bool:
    """Whether the folder holds a model of transformers; its config.json names a ``model_type``."""
    return (folder / TRANSFORMERS).is_file() and "model_type" in _read(folder / TRANSFORMERS)


def published_normalisation(backbone: Backbone, tag: str | None = None) -> dict[str, Any]:
    """``mean`` and ``std`` of open_clip's published weights ``tag``, without a tag of the first ones of that name.

    Nothing if there are none.
    """
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if not isinstance(backbone, str):
        return {}
    tags = list_pretrained_tags_by_model(backbone) if tag is None else [tag]
    found = get_pretrained_cfg(backbone, tags[0]) if tags else {}
    return {name: tuple(found[name]) for name in ("mean", "std") if name in found}


def openai_name(backbone: str) -> str:
    """open_clip's name for OpenAI's version (QuickGELU) of a backbone: ``ViT-B-32`` or ``ViT-B/32``.

    What has no such version, and a folder, stays as it is.
    """
    import open_clip

    name = backbone.replace("/", "-")
    quick = name if name.endswith("-quickgelu") else f"{name}-quickgelu"
    return quick if quick in open_clip.list_models() else backbone


def _checked(config: Any, source: str | Path) -> dict[str, Any]:
    """The settings without what names code; of transformers only models of images and texts."""
    if not isinstance(config, Mapping):
        raise UserError(f"{source} holds a {type(config).__name__} and no settings: give a name, a folder or settings")
    if "vision_cfg" in config or "embed_dim" in config:
        return dict(config)
    if config.get("model_type") in KINDS:
        return dict(_plain(config))
    raise UserError(
        f"{source} describes no CLIP of images and texts (model_type: {config.get('model_type', 'none')}): give"
        " settings of open_clip (embed_dim, vision_cfg, text_cfg), or of transformers with model_type"
        f" {', '.join(KINDS)}"
    )


def _plain(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {name: _plain(value) for name, value in config.items() if name not in CODE and not name.startswith("_")}


def _usual(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The normalisation where nothing is said of it."""
    siglip = "siglip" in str(settings.get("model_type"))
    return {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)} if siglip else {}


def _processor(folder: Path) -> dict[str, Any]:
    """``mean`` and ``std`` of a folder of transformers, as far as it tells them."""
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        if (folder / name).is_file():
            found = _read(folder / name)
            return _channels(found if key is None else found.get(key), "image_", folder)
    return {}


def _channels(found: Any, prefix: str, source: Path) -> dict[str, Any]:
    """``mean`` and ``std`` among the settings of images."""
    found = found if isinstance(found, Mapping) else {}
    own = {name: found[prefix + name] for name in ("mean", "std") if prefix + name in found}
    for name, values in own.items():
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
            raise UserError(f"{source}: {prefix}{name} is {values!r}: give three numbers, for red, green and blue")
    return own


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise UserError(f"{file} cannot be read as JSON ({reason}): take a complete folder") from reason
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__} and no settings: take a complete folder")
    return found
