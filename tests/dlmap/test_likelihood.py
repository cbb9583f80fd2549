import math

import pytest
import torch
from scipy.stats import chi

from dlmap.likelihood import PATCH, energies, lost_likelihood


def noise(batch: int = 2, side: int = 16) -> torch.Tensor:
    return torch.randn(batch, 2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_energies_are_those_of_the_chi_distribution() -> None:
    z = noise()
    found = energies(z).view(2, 2, 2, 2)  # image, sequence, rows and columns of patches
    degrees = 3 * PATCH**2
    constant = (degrees / 2 - 1) * math.log(2) + math.lgamma(degrees / 2)
    for top in (0, 1):
        for left in (0, 1):
            patch = z[1, 0, :, PATCH * top : PATCH * (top + 1), PATCH * left : PATCH * (left + 1)]
            expected = -chi(degrees).logpdf(patch.norm().item()) - constant
            assert found[1, 0, top, left].item() == pytest.approx(expected, rel=1e-9)


def test_only_what_became_less_likely_counts() -> None:
    z = noise(1)
    start = energies(z)
    assert lost_likelihood(z, start) == 0
    louder, quieter = z.clone(), z.clone()
    louder[..., :PATCH, :PATCH] *= 1.5
    quieter[..., :PATCH, :PATCH] *= 0.5
    for changed in (louder, quieter):
        lost = (energies(changed) - start).clamp_min(0).mean()
        torch.testing.assert_close(lost_likelihood(changed, start), lost[None])
        assert lost > 0
    assert lost_likelihood(z, energies(louder)) == 0  # back to what is typical


def test_small_states_are_one_patch() -> None:
    assert energies(noise(2, 4)).shape == (2, 2)
    assert energies(torch.zeros(1, 2, 3, 8, 8)).isfinite().all()
