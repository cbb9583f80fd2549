"""EDICT: exact diffusion inversion by two coupled DDIM sequences.

Claim: exactly invertible for any noise prediction; global order 1; 2 network calls a step.
Source: Wallace, Gokul, Naik, "EDICT: Exact Diffusion Inversion via Coupled Transformations" (arXiv 2211.12446),
eqs. 14 and 15 for the steps and their inverse. As in its official implementation, the sequence that moves first
alternates from step to step, counted from the noise; the mixing always starts with the same one.
"""

import torch
from torch import Tensor

from ..schedule import Schedule
from . import Denoise

MIXING_AT_50_STEPS = 0.93


class EDICT:
    """EDICT on a schedule; the mixing weight p = 0.93^(50/N) keeps the total mixing of N steps constant."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.mixing = MIXING_AT_50_STEPS ** (50 / schedule.num_steps)

    def invert(self, latents: Tensor, denoise: Denoise) -> Tensor:
        """Clean latents (B, C, h, w) -> coupled noise (B, 2, C, h, w). Amplifies a gap in the pair by p^(-2N)."""
        p, pair = self.mixing, [latents, latents]
        for i in range(1, self.schedule.num_steps + 1):
            pair[1] = (pair[1] - (1 - p) * pair[0]) / p
            pair[0] = (pair[0] - (1 - p) * pair[1]) / p
            a, b = self.schedule.ddim(i)
            for moved in reversed(self._order(i)):
                pair[moved] = (pair[moved] - b * denoise(pair[1 - moved], i)) / a
        return torch.stack(pair, dim=1)

    def generate(self, noise: Tensor, denoise: Denoise) -> Tensor:
        """Coupled noise (B, 2, C, h, w) -> coupled clean latents (B, 2, C, h, w), both of them images."""
        p, pair = self.mixing, list(noise.unbind(dim=1))
        for i in range(self.schedule.num_steps, 0, -1):
            a, b = self.schedule.ddim(i)
            for moved in self._order(i):
                pair[moved] = a * pair[moved] + b * denoise(pair[1 - moved], i)
            pair[0] = p * pair[0] + (1 - p) * pair[1]
            pair[1] = p * pair[1] + (1 - p) * pair[0]
        return torch.stack(pair, dim=1)

    def _order(self, i: int) -> tuple[int, int]:
        first = (self.schedule.num_steps - i) % 2
        return first, 1 - first
