"""A critic of gains: how much better a photograph will be with them, told by statistics of its bands."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mslique import SharedModel, UserError

from .metrics import probes
from .options import Ascent

POINTS = 20.0
"""Scale of what the network returns."""
SAME = 0.1
"""Scores of one image, of 100, that differ less are of one quality model."""


class GainCritic(SharedModel, library_name="dlmap", tags=["image-enhancement"]):
    """Predicts by how many points, of 100, the label of an image changes when its bands are moved [ours].

    A quality model looks at the result alone, where noise may look like texture. The critic looks at the bands before
    they are moved: how large each is, how its pixels correlate. It is a regression of the labels of training, for
    states of all kinds (benchmarks/critic.py). Both together choose better than each alone.

    Args:
        levels, unsharp: of the bands it was trained for (:class:`dlmap.domain.Bands`).
        bands: how many there are.
        statistics: how many numbers describe an image.
        width: of the two hidden layers.
        score: what the quality model that it knows gives to an image of ours (:func:`probe_score`); None: unknown.
    """

    needed = "unsharp"
    way_out = "give data/critic-tiny, or a folder that benchmarks/critic.py wrote"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        levels: Sequence[float],
        unsharp: float,
        bands: int,
        statistics: int,
        width: int = 256,
        score: float | None = None,
    ) -> None:
        super().__init__()
        self.levels, self.unsharp, self.score = tuple(levels), unsharp, score
        self.register_buffer("mean", torch.zeros(statistics + 1))
        self.register_buffer("deviation", torch.ones(statistics + 1))
        self.known = nn.Linear(statistics + 1, width)
        self.moved = nn.Linear(2 * bands, width, bias=False)
        self.layers = nn.Sequential(
            *(nn.GELU(), nn.Dropout(0.05), nn.Linear(width, width)),
            *(nn.GELU(), nn.Dropout(0.05), nn.Linear(width, 1)),
        )

    def forward(self, statistics: Tensor, quality: Tensor, states: Tensor) -> Tensor:
        """Change of the label (...), differentiable in the states; 0 for states of zeros.

        Args:
            statistics: (..., S) of the bands, :meth:`dlmap.domain.Bands.statistics`.
            quality: (...) of the images as they were given, in [0, 100].
            states: (..., K) of the domain, in levels of 8 bits.
        """
        known = torch.cat([statistics, quality[..., None]], dim=-1)
        known = self.known((known - self.mean) / self.deviation)
        both = torch.stack([states, torch.zeros_like(states)])
        moved = self.moved(torch.cat([both / 8, both.sign() * both.abs().log1p()], dim=-1))
        after, before = self.layers(known + moved)[..., 0]
        change: Tensor = POINTS * (after - before)
        return change

    def check_quality(self, quality: nn.Module) -> None:
        """Raises a UserError if this is not the quality model whose scores it knows."""
        if self.score is not None and abs(probe_score(quality) - self.score) > SAME:
            raise UserError(
                "objective.critic was trained with another quality model than objective.quality, and would mislead it:"
                " leave the critic out (`critic: null` in the configuration), or train one with benchmarks/critic.py"
            )

    def check(self, ascent: Ascent) -> None:
        """Raises a UserError if the ascent moves other bands than those it was trained for."""
        if ascent.domain == "bands" and (tuple(ascent.levels), ascent.unsharp) != (self.levels, self.unsharp):
            raise UserError(
                f"objective.critic was trained for ascent.levels {list(self.levels)} and ascent.unsharp {self.unsharp}:"
                " take these, or leave the critic out (`critic: null` in the configuration)"
            )


@torch.no_grad()
def probe_score(quality: nn.Module) -> float:
    """What a quality model gives to an image that is always the same."""
    return float(quality(probes()[0]))
