"""How good is an MS-LIQE, and which constants put its scores on a scale of 0 to 100?

    python benchmarks/quality.py PHOTOS [--model data/mslique-tiny] [--samples 960] [--size 128]

All on square crops of PHOTOS, labelled as in training (mslique.data.committee). Prints Markdown:

- SRCC and PLCC on mixtures as in training, and on degradations of kinds that no training uses
  (mslique.data.degradations.unseen);
- of every single kind, the mean label, how far the calibrated score is off on average, the standard deviation of that,
  and the SRCC: a kind that is scored too high or too low costs SRCC where kinds are mixed;
- whether the score follows the severity of every single degradation, from the clean crop through six severities: the
  share of steps at which the mean score over the crops falls, and the mean over the crops of the Spearman correlation
  of mildness and score;
- what an ascent of the score in the pixels does to the score and to the label, and how many of the crops it fools: the
  score has risen by more than 0.1 of a level, and the label has fallen by more than 1 of 100;
- the calibration constants fitted to the mixtures, and the calibrated quality of the clean crops, whose level is where
  an ascent should stop.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch
import torch.nn.functional as F
from numpy.random import default_rng
from torch import Tensor

from mslique import (
    DEGRADATIONS,
    MSLIQE,
    UNSEEN_DEGRADATIONS,
    degrade_by,
    fit_calibration,
    list_images,
    plcc,
    reference_quality,
    srcc,
)
from mslique.data.synthetic import DegradedCrops

Model = Callable[[Tensor], Tensor]
SEED = 7
KINDS = {**DEGRADATIONS, **UNSEEN_DEGRADATIONS}
SEVERITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ASCENTS = {"gradient": (False, 1), "sign": (True, 1), "sign, smooth": (True, 7)}
"""Signs of the gradient or the gradient itself, and the side of the window it is averaged over."""
REPORTED = (1, 5, 20)
"""Steps after which an ascent is looked at; each changes a pixel by 1/255 in the root mean square."""


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--model", default="data/mslique-tiny")
    parser.add_argument("--samples", type=int, default=960)
    parser.add_argument("--size", type=int, default=128, help="side of the crops in pixels (default: %(default)s)")
    parser.add_argument("--crops", type=int, default=24, help="for severities and ascents (default: %(default)s)")
    parser.add_argument("--second-order", type=float, default=0.3, help="as in training (default: %(default)s)")
    options = parser.parse_args(args)
    model, paths = MSLIQE.from_pretrained(options.model).eval().requires_grad_(False), list_images(options.photos)
    mixtures = DegradedCrops(paths, options.samples, options.size, SEED, second_order=options.second_order)
    images, labels, clean = collected(mixtures, range(options.samples))
    scores = scored(model, images)
    print_table(("degraded by", "crops", "SRCC", "PLCC"), correlations(model, scores, labels, clean))
    fitted = fit_calibration(scores, labels)
    columns = ("degradation", "label", "off by", "deviation", "SRCC")
    print_table(columns, kind_rows(model, fitted, clean[: options.crops]))
    print_table(("degradation", "steps down", "Spearman"), severity_rows(model, clean[: options.crops]))
    start = images[: options.crops], clean[: options.crops]
    print_table(("ascent", "steps", "score", "label", "fooled"), ascent_rows(model, *start))
    quality = fitted(scored(model, clean[: len(paths)]))
    sys.stdout.write(
        f"calibration: center {fitted.center:.4f}, scale {fitted.scale:.4f}\n"
        f"quality of {len(quality)} clean crops: mean {quality.mean():.1f}, standard deviation {quality.std():.1f}\n"
    )


def correlations(model: Model, scores: Tensor, labels: Tensor, clean: Tensor) -> Iterator[Sequence[object]]:
    """Rows: mixtures of training, every unseen kind, and all of those together."""
    yield correlation_row("mixtures of training", scores, labels)
    kinds = [unseen(model, name, number, clean) for number, name in enumerate(UNSEEN_DEGRADATIONS)]
    for name, found in zip(UNSEEN_DEGRADATIONS, kinds, strict=True):
        yield correlation_row(name, *found)
    yield correlation_row("all kinds never trained on", *(torch.cat(part) for part in zip(*kinds, strict=True)))


def unseen(model: Model, name: str, number: int, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and labels of every sixth clean crop, degraded by one kind with a random severity."""
    images, labels = degraded_by(name, clean[number :: len(UNSEEN_DEGRADATIONS)], SEED, number)
    return scored(model, images), labels


def kind_rows(model: Model, fitted: Model, clean: Tensor) -> Iterator[Sequence[object]]:
    """A row for every degradation, each clean crop degraded by it with a random severity."""
    for name in KINDS:
        images, labels = degraded_by(name, clean, SEED)
        gap = fitted(scores := scored(model, images)) - labels
        means = (f"{labels.mean():.1f}", f"{gap.mean():+.1f}", f"{gap.std():.1f}")
        yield title(name), *means, f"{srcc(scores.numpy(), labels.numpy()):.2f}"


def degraded_by(name: str, clean: Tensor, *seed: int) -> tuple[Tensor, Tensor]:
    """Clean crops (N, 3, s, s) under one kind, each of a random severity, and their labels (N,)."""
    generators = [default_rng((*seed, k)) for k in range(len(clean))]
    pairs = zip(clean, generators, strict=True)
    images = torch.stack([degrade_by(name, image, rng.random(), rng, KINDS) for image, rng in pairs])
    return images, torch.cat([reference_quality(*part) for part in batches(images, clean)])


def title(name: str) -> str:
    return name if name in DEGRADATIONS else f"{name} (never trained on)"


def severity_rows(model: Model, clean: Tensor) -> Iterator[Sequence[object]]:
    """A row for every degradation, in the order of the dictionaries, and one for all."""
    steps: list[Tensor] = []
    ranks = torch.arange(len(SEVERITIES) + 1.0)
    for name, kind in KINDS.items():
        degraded = [
            degrade_by(name, image, severity, default_rng((SEED, k)), {name: kind})
            for severity in SEVERITIES
            for k, image in enumerate(clean)  # the same coin tosses at every severity
        ]
        scores = scored(model, torch.cat([clean, torch.stack(degraded)]))
        steps.append(scores.view(-1, len(clean)).mean(dim=1).diff())
        each = [srcc(row.numpy(), -ranks.numpy()) for row in scores.view(-1, len(clean)).T]
        yield title(name), down(steps[-1]), f"{fmean(each):.3f}"
    yield "all", down(torch.cat(steps)), ""


def down(steps: Tensor) -> str:
    return f"{int((steps < 0).sum())} of {len(steps)}"


def ascent_rows(model: Model, images: Tensor, clean: Tensor) -> Iterator[Sequence[object]]:
    """Rows: the crops as they are, then every ascent after some of its steps."""
    score, label = scored(model, images), reference_quality(images, clean)
    yield "none", 0, f"{score.mean():.2f}", f"{label.mean():.1f}", ""
    for name, (signs, window) in ASCENTS.items():
        moved = images
        for step in range(1, max(REPORTED) + 1):
            parts = [direction(model, part, signs, window) for part in moved.split(8)]
            moved = (moved + torch.cat(parts) / 255).clamp(0, 1)
            if step in REPORTED:
                after, left = scored(model, moved), reference_quality(moved, clean)
                fooled = int(((after > score + 0.1) & (left < label - 1)).sum())
                yield name, step, f"{after.mean():.2f}", f"{left.mean():.1f}", f"{fooled} of {len(images)}"


def direction(model: Model, images: Tensor, signs: bool, window: int) -> Tensor:
    """The gradient of the score (B, 3, H, W), averaged over squares of odd side ``window``, of unit mean square."""
    leaf = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model(leaf).sum(), leaf)
    gradient = F.avg_pool2d(gradient, window, stride=1, padding=window // 2, count_include_pad=False)
    gradient = gradient.sign() if signs else gradient
    return gradient / gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-20)


def collected(dataset: DegradedCrops, indices: range) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 3, s, s), labels (N,) and clean crops (N, 3, s, s) of a dataset with one version a crop."""
    crops = [dataset.crop(index) for index in indices]
    images, clean = (
        torch.stack(part).float() / 255 for part in ([c.images[0] for c in crops], [c.original for c in crops])
    )
    return images, torch.cat([crop.labels for crop in crops]), clean


@torch.inference_mode()
def scored(model: Model, images: Tensor) -> Tensor:
    """Scores (N,)."""
    return torch.cat([model(part) for part in images.split(16)])


def batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(tensor.split(4) for tensor in tensors), strict=True)


def correlation_row(name: str, scores: Tensor, labels: Tensor) -> Sequence[object]:
    pair = scores.numpy(), labels.numpy()
    return name, len(scores), f"{srcc(*pair):.4f}", f"{plcc(*pair):.4f}"


def print_table(columns: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    lines = [columns, ["---"] * len(columns), *rows]
    sys.stdout.write("".join(f"| {' | '.join(map(str, line))} |\n" for line in lines) + "\n")


if __name__ == "__main__":
    main()
