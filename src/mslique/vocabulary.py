"""The words of the quality model: five levels of quality and the prompts that CLIP compares an image with.

Source: LIQE (Zhang et al., CVPR 2023), as kept by MS-LIQE (arXiv 2403.06406).
"""

from collections.abc import Sequence

LEVELS = ("bad", "poor", "fair", "good", "perfect")
"""Quality levels from worst to best; level k (counted from 1) is worth k points."""


def quality_prompts(levels: Sequence[str] = LEVELS) -> list[str]:
    """One sentence for each level, in the order given: ``a photo with <level> quality``."""
    return [f"a photo with {level} quality" for level in levels]
