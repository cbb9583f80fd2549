import torch
from toys import Brightness, photos

from dlmap import MAPObjective
from dlmap.fidelity import MSE


def test_terms_are_weighted_per_image() -> None:
    images, reference = photos(3, seed=1), photos(3, seed=2)
    terms = MAPObjective(Brightness(), MSE(), quality_weight=2.0, fidelity_weight=30.0)(images, reference)
    for k in range(3):
        quality, fidelity = 100 * images[k].mean(), (images[k] - reference[k]).square().mean()
        torch.testing.assert_close(terms.quality[k], quality)
        torch.testing.assert_close(terms.fidelity[k], fidelity)
        torch.testing.assert_close(terms.value[k], 2 * quality - 30 * fidelity)
