"""How well does an MS-LIQE rank degraded photographs, and which constants put its scores on a scale of 0 to 100?

    python benchmarks/quality.py PHOTOS [--model data/mslique-tiny] [--samples 480]

Crops of PHOTOS are degraded at random and labelled as in training (mslique.degradations, mslique.labels). Prints SRCC
and PLCC of the scores with the labels, the calibration constants fitted to them, and the calibrated quality of the
clean crops, whose level is where an ascent should stop.
"""

import argparse
import sys

import torch
from torch import Tensor

from mslique import MSLIQE, fit_calibration, list_images, plcc, srcc
from mslique.dataset import DegradedCrops

SEED = 7


class CleanCrops(DegradedCrops):
    """The same crops before they were degraded."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        return self._original(index), torch.tensor(100.0), 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--model", default="data/mslique-tiny")
    parser.add_argument("--samples", type=int, default=480)
    options = parser.parse_args()
    model, paths = MSLIQE.from_pretrained(options.model).eval(), list_images(options.photos)
    scores, labels = scored(model, DegradedCrops(paths, options.samples, 128, SEED))
    clean, _ = scored(model, CleanCrops(paths, len(paths), 128, SEED))
    fitted = fit_calibration(scores, labels)
    quality = fitted(clean)
    sys.stdout.write(
        f"{options.samples} degraded crops: SRCC {srcc(scores.numpy(), labels.numpy()):.4f},"
        f" PLCC {plcc(scores.numpy(), labels.numpy()):.4f}\n"
        f"calibration: center {fitted.center:.4f}, scale {fitted.scale:.4f}\n"
        f"quality of {len(clean)} clean crops: mean {quality.mean():.1f}, standard deviation {quality.std():.1f}\n"
    )


@torch.inference_mode()
def scored(model: MSLIQE, dataset: DegradedCrops) -> tuple[Tensor, Tensor]:
    """Scores and labels of every sample, both (N,)."""
    pairs = [dataset[index][:2] for index in range(len(dataset))]
    scores = [model(torch.stack([image for image, _ in pairs[k : k + 16]])) for k in range(0, len(pairs), 16)]
    return torch.cat(scores), torch.stack([label for _, label in pairs])


if __name__ == "__main__":
    main()
