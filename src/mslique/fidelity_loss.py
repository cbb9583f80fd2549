"""The pairwise fidelity loss: it compares images of one dataset, and needs no common scale of several datasets.

Source: Tsai et al., "FRank", SIGIR 2007; Zhang et al., "UNIQUE", TIP 2021. For two images i, j of one dataset,

    p = Phi((s_i - s_j) / sqrt 2),   loss = 1 - sqrt(p g) - sqrt((1 - p)(1 - g)),

with g = 1, 1/2 or 0 as the MOS of i is higher than, equal to or lower than that of j; or, as in UNIQUE, with

    g = Phi((MOS_i - MOS_j) / (sqrt 2 sigma))

where a MOS has the standard deviation sigma. Scores then learn a difference of 1 where labels differ by sigma. Nearly
equal labels teach nearly equal scores, and not an order that may be due to chance.
"""

import math

import torch
from torch import Tensor


def fidelity_loss(
    scores: Tensor, mos: Tensor, dataset_ids: Tensor | None = None, mos_deviation: float | None = None
) -> Tensor:
    """Mean loss over the pairs of each dataset, then over the datasets that have a pair.

    Args:
        scores: (B,) predicted scores.
        mos: (B,) labels, higher is better.
        dataset_ids: (B,) integers; None means that all images are of one dataset.
        mos_deviation: sigma, in units of the MOS; None: only the order of the labels counts.

    Returns:
        Scalar in [0, 1]. It is 0, with a zero gradient, where no two images are of one dataset. Gradients are finite
        even where p rounds to 0 or 1, since sqrt(Phi) is computed as exp(log Phi / 2).

    Raises:
        ValueError: the shapes differ.
    """
    if scores.ndim != 1 or scores.shape != mos.shape or (dataset_ids is not None and dataset_ids.shape != mos.shape):
        shapes = [tuple(t.shape) for t in (scores, mos, dataset_ids) if t is not None]
        raise ValueError(f"expected tensors of one shape (B,), received {shapes}")
    if dataset_ids is None:
        dataset_ids = torch.zeros_like(mos, dtype=torch.long)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    groups = (dataset_ids == dataset for dataset in dataset_ids.unique())
    losses = [_mean_over_pairs(scores[group], mos[group], mos_deviation) for group in groups if group.sum() > 1]
    return torch.stack(losses).mean() if losses else scores.sum() * 0


def _mean_over_pairs(scores: Tensor, mos: Tensor, deviation: float | None) -> Tensor:
    first, second = torch.triu_indices(len(scores), len(scores), offset=1, device=scores.device)
    z = (scores[first] - scores[second]) / math.sqrt(2)
    gap = (mos[first] - mos[second]).to(z)
    g = (gap.sign() + 1) / 2 if deviation is None else torch.special.ndtr(gap / (math.sqrt(2) * deviation))
    root_p, root_q = (torch.exp(torch.special.log_ndtr(side) / 2) for side in (z, -z))
    return (1 - g.sqrt() * root_p - (1 - g).sqrt() * root_q).mean()
