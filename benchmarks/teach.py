"""Teach a quality model to rank what one photograph can be made into by gains of bands, against its original.

    python benchmarks/teach.py OUT PHOTOS... [--model data/mslique-tiny] [--crops 5000] [--steps 3000]
        [--earlier OUT...] [--held-out N]

First OUT/samples-K-of-N.pt, in --parts processes: crops of 128 pixels, clean (one in nine) or degraded, and of each
seven images more that gains of its bands give: five at random, and of 24 others the two that the model likes best,
since an ascent would find these. One may be another degradation of the same crop. The labels of all are the
committee's, against the clean crop. Files that exist are not made again. The samples of --earlier rounds are used as
well: what the model liked then, it should not learn to like again. Then the model is trained: the pairwise fidelity
loss over a batch of eight crops, as always, plus the same over the eight images of each crop alone, whose labels are
trusted to --deviation. OUT/model receives the average of its weights (EMA), in half precision.
--held-out N leaves out N photographs of the first folder, chosen at random, and links them into OUT/held-out: for
choosing options (sweep.py) and constants (dlmap calibrate), and for the line that is printed at the end: what both
models find, with one view, among 29 images that gains make of a crop.
"""

import argparse
import math
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from dlmap import DiffusionPrior
from dlmap.domain import Bands
from dlmap.domain.bands import FILTERS
from mslique import MSLIQE, degrade, degrade_by, fidelity_loss, list_images, read_image, reference_quality
from mslique.data.crops import clean_crop, varied
from mslique.views import MultiScaleViews

SIZE, VIEW, VERSIONS, BATCH = 128, 96, 8, 8
OTHERS, LIKED = 24, 2
UNSHARP = (1.5, 1.0, 2.0)
LEVELS = ((0.05, 0.12, 0.35), (0.05, 0.12, 0.35), (0.03, 0.08, 0.2, 0.35))
COMMON = ("gaussian_blur", "lens_blur", "motion_blur", "gaussian_noise", "shot_noise", "rescale", "jpeg", "jpeg2000",
          "avif", "oversharpening", "film_grain", "camera_denoising", "exposure", "contrast")  # fmt: skip
JOURNEY = (
    (0.25, ("exposure", "contrast")),
    (0.6, ("gaussian_blur", "lens_blur", "motion_blur", "rescale")),
    (0.5, ("gaussian_noise", "shot_noise", "film_grain")),
    (0.5, ("camera_denoising", "oversharpening", "oversharpening")),
    (0.7, ("jpeg", "jpeg2000", "avif")),
)
"""What befalls a photograph on its way: how often, and one of which kinds."""
BETWEEN = 25.0
"""Labels of different crops, and how far they are trusted: as in configs/mslique/tiny.yaml."""


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTOS")
    parser.add_argument("--prior", default="data/ldm-tiny")
    parser.add_argument("--model", default="data/mslique-tiny", help="to start from (default: %(default)s)")
    parser.add_argument("--crops", type=int, default=5000)
    parser.add_argument("--parts", type=int, default=2, help="processes that make the samples (default: %(default)s)")
    parser.add_argument("--earlier", type=Path, nargs="+", default=[], metavar="OUT")
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate (default: %(default)s)")
    parser.add_argument("--deviation", type=float, default=6.0, help="of labels of one crop (default: %(default)s)")
    parser.add_argument("--within", type=float, default=1.0, help="weight of pairs of one crop (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=0)
    options = parser.parse_args(args)
    photos = train_photos(options.photos, options.output, options.held_out)
    parts = made_parts("samples", make_part, photos, options)
    samples = [torch.load(path, weights_only=True, mmap=True) for path in parts]
    images, labels = (torch.cat([sample[name] for sample in samples]) for name in ("images", "labels"))
    model = taught(MSLIQE.from_pretrained(options.model), images, labels, options)
    model.half().save_pretrained(options.output / "model")
    if options.held_out:
        models = [MSLIQE.from_pretrained(one).eval() for one in (options.model, options.output / "model")]
        prior = DiffusionPrior.from_pretrained(options.prior, precision="auto")
        before, after, most = found(models, list_images(options.output / "held-out"), prior).mean(0).tolist()
        print(
            f"label of the best of 29 against the input: before {before:+.2f}, after {after:+.2f}, at most {most:+.2f}"
        )
    return 0


def train_photos(folders: Sequence[Path], output: Path, held_out: int) -> list[Path]:
    first, *others = (list_images(folder) for folder in folders)
    order = default_rng(0).permutation(len(first))
    (output / "held-out").mkdir(parents=True, exist_ok=True)
    for link in (output / "held-out").iterdir():
        link.unlink()
    for k in order[:held_out]:
        (output / "held-out" / first[k].name).symlink_to(first[k].resolve())
    return [first[k] for k in order[held_out:]] + [path for paths in others for path in paths]


def made_parts(name: str, make: Callable[..., None], photos: Sequence[Path], options: argparse.Namespace) -> list[Path]:
    """The files NAME-K-of-N.pt of earlier rounds, then those of OUT.

    Those of OUT that are missing are made, each by make(photos, K, options) in its own process.
    """
    parts = [part_file(name, k, options) for k in range(options.parts)]
    missing = [(photos, k, options) for k, path in enumerate(parts) if not path.is_file()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(len(missing)) as pool:
            pool.starmap(make, missing)
    return [path for folder in options.earlier for path in sorted(folder.glob(f"{name}-*.pt"))] + parts


def part_file(name: str, part: int, options: argparse.Namespace) -> Path:
    file: Path = options.output / f"{name}-{part}-of-{options.parts}.pt"
    return file


def make_part(photos: Sequence[Path], part: int, options: argparse.Namespace) -> None:
    """Every crop has a generator of its own: the samples do not depend on the number of parts but for their order."""
    torch.set_num_threads(max(1, torch.get_num_threads() // options.parts))
    prior = DiffusionPrior.from_pretrained(options.prior, precision="auto")
    model = MSLIQE.from_pretrained(options.model).eval()
    made = []
    for k in tqdm(range(part, options.crops, options.parts), desc=f"part {part}", position=part):
        rng = default_rng((options.seed, k))
        photo = (read_image(photos[k // 2 % len(photos)]) * 255).round().byte()
        made.append(versions(clean(photo, rng), prior, model, rng))
    images, labels = (torch.stack(column) for column in zip(*made, strict=True))
    torch.save({"images": images, "labels": labels}, part_file("samples", part, options))


def clean(photo: Tensor, rng: Generator, size: int = SIZE) -> Tensor:
    """A crop (3, size, size): often the one of four with the finest detail, now and then grey."""
    crops = [clean_crop(photo, size, rng) for _ in range(4 if rng.random() < 0.4 else 1)]
    crop = varied(max(crops, key=lambda one: one.diff(dim=-1).abs().mean().item()), rng)
    return crop.mean(0, keepdim=True).expand_as(crop) if rng.random() < 0.06 else crop


@torch.no_grad()
def versions(clean: Tensor, prior: DiffusionPrior, model: MSLIQE, rng: Generator) -> tuple[Tensor, Tensor]:
    """Of a clean crop (3, s, s): images (VERSIONS, 3, s, s) uint8, the first without gains, and labels (VERSIONS,)."""
    clean = clean.mul(255).round() / 255
    image = degraded(clean, rng)
    levels, unsharp = LEVELS[rng.integers(len(LEVELS))], float(rng.choice(UNSHARP))
    made = of_gains(image, prior, levels, unsharp)
    others = made(np.concatenate([random_gains(len(levels), rng)[1:] for _ in range(4)])[:OTHERS])
    liked = model(others, one_view(model)).topk(LIKED).indices
    results = torch.cat([made(random_gains(len(levels), rng)[: VERSIONS - LIKED]), others[liked]])
    if rng.random() < 0.5:
        results[1] = degrade(clean, rng, 0.25).mul(255).round() / 255
    return results.mul(255).round().byte(), reference_quality(results, clean.expand_as(results))


def of_gains(
    image: Tensor, prior: DiffusionPrior, levels: Sequence[float], unsharp: float
) -> Callable[[np.ndarray], Tensor]:
    """What gains (N, 1 + levels), within their bounds, make of an image (3, s, s), as on disk: (N, 3, s, s)."""
    domain = Bands(prior, levels, (-1.0, 2.5), unsharp)
    domain.start(image.mul(255).round()[None] / 255)

    def made(gains: np.ndarray) -> Tensor:
        states = torch.from_numpy(gains).to(domain.sizes) * domain.sizes
        for state in states:
            domain.project(state, 0)
        return torch.cat([domain.images(state[None], [0])[0] for state in states]).mul(255).round() / 255

    return made


@torch.no_grad()
def found(models: Sequence[MSLIQE], photos: Sequence[Path], prior: DiffusionPrior) -> Tensor:
    """Of 29 images that gains make of a degraded crop of each photograph, the best by each model, and by its label: by
    how much its label is above that of the crop as it is. (photos, models + 1)
    """
    rows = []
    for k, path in enumerate(tqdm(photos, desc="held out")):
        rng = default_rng((8, 2, k))  # whatever the seed of the round, so that rounds can be compared
        crop = clean((read_image(path) * 255).round().byte(), rng)
        gains = [random_gains(len(LEVELS[0]), rng)[int(part > 0) :] for part in range(4)]
        images = of_gains(degraded(crop, rng), prior, LEVELS[0], UNSHARP[0])(np.concatenate(gains))
        labels = reference_quality(images, crop.expand_as(images))
        best = [labels[model(images, one_view(model)).argmax()] for model in models]
        rows.append(torch.stack([*best, labels.max()]) - labels[0])
    return torch.stack(rows)


def one_view(model: MSLIQE) -> MultiScaleViews:
    """The middle."""
    return replace(model.views, n_crops=1, rule="even")


def degraded(clean: Tensor, rng: Generator) -> Tensor:
    kind = rng.random()
    if kind < 0.11:
        return clean
    if kind < 0.4:
        return degrade(clean, rng, 0.25)
    if kind < 0.6:
        names = list(rng.choice(COMMON, size=rng.choice([1, 2]), replace=False))
    else:
        names = [rng.choice(kinds) for often, kinds in JOURNEY if rng.random() < often]
    for name in names:
        most = 0.9 if kind < 0.6 or name == "oversharpening" else 0.6
        clean = degrade_by(name, clean, float(rng.uniform(0, most)), rng)
    return clean


def random_gains(count: int, rng: Generator) -> np.ndarray:
    """Of the filters' bands and ``count`` of the prior: (VERSIONS, FILTERS + count).

    None; four that take the prior's finer bands away and raise the others alike, more or less, each of the filters'
    bands as it is or not; nearly the filters' bands alone; any.
    """
    rows, band = [np.zeros(FILTERS + count)], np.arange(count)
    for _ in range(4):
        cut, raised = rng.uniform(-0.5, count), rng.uniform(-0.3, 1.8)
        of_prior = raised - (1 + raised) * np.clip(cut - band, 0, 1) + rng.normal(0, 0.25, count)
        rows.append(np.append(rng.integers(2, size=FILTERS) * rng.uniform(-0.8, 1.5, FILTERS), of_prior))
    rows.append(np.append(rng.uniform(-1, 2, FILTERS), rng.normal(0, 0.1, count)))
    rows += [rng.uniform(-1, 1.8, FILTERS + count), rng.normal(0, 0.4, FILTERS + count)]
    return np.stack(rows)


def taught(model: MSLIQE, images: Tensor, labels: Tensor, options: argparse.Namespace) -> MSLIQE:
    """Fine-tuned on crops (N, VERSIONS, 3, s, s) uint8 with labels (N, VERSIONS); batch statistics stay as they are.

    In float32: on a CPU a step takes 1.7 times the time in bf16 (training_step.py).
    """
    model.train().requires_grad_(True)
    model.clip.eval()
    views, groups = one_view(model), torch.arange(BATCH).repeat_interleave(VERSIONS)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1, (k + 1) / 50) * (1 + math.cos(math.pi * k / options.steps)) / 2
    )
    bar = tqdm(range(options.steps), desc="teaching")
    for step in bar:
        rng = default_rng((options.seed, 1, step))
        chosen = rng.choice(len(images), BATCH, replace=False)
        batch = images[chosen].flatten(0, 1).rot90(int(rng.integers(4)), (-2, -1)).float() / 255
        top, left = rng.integers(SIZE - VIEW + 1, size=2)
        batch = batch[..., top : top + VIEW, left : left + VIEW].contiguous(memory_format=torch.channels_last)
        scores = model(batch.flip(-1) if rng.random() < 0.5 else batch, views)
        of_batch = labels[chosen].flatten()
        loss = fidelity_loss(scores, of_batch, None, BETWEEN)
        loss = loss + options.within * fidelity_loss(scores, of_batch, groups, options.deviation)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(model)
        bar.set_postfix(loss=f"{loss.item():.4f}")
    best: MSLIQE = averaged.module.eval()
    return best


if __name__ == "__main__":
    sys.exit(main())
