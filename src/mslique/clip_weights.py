"""Weights of CLIP backbones: files in the layout of OpenAI's CLIP or of timm, exported models, and open_clip's hub."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .hf_clip import load_hf_weights
from .io.errors import UserError, in_short
from .io.hub import weights_file
from .io.shipped import located
from .io.trust import check_finite, read_weights
from .towers import OPEN_CLIP, Backbone, holds_transformers, openai_name

logger = logging.getLogger(__name__)


def read_openai_layout(path: str | Path) -> dict[str, Tensor]:
    """Weights of a checkpoint in the layout of OpenAI's CLIP, in float32.

    That is open_clip's too, which has other text towers below ``text.``. Accepts ``.safetensors`` or a pickled state
    dict (read with ``weights_only=True``), alone or under ``model_state_dict`` or ``state_dict``, with or without the
    prefix ``module.`` or, as in an exported MS-LIQE, ``clip.``.

    Raises:
        UserError: the file is missing, unreadable, or of another kind; the message says what was found.
    """
    found = read_weights(Path(path))
    for key in ("model_state_dict", "state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise UserError(f"{path} holds a {type(found).__name__}: give a state dict in the layout of OpenAI's CLIP")
    tensors = ((str(name), value) for name, value in found.items() if isinstance(value, Tensor))
    weights = {name.removeprefix("module.").removeprefix("clip."): value for name, value in tensors}
    towers = {name.partition(".")[0] for name in weights}
    of_transformers = any(name.startswith("model.vision_model.") for name in weights)  # an exported MS-LIQE
    if not of_transformers and not ("visual" in towers and towers & {"text_projection", "text"}):
        names = ", ".join(str(key) for key in list(found)[:4]) or "nothing"
        raise UserError(
            f"{path} is not in the layout of OpenAI's CLIP (found {names}): give an MS-LIQE, LIQE or CLIP state dict; "
            "a folder with config.json and model.safetensors is read by MSLIQE.from_pretrained"
        )
    for size in ("input_resolution", "context_length", "vocab_size"):  # OpenAI's releases keep these as tensors
        weights.pop(size, None)
    return {name: value.float() for name, value in weights.items()}


def load_openai_weights(clip: Any, path: str | Path, any_view_size: bool = False) -> None:
    """Fill all of ``clip`` from a file of :func:`read_openai_layout`.

    Args:
        any_view_size: interpolate the learnt positions if the weights are for images of another size.

    Raises:
        UserError: the weights belong to another backbone, or are not all finite.
    """
    weights = _adapted(read_openai_layout(path), clip)
    if any_view_size:
        weights |= _positions(weights, clip.state_dict())
    _fill(clip, weights, path, "backbone")


def _adapted(weights: dict[str, Tensor], clip: Any) -> dict[str, Tensor]:
    """The names and shapes of ``clip`` for what open_clip keeps in several ways, without CoCa's decoder of captions."""
    from open_clip.model import convert_to_custom_text_state_dict

    found = convert_to_custom_text_state_dict(weights) if hasattr(clip, "text") else weights
    expected = clip.state_dict()
    for name in expected.keys() & found.keys() & {"logit_scale", "logit_bias"}:
        if found[name].numel() == 1:
            found[name] = found[name].reshape(expected[name].shape)
    return {name: value for name, value in found.items() if not name.startswith("text_decoder.")}


def _fill(network: nn.Module, weights: Mapping[str, Tensor], path: str | Path, title: str) -> None:
    """Fill all of the network from the weights of a file."""
    check_finite(weights, path)
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as reason:
        raise UserError(
            f"{path} does not fit the {title}: choose the one it was trained with ({in_short(reason)})"
        ) from reason
    logger.info("loaded the %s from %s", title, path)


def _positions(weights: Mapping[str, Tensor], of_clip: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Visual positions (1 + g g, width) in ``weights``, of the whole image and of a g x g grid, for the grid of CLIP.

    They are interpolated bilinearly. The dictionary is empty where both grids are the same.
    """
    found = {}
    for name in ("visual.positional_embedding", "visual.attnpool.positional_embedding"):
        if name not in weights or name not in of_clip or weights[name].ndim != 2 or not len(weights[name]):
            continue
        table, (rows, width) = weights[name], of_clip[name].shape
        old, new = math.isqrt(len(table) - 1), math.isqrt(rows - 1)
        if old != new and table.shape == (1 + old**2, width):
            planes = table[1:].T.reshape(1, width, old, old)
            planes = F.interpolate(planes, (new, new), mode="bilinear", align_corners=True)
            found[name] = torch.cat([table[:1], planes[0].flatten(1).T])
    return found


def load_clip_weights(clip: Any, source: str, backbone: Backbone) -> None:
    """Fill ``clip`` from a file in the layout of OpenAI's CLIP, or by open_clip's name of weights on the hub.

    Weights can be for images of another size: the positions of open_clip's own image towers are interpolated. If timm
    builds the image tower, a file of that network's weights can also fill the tower alone. Its classifier is not used;
    the text tower does not change.

    Args:
        source: path of the file, or a name such as ``openai``; or the folder of an exported MS-LIQE, or
            the name of one that ships; or a folder of open_clip or transformers.
        backbone: that of ``clip``; a name is needed for weights on the hub.

    Raises:
        UserError: neither such a file nor such a name, a hub that cannot be reached, or weights of another backbone.
    """
    source = located(source)
    if holds_transformers(Path(source)):
        return load_hf_weights(clip, Path(source))
    if Path(source).is_dir():
        source = _in_folder(Path(source))
    elif not Path(source).is_file():
        source = _from_hub(source, backbone)
    elif _load_trunk(clip, Path(source)):
        return
    load_openai_weights(clip, source, any_view_size=True)


def _in_folder(folder: Path) -> str:
    """The file of weights of an exported MS-LIQE, or of a folder of open_clip."""
    if not (folder / OPEN_CLIP).is_file():
        return weights_file(str(folder))
    if not (file := folder / "open_clip_model.safetensors").is_file():
        raise UserError(f"{folder} has no {file.name}: copy this file of the model too")
    return str(file)


def _load_trunk(clip: Any, path: Path) -> bool:
    """Fill the timm network in ``clip``; False, and no change, if the file does not hold its weights."""
    trunk = getattr(clip.visual, "trunk", None)
    if trunk is None:
        return False
    expected, found = trunk.state_dict(), read_weights(path)
    if not isinstance(found, Mapping) or not expected.keys() <= found.keys():
        return False
    _fill(trunk, {name: found[name] for name in expected}, path, "image tower")
    return True


def _from_hub(tag: str, backbone: Backbone) -> str:
    from open_clip import get_model_config
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg

    config = get_pretrained_cfg(backbone, tag) if isinstance(backbone, str) else {}
    if not config:
        raise UserError(
            f"clip_weights {tag!r} is neither a file nor open_clip's name of weights for this backbone: give a state"
            " dict in the layout of OpenAI's CLIP, or openai with a backbone such as ViT-B-32-quickgelu"
        )
    quick, built = (bool(values.get("quick_gelu")) for values in (config, get_model_config(backbone) or {}))
    if quick != built:  # the weights would fit, and all features would be wrong
        other = openai_name(str(backbone)) if quick else str(backbone).removesuffix("-quickgelu")
        raise UserError(
            f"clip_weights {tag!r} were trained {'with' if quick else 'without'} QuickGELU, unlike the backbone"
            f" {backbone}: set backbone: {other}"
        )
    try:
        return str(download_pretrained(config))
    except Exception as reason:  # no network, no rights, no such file: the same for the caller
        raise UserError(
            f"clip_weights {tag!r}: the hub cannot be reached ({type(reason).__name__}): download"
            f" {config.get('hf_hub') or config.get('url')} elsewhere and give the file"
        ) from reason
