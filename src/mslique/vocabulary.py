"""The words of the quality model: levels of quality, and the prompts that CLIP compares an image with.

Source: LIQE (Zhang et al., CVPR 2023), whose prompts name a scene, a distortion and a level; MS-LIQE (arXiv
2403.06406) keeps the level alone.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

LEVELS = ("bad", "poor", "fair", "good", "perfect")
"""Quality levels from worst to best; level k (counted from 1) is worth k points."""

PROMPT = "a photo with {level} quality"

SCENES = ("animal", "cityscape", "human", "indoor", "landscape", "night", "plant", "still_life", "others")
DISTORTIONS = (
    "jpeg2000 compression",
    "jpeg compression",
    "noise",
    "blur",
    "color",
    "contrast",
    "overexposure",
    "underexposure",
    "spatial",
    "quantization",
    "other",
)

PUBLISHED_NAMES = ("ViT-B-32", "ViT-B/32", "ViT-B-32-quickgelu")
"""How the backbone of the published weights is called."""

PRESETS: dict[str, dict[str, Any]] = {
    "ms-liqe": {"center": 1.98447, "scale": 0.93984, "piece": 512},
    "liqe": {
        "prompt": "a photo of a {scene} with {distortion} artifacts, which is of {level} quality",
        "scenes": SCENES,
        "distortions": DISTORTIONS,
        "scales": (1.0,),
        "n_crops": 15,
        "whole_image": False,
        "softmax_divisor": 1.0,
        "center": 2.07764,
        "scale": 1.10193,
        "piece": 512,
    },
}
"""Arguments of :class:`mslique.MSLIQE` for published weights: ``ms-liqe``, and ``liqe`` with its 495 prompts.
The constants of the calibration are those of the authors' public challenge entry, fitted on LIVE; the piece is ours."""


def preset_for(name: str, backbone: str | None, weights: str) -> dict[str, Any]:
    """A preset for the weights of a file or folder: without the constants of the calibration for another backbone."""
    published = backbone in (None, *PUBLISHED_NAMES) and not Path(weights).is_dir()
    return PRESETS[name] if published else {**PRESETS[name], "center": None, "scale": None}


def quality_prompts(
    levels: Sequence[str] = LEVELS,
    prompt: str = PROMPT,
    scenes: Sequence[str] = (),
    distortions: Sequence[str] = (),
) -> list[str]:
    """One sentence for each level, scene and distortion, level by level.

    Args:
        levels: words for the levels, worst to best.
        prompt: the sentence with {level} and, where they are given, {scene} and {distortion} in it.

    Raises:
        ValueError: the sentence lacks one of them, or there is no level.
    """
    if not levels:
        raise ValueError("levels must be words for at least one level, received none")
    parts = {"level": levels, "scene": scenes, "distortion": distortions}
    missing = [f"{{{name}}}" for name, words in parts.items() if words and f"{{{name}}}" not in prompt]
    if missing:
        raise ValueError(f"the prompt {prompt!r} lacks {', '.join(missing)}")
    choices = product(*(words or ("",) for words in parts.values()))
    return [prompt.format(**dict(zip(parts, choice, strict=True))) for choice in choices]
