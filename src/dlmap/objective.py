"""The objective of MAP enhancement: quality times a weight, minus fidelity times a weight."""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from mslique import UserError

from .critic import GainCritic


@dataclass(frozen=True)
class Terms:
    """Per image, each (B,): quality in [0, 100], fidelity distance >= 0, and the objective that is maximised."""

    quality: Tensor
    fidelity: Tensor
    value: Tensor


class MAPObjective(nn.Module):
    """lambda Q(x) - w D(x, x0), to be maximised (arXiv 2403.06406, the MAP problem with its sign turned).

    Args:
        quality: Q, images (B, 3, H, W) in [0, 1] -> (B,) in [0, 100].
        fidelity: D, two such batches -> (B,) >= 0.
        quality_weight: lambda.
        fidelity_weight: w.
        critic: folder or hub id of a :class:`dlmap.GainCritic`, or the name of one that ships. An ascent in the
            domain bands adds to the objective the change of quality that it predicts [ours]. None: nothing is added.

    Raises:
        UserError: a weight is negative, which would turn the ascent round, or not finite; there is no such critic, or
            it was trained with another quality model.
    """

    def __init__(
        self,
        quality: nn.Module,
        fidelity: nn.Module,
        quality_weight: float = 1.0,
        fidelity_weight: float = 20.0,
        critic: str | None = None,
    ) -> None:
        super().__init__()
        self.quality, self.fidelity = quality, fidelity
        for name, weight in (("quality_weight", quality_weight), ("fidelity_weight", fidelity_weight)):
            if not 0 <= weight < math.inf:
                raise UserError(f"objective.{name} must be at least 0 and finite, got {weight}")
        self.quality_weight, self.fidelity_weight = quality_weight, fidelity_weight
        self.critic = None if critic is None else GainCritic.from_pretrained(critic).requires_grad_(False)
        if self.critic is not None:
            self.critic.check_quality(quality)

    def forward(self, images: Tensor, reference: Tensor) -> Terms:
        """Images and references, both (B, 3, H, W) in [0, 1] -> their terms."""
        quality, fidelity = self.quality(images), self.fidelity(images, reference)
        return Terms(quality, fidelity, self.quality_weight * quality - self.fidelity_weight * fidelity)
