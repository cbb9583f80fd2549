"""How good could the gains of the bands be, and do statistics of the bands predict them? Prints Markdown.

    python benchmarks/gains.py OUT PHOTOS... [--crops 3000] [--held-out 64]

First OUT/gains-K.pt, in --parts processes: of crops degraded as in teach.py, statistics of the bands of configs/dlmap/
tiny.yaml, and the squared error as a quadratic form of the gains (linear combinations of fixed pictures; Blu and
Luisier 2007 choose the weights of denoisers so). Files that exist are not made again. Then a small network is fitted:
statistics to gains, so that the mean logarithm of the error is least. OUT/gains.pt receives it.

The table is of photographs that are left out (of the first folder, as in teach.py), under the mixtures of evidence.py
in turn: by how much the committee's label changes with the default configuration, with the gains that the network
predicts, without any ascent or quality model, and with the gains of least error, which need the original.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from evidence import MIXTURES, degraded
from numpy.random import default_rng
from teach import SIZE, clean, made_parts, train_photos
from teach import degraded as as_in_training
from torch import Tensor, nn
from tqdm import tqdm

from dlmap import enhance
from dlmap.domain import Bands, ColorFix, make_domain
from dlmap.run.configuration import load_enhancer
from dlmap.run.module import MAPEnhancer
from mslique import list_images, read_image, reference_quality

CONFIG = Path("configs/dlmap/tiny.yaml")
HIGHEST = (2.0, 1.0, 2.0, 1.0)
"""Of the predicted gains: the filter's band and the three of the prior. The lowest is -1."""
AT_ONCE = 4
"""Crops of a photograph, since it takes long to read one."""
SEED, WIDTH, BATCH, EPOCHS, RATE = 31, 64, 64, 100, 2e-3
FAINT = 1.0
"""A squared error, in levels of 8 bits, that can hardly be seen."""


class Errors(NamedTuple):
    """The error of gains g (N, K): g^T A g - 2 c^T g + e, with A (N, K, K), c (N, K), e (N,)."""

    matrix: Tensor
    vector: Tensor
    constant: Tensor

    def of(self, gains: Tensor) -> Tensor:
        """(N,)"""
        quadratic = torch.einsum("ni,nij,nj->n", gains, self.matrix, gains)
        return (quadratic - 2 * (gains * self.vector).sum(1) + self.constant).clamp_min(0)

    def least(self, steps: int = 3000) -> Tensor:
        """The gains (N, K) within their bounds that have the least error, by projected gradient descent."""
        gains, high = torch.zeros_like(self.vector), torch.tensor(HIGHEST).to(self.vector)
        curvature = torch.linalg.eigvalsh(self.matrix)[:, -1:].clamp_min(torch.finfo(self.matrix.dtype).tiny)
        for _ in range(steps):
            slope = torch.einsum("nij,nj->ni", self.matrix, gains) - self.vector
            gains = (gains - slope / curvature).clamp(min=-1).minimum(high)
        return gains


class GainPredictor(nn.Module):
    """Statistics (N, S) to gains (N, K) from -1 to HIGHEST; the statistics are brought to mean 0 and deviation 1."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("high", torch.tensor(HIGHEST))
        self.layers = nn.Sequential(nn.Linear(len(mean), WIDTH), nn.GELU(), nn.Dropout(0.1), nn.Linear(WIDTH, 4))
        nn.init.zeros_(self.layers[-1].weight)  # it begins with no gains
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, statistics: Tensor) -> Tensor:
        found = self.layers((statistics - self.mean) / self.deviation)
        return torch.where(found > 0, self.high * (found / self.high).tanh(), found.tanh())


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTOS")
    parser.add_argument("--crops", type=int, default=3000)
    parser.add_argument("--parts", type=int, default=2, help="processes that make the samples (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=64)
    options = parser.parse_args(args)
    photos = train_photos(options.photos, options.output, options.held_out)
    parts = made_parts("gains", make_part, photos, options)
    samples = [torch.load(path, weights_only=True) for path in parts]
    statistics, *errors = (torch.cat([sample[k] for sample in samples]) for k in range(4))
    network = fitted(statistics, Errors(*errors))
    torch.save(network.state_dict(), options.output / "gains.pt")
    print(table(network, load_enhancer(CONFIG), list_images(options.output / "held-out")))
    return 0


def make_part(photos: Sequence[Path], part: int, options: argparse.Namespace) -> None:
    """Every batch has a generator of its own: the samples do not depend on the number of parts but for their order."""
    torch.set_num_threads(max(1, torch.get_num_threads() // options.parts))
    domain, made = bands_of(load_enhancer(CONFIG)), []
    for k in tqdm(range(part, options.crops // AT_ONCE, options.parts), desc=f"part {part}", position=part):
        rng = default_rng((SEED, k))
        photo = (read_image(photos[k % len(photos)]) * 255).round().byte()
        crops = torch.stack([clean(photo, rng) for _ in range(AT_ONCE)]).mul(255).round() / 255
        images = torch.stack([as_in_training(crop, rng) for crop in crops]).mul(255).round() / 255
        domain.start(images)
        made.append((statistics_of(images, domain.bands), *errors_of(images, crops, domain.bands)))
    torch.save([torch.cat(column) for column in zip(*made, strict=True)], options.output / f"gains-{part}.pt")


def bands_of(model: MAPEnhancer) -> Bands:
    """Its domain, without the colour fix."""
    domain = make_domain(model.prior, *model.stages, fixed=False)
    assert isinstance(domain, Bands)
    return domain


def statistics_of(images: Tensor, bands: Sequence[Tensor]) -> Tensor:
    """(B, S): logarithms of the sizes of the bands (medians tell noise: Donoho 1995) and of the contrast of D_{K-1},
    the mean of the image, and correlations of neighbours.
    """
    sizes, rest = [], images - sum(bands[1:-1])
    for band in [*bands, *(band.mean(1, keepdim=True) for band in bands)]:
        values = band.flatten(1).abs()
        sizes += [values.square().mean(1).sqrt(), values.mean(1), values.median(1).values]
    sizes += [rest.diff(dim=-1).abs().mean((1, 2, 3)), rest.diff(dim=-2).abs().mean((1, 2, 3)), rest.std((1, 2, 3))]
    neighbours = []
    for band in bands:
        power = band.square().mean((1, 2, 3)).clamp_min(1e-9)
        for apart, side in ((1, -1), (1, -2), (2, -1), (2, -2)):
            length = band.shape[side] - apart
            product = band.narrow(side, 0, length) * band.narrow(side, apart, length)
            neighbours.append(product.mean((1, 2, 3)) / power)
    logarithms = [(255 * size).clamp_min(0.01).log() for size in sizes]
    return torch.stack([*logarithms, images.mean((1, 2, 3)), *neighbours], dim=1)


def errors_of(images: Tensor, originals: Tensor, bands: Sequence[Tensor]) -> Errors:
    """The mean squared error, in levels of 8 bits."""
    parts, wanted = 255 * torch.stack([band.flatten(1) for band in bands], dim=1), 255 * (originals - images).flatten(1)
    count = wanted.shape[1]
    return Errors(parts @ parts.mT / count, (parts @ wanted[..., None])[..., 0] / count, wanted.square().mean(dim=1))


def fitted(statistics: Tensor, errors: Errors) -> GainPredictor:
    """Prints the mean change of the error in dB on a tenth that the fit does not use, and the least possible."""
    torch.manual_seed(SEED)
    unused = torch.arange(len(statistics)) % 10 == 9
    network = GainPredictor(statistics[~unused].mean(0), statistics[~unused].std(0) + 1e-6)
    used = (~unused).nonzero().flatten()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in tqdm(range(EPOCHS), desc="fitting"):
        for chosen in used[torch.randperm(len(used))].split(BATCH):
            loss = decibels(network(statistics[chosen]), picked(errors, chosen))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    network.eval()
    left = picked(errors, unused)
    with torch.no_grad():
        found, least = decibels(network(statistics[unused]), left), decibels(left.least(), left)
    print(f"error on {int(unused.sum())} crops not used: {found:+.2f} dB; at least {least:+.2f} dB\n")
    return network


def picked(errors: Errors, chosen: Tensor) -> Errors:
    return Errors(*(part[chosen] for part in errors))


def decibels(gains: Tensor, errors: Errors) -> Tensor:
    """Mean change of the error; what is below FAINT hardly counts."""
    return 10 * ((errors.of(gains) + FAINT) / (errors.constant + FAINT)).log10().mean()


@torch.no_grad()
def table(network: GainPredictor, model: MAPEnhancer, photos: Sequence[Path]) -> str:
    rows: dict[str, list[list[float]]] = {name: [] for name in MIXTURES}
    (ascent,), free = model.stages, bands_of(model)
    domain = ColorFix(free, ascent.color_fix)
    for number, path in enumerate(tqdm(photos, desc="held out")):
        kind = list(MIXTURES)[number % len(MIXTURES)]
        one = degraded(path, number, kind, SIZE)
        assert one.clean is not None
        image, original = one.image[None], one.clean[None]
        domain.start(image)
        chosen = network(statistics_of(image, free.bands)), errors_of(image, original, free.bands).least()
        results = [enhance(image, model.prior, model.objective, ascent)[0].image]
        results += [domain.images(gains * free.sizes, [0])[0, 0] for gains in chosen]
        given, *labels = reference_quality(torch.stack([image[0], *results]), original.expand(4, -1, -1, -1)).tolist()
        rows[kind].append([label - given for label in labels])
    rows["all"] = sum(rows.values(), [])
    lines = ["| mixture | crops | default | predicted | of least error |", "|---|---|---|---|---|"]
    for kind, found in ((kind, found) for kind, found in rows.items() if found):
        means = [fmean(column) for column in zip(*found, strict=True)]
        lines.append(f"| {kind} | {len(found)} | {' | '.join(f'{mean:+.2f}' for mean in means)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
