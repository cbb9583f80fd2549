"""Train the critic of gains, which predicts how much better a crop will be with them; how good it is. Prints Markdown.

    python benchmarks/critic.py OUT PHOTOS... [--config configs/dlmap/tiny.yaml] [--crops 8000] [--held-out 64]
        [--earlier OUT...]

First OUT/critic-K-of-N.pt, in --parts processes: of crops, the statistics of the bands and the quality that the
configuration gives them, and eight states with the change of the committee's label. The crops, of 96, 128 or 192
pixels, are degraded as in teach.py, or by strong JPEG; one in seven is hard-edged (cut out, aliased or drawn), and half
of these are undamaged.
Three states are around the gains of least squared error (a quadratic form of the gains, since images are linear in
them; Blu and Luisier 2007 choose the weights of denoisers so), three at random as in teach.py. The other two are what
the critic of the last --earlier round and the quality model like best among the ends of eight ascents of the critic:
what it liked wrongly, it learns. Without an earlier round they are of the first two kinds.
Files that exist are not made again. Then the network is trained with the samples of all rounds; OUT/model receives it.

The table is of photographs that are left out (of the first folder, as in teach.py), under the mixtures of evidence.py
in turn: by how much the committee's label changes with the quality model and fidelity alone, with them and the critic,
and with the gains of least squared error, which need the original.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from evidence import MIXTURES, degraded
from numpy.random import default_rng
from teach import SIZE, clean, made_parts, one_view, part_file, random_gains, train_photos
from teach import degraded as as_in_training
from torch import Tensor
from tqdm import tqdm

from dlmap import GainCritic, MAPObjective, enhance
from dlmap.critic import probe_score
from dlmap.domain import Bands, ColorFix, make_domain
from dlmap.domain.bands import FILTERS, smoothed
from dlmap.quality import MSLIQEQuality
from dlmap.run.configuration import load_enhancer
from dlmap.run.module import MAPEnhancer
from mslique import degrade_by, list_images, read_image, reference_quality

HIGHEST = (2.0, 2.0, 1.0, 2.0, 1.0)
"""Of the gains of least error: the two filters' bands and the three of the prior. The lowest is -1."""
AROUND = (0.15, 0.4, 0.8)
"""Standard deviations of gains around them."""
AT_ONCE = 4
"""Crops of a photograph, since it takes long to read one."""
STATES, LIKED, STEPS = 8, 2, 8
"""Of a crop: states with a label; those of them that the last round likes; steps of an ascent of the critic."""
SIZES = (96, 128, 192)
"""Of crops, in pixels: statistics of a small part differ from those of a whole."""
SEED, BATCH, EPOCHS, RATE, DELTA = 37, 64, 40, 4e-3, 5.0


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


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTOS")
    parser.add_argument("--config", type=Path, default=Path("configs/dlmap/tiny.yaml"), help="(default: %(default)s)")
    parser.add_argument("--crops", type=int, default=8000)
    parser.add_argument("--parts", type=int, default=2, help="processes that make the samples (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--earlier", type=Path, nargs="+", default=[], metavar="OUT")
    options = parser.parse_args(args)
    photos = train_photos(options.photos, options.output, options.held_out)
    parts = made_parts("critic", make_part, photos, options)
    samples = [torch.load(path, weights_only=True) for path in parts]
    model = load_enhancer(options.config)
    (ascent,) = model.stages
    columns = (torch.cat([sample[k] for sample in samples]) for k in range(4))
    critic = trained(*columns, ascent.levels, ascent.unsharp, probe_score(model.objective.quality))
    critic.save_pretrained(options.output / "model")
    if options.held_out:
        print(table(str(options.output / "model"), model, list_images(options.output / "held-out")))
    return 0


@torch.no_grad()
def make_part(photos: Sequence[Path], part: int, options: argparse.Namespace) -> None:
    """Every batch has a generator of its own: the samples do not depend on the number of parts but for their order."""
    torch.set_num_threads(max(1, torch.get_num_threads() // options.parts))
    model, made = load_enhancer(options.config), []
    critic = GainCritic.from_pretrained(options.earlier[-1] / "model") if options.earlier else None
    domain, bands = domains_of(model)
    for k in tqdm(range(part, options.crops // AT_ONCE, options.parts), desc=f"part {part}", position=part):
        rng = default_rng((SEED + len(options.earlier), k))
        photo = (read_image(photos[k % len(photos)]) * 255).round().byte()
        size = int(rng.choice(SIZES))
        pairs = [pair(photo, size, rng) for _ in range(AT_ONCE)]
        crops, images = (torch.stack(column).mul(255).round() / 255 for column in zip(*pairs, strict=True))
        domain.start(images)
        near = errors_of(images, crops, bands.bands).least()
        gains = torch.stack([torch.from_numpy(proposed(one.numpy(), rng)) for one in near]).to(near)
        states = projected(gains * bands.sizes[:, None], bands)
        statistics, quality = bands.statistics(), model.objective.quality(images)
        if critic is not None:
            ends = climbed(states, critic, statistics, quality, bands, rng)
            scores = critic(statistics[:, None], quality[:, None], ends) + qualities(ends, domain, model)
            best = scores.topk(LIKED, dim=1).indices[..., None].expand(-1, -1, ends.shape[-1])
            states = torch.cat([states[:, LIKED // 2 : STATES - LIKED // 2], ends.gather(1, best)], dim=1)
        results = torch.cat([images[:, None], moved(states, domain)], dim=1)
        labels = reference_quality(results.flatten(0, 1), crops.repeat_interleave(1 + STATES, 0))
        labels = labels.unflatten(0, (AT_ONCE, -1))
        made.append((statistics, quality, states, labels[:, 1:] - labels[:, :1]))
    torch.save([torch.cat(column) for column in zip(*made, strict=True)], part_file("critic", part, options))


def pair(photo: Tensor, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A crop and what it is degraded into, (3, size, size) both."""
    kind = rng.random()
    if kind < 1 / 7:
        crop = hard_edged(photo, size, rng)
        return crop, crop if rng.random() < 0.5 else as_in_training(crop, rng)
    crop = clean(photo, rng, size)
    if kind < 2 / 7:
        return crop, degrade_by("jpeg", crop, float(rng.uniform(0.5, 1)), rng)
    return crop, as_in_training(crop, rng)


def hard_edged(photo: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """A crop (3, size, size) of every second or third pixel of the photograph (3, H, W), or of few colours, or one of
    these or of a clean crop, cut out before a plain colour along a line of its own brightness or along a random one.
    """
    kind, step = rng.integers(4), min(int(rng.integers(2, 4)), min(photo.shape[-2:]) // size)
    top, left = (int(rng.integers(side - size * step + 1)) for side in photo.shape[-2:])
    crop = photo[:, top : top + size * step : step, left : left + size * step : step].float() / 255
    if kind == 1 or rng.random() < 0.3:
        crop = clean(photo, rng, size)
    if kind == 1:
        colours = int(rng.integers(1, 5))
        crop = (smoothed(crop[None], float(rng.uniform(0.5, 2)))[0] * colours).round() / colours
    if kind > 1:
        noise = torch.from_numpy(rng.normal(size=(1, 3, size, size))).float()
        line = crop.mean(0) if kind == 2 else smoothed(noise, float(rng.uniform(2, 12)))[0, 0]
        plain = torch.tensor(rng.choice([0.0, 1.0, 1.0]) if rng.random() < 0.7 else rng.random(), dtype=torch.float32)
        crop = torch.where(line > line.flatten().quantile(float(rng.uniform(0.2, 0.8))), plain, crop)
    return crop


def projected(states: Tensor, bands: Bands) -> Tensor:
    """(N, M, K), within the bounds."""
    for number, of_image in enumerate(states):
        for state in of_image:
            bands.project(state, number)
    return states


def moved(states: Tensor, domain: ColorFix) -> Tensor:
    """(N, M, K) -> images (N, M, 3, s, s), as on disk."""
    rows = list(range(len(states)))
    return torch.stack([domain.images(one, rows)[:, 0] for one in states.unbind(1)], 1).mul(255).round() / 255


@torch.enable_grad()
def climbed(
    states: Tensor, critic: GainCritic, statistics: Tensor, quality: Tensor, bands: Bands, rng: np.random.Generator
) -> Tensor:
    """Where ascents of the critic end: the first from the photograph, the others from the states (N, M, K)."""
    lengths = torch.from_numpy(rng.uniform(0.3, 3, states.shape[:2])).float()[..., None]
    ends = states.clone()
    ends[:, 0] = 0
    for step in range(STEPS):
        ends.requires_grad_()
        (slope,) = torch.autograd.grad(critic(statistics[:, None], quality[:, None], ends).sum(), ends)
        size = slope.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-6)
        ends = projected(ends.detach() + (1 - step / STEPS) * lengths * slope / size, bands)
    return ends


def qualities(states: Tensor, domain: ColorFix, model: MAPEnhancer) -> Tensor:
    """(N, M); of an MS-LIQE with one view, which is quicker."""
    quality, images = model.objective.quality, moved(states, domain).flatten(0, 1)
    if isinstance(quality, MSLIQEQuality):
        scores: Tensor = quality.calibration(quality.model(images, one_view(quality.model)))
    else:
        scores = quality(images)
    return scores.unflatten(0, states.shape[:2])


def domains_of(model: MAPEnhancer) -> tuple[ColorFix, Bands]:
    """That of its ascent, and the bands within."""
    (ascent,) = model.stages
    domain = make_domain(model.prior, ascent)
    assert isinstance(domain, ColorFix) and isinstance(domain.domain, Bands)
    return domain, domain.domain


def errors_of(images: Tensor, originals: Tensor, bands: Sequence[Tensor]) -> Errors:
    """The mean squared error, in levels of 8 bits."""
    parts, wanted = 255 * torch.stack([band.flatten(1) for band in bands], dim=1), 255 * (originals - images).flatten(1)
    count = wanted.shape[1]
    return Errors(parts @ parts.mT / count, (parts @ wanted[..., None])[..., 0] / count, wanted.square().mean(dim=1))


def proposed(near: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gains (8, K): four around those of least error (K,), four at random."""
    around = near + rng.normal(size=(4, len(near))) * rng.choice(AROUND, size=(4, 1))
    at_random = random_gains(len(near) - FILTERS, rng)[1:]
    return np.concatenate([around, rng.permutation(at_random)[:4]])


def trained(
    statistics: Tensor,
    quality: Tensor,
    states: Tensor,
    changes: Tensor,
    levels: Sequence[float],
    unsharp: float,
    score: float | None = None,
) -> GainCritic:
    """On samples (N, S), (N,), (N, M, K), (N, M). Prints how good it is on an eighth that it is not trained with."""
    torch.manual_seed(SEED)
    unused = torch.arange(len(statistics)) // AT_ONCE % 8 == 7
    critic = GainCritic(levels, unsharp, states.shape[-1], statistics.shape[1], score=score)
    known = torch.cat([statistics, quality[:, None]], dim=1)[~unused]
    critic.mean.copy_(known.mean(0))
    critic.deviation.copy_(known.std(0) + 1e-6)
    used = (~unused).nonzero().flatten()
    optimizer = torch.optim.AdamW(critic.parameters(), weight_decay=0.02)
    steps = EPOCHS * math.ceil(len(used) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for _ in tqdm(range(EPOCHS), desc="training"):
        for chosen in used[torch.randperm(len(used))].split(BATCH):
            found = critic(statistics[chosen, None], quality[chosen, None], states[chosen])
            loss = F.huber_loss(found, changes[chosen], delta=DELTA)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    critic.eval()
    with torch.no_grad():
        found = critic(statistics[unused, None], quality[unused, None], states[unused])
    missed = (found - changes[unused]).square().mean() / changes[unused].square().mean()
    print(f"of the changes of {int(unused.sum())} crops not used it explains {1 - missed:.3f}\n")
    return critic


def table(critic: str, model: MAPEnhancer, photos: Sequence[Path]) -> str:
    rows: dict[str, list[list[float]]] = {name: [] for name in MIXTURES}
    (ascent,), old = model.stages, model.objective
    weights = old.quality_weight, old.fidelity_weight
    objectives = [MAPObjective(old.quality, old.fidelity, *weights, one) for one in (None, critic)]
    domain, bands = domains_of(model)
    for number, path in enumerate(tqdm(photos, desc="held out")):
        kind = list(MIXTURES)[number % len(MIXTURES)]
        one = degraded(path, number, kind, SIZE)
        assert one.clean is not None
        image, original = one.image[None], one.clean[None]
        results = [enhance(image, model.prior, objective, ascent)[0].image for objective in objectives]
        with torch.no_grad():
            domain.start(image)
            least = errors_of(image, original, bands.bands).least()
            results.append(domain.images(least * bands.sizes, [0])[0, 0])
        given, *labels = reference_quality(torch.stack([image[0], *results]), original.expand(4, -1, -1, -1)).tolist()
        rows[kind].append([label - given for label in labels])
    rows["all"] = sum(rows.values(), [])
    lines = ["| mixture | crops | without critic | with critic | of least error |", "|---|---|---|---|---|"]
    for kind, found in ((kind, found) for kind, found in rows.items() if found):
        means = [fmean(column) for column in zip(*found, strict=True)]
        lines.append(f"| {kind} | {len(found)} | {' | '.join(f'{mean:+.2f}' for mean in means)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
