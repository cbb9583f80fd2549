"""How likely a noise is under N(0, I), patch by patch: a guard against quality bought with improbable noise.

The norm of d independent standard normal numbers follows the chi distribution with d degrees of freedom, whose negative
logarithm is, up to a constant,

    E(r) = r^2 / 2 - (d - 1) log r

(used on whole noise tensors by Samuel et al., "Norm-guided latent space exploration", NeurIPS 2023, and Eyring et al.,
"ReNO", NeurIPS 2024). Here it is taken on patches, since an ascent can concentrate its changes, and only what a patch
has lost since the start counts, since the noise of a photograph is not exactly Gaussian to begin with [ours].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 8


def energies(noise: Tensor) -> Tensor:
    """Noise states (B, 2, C, h, w) -> E of every patch of PATCH x PATCH x C elements, (B, patches), in nats.

    Sides that are no multiples of the patch lose what is beyond the last whole patch, unless there is none.
    """
    side = min(PATCH, *noise.shape[-2:])
    squares = noise.square().sum(dim=2)  # over channels
    norms = F.avg_pool2d(squares, side) * side**2
    count = noise.shape[2] * side**2
    return (norms / 2 - (count - 1) / 2 * norms.clamp_min(torch.finfo(norms.dtype).tiny).log()).flatten(1)


def lost_likelihood(noise: Tensor, at_start: Tensor) -> Tensor:
    """Mean over the patches of the nats by which each has become less likely than at the start; (B,), >= 0.

    Args:
        noise: states (B, 2, C, h, w).
        at_start: their ``energies`` before the ascent, (B, patches).
    """
    return F.relu(energies(noise) - at_start).mean(dim=1)
