"""Train the critic of gains, which predicts how much better a crop will be with them; how good it is. Prints Markdown.

    python benchmarks/critic.py OUT PHOTOS... [--config configs/dlmap/tiny.yaml] [--crops 8000] [--held-out 64]

First OUT/critic-K.pt, in --parts processes: of crops degraded as in teach.py, the statistics of the bands and the
quality that the configuration gives them, and eight states with the change of the committee's label. Four states
are around the gains of least squared error (a quadratic form of the gains, since images are linear in them; Blu and
Luisier 2007 choose the weights of denoisers so), four at random as in teach.py. Files that exist are not made again.
Then the network is trained; OUT/model receives it.

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
from teach import SIZE, clean, made_parts, random_gains, train_photos
from teach import degraded as as_in_training
from torch import Tensor
from tqdm import tqdm

from dlmap import GainCritic, MAPObjective, enhance
from dlmap.domain import Bands, ColorFix, make_domain
from dlmap.run.configuration import load_enhancer
from dlmap.run.module import MAPEnhancer
from mslique import list_images, read_image, reference_quality

HIGHEST = (2.0, 1.0, 2.0, 1.0)
"""Of the gains of least error: the filter's band and the three of the prior. The lowest is -1."""
AROUND = (0.15, 0.4, 0.8)
"""Standard deviations of gains around them."""
AT_ONCE = 4
"""Crops of a photograph, since it takes long to read one."""
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
    options = parser.parse_args(args)
    photos = train_photos(options.photos, options.output, options.held_out)
    parts = made_parts("critic", make_part, photos, options)
    samples = [torch.load(path, weights_only=True) for path in parts]
    model = load_enhancer(options.config)
    (ascent,) = model.stages
    critic = trained(*(torch.cat([sample[k] for sample in samples]) for k in range(4)), ascent.levels, ascent.unsharp)
    critic.save_pretrained(options.output / "model")
    print(table(str(options.output / "model"), model, list_images(options.output / "held-out")))
    return 0


@torch.no_grad()
def make_part(photos: Sequence[Path], part: int, options: argparse.Namespace) -> None:
    """Every batch has a generator of its own: the samples do not depend on the number of parts but for their order."""
    torch.set_num_threads(max(1, torch.get_num_threads() // options.parts))
    model, made = load_enhancer(options.config), []
    domain, bands = domains_of(model)
    for k in tqdm(range(part, options.crops // AT_ONCE, options.parts), desc=f"part {part}", position=part):
        rng = default_rng((SEED, k))
        photo = (read_image(photos[k % len(photos)]) * 255).round().byte()
        crops = torch.stack([clean(photo, rng) for _ in range(AT_ONCE)]).mul(255).round() / 255
        images = torch.stack([as_in_training(crop, rng) for crop in crops]).mul(255).round() / 255
        domain.start(images)
        near = errors_of(images, crops, bands.bands).least()
        gains = torch.stack([torch.from_numpy(proposed(one.numpy(), rng)) for one in near]).to(near)
        states = gains * bands.sizes[:, None]
        for number, of_image in enumerate(states):
            for state in of_image:
                bands.project(state, number)
        rows = list(range(AT_ONCE))
        moved = [domain.images(state, rows)[:, 0].mul(255).round() / 255 for state in states.unbind(1)]
        results = torch.stack([images, *moved], dim=1)
        labels = reference_quality(results.flatten(0, 1), crops.repeat_interleave(results.shape[1], 0))
        labels = labels.unflatten(0, (AT_ONCE, -1))
        made.append((bands.statistics(), model.objective.quality(images), states, labels[:, 1:] - labels[:, :1]))
    torch.save([torch.cat(column) for column in zip(*made, strict=True)], options.output / f"critic-{part}.pt")


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
    at_random = random_gains(len(near) - 1, rng)[1:]
    return np.concatenate([around, rng.permutation(at_random)[:4]])


def trained(
    statistics: Tensor, quality: Tensor, states: Tensor, changes: Tensor, levels: Sequence[float], unsharp: float
) -> GainCritic:
    """On samples (N, S), (N,), (N, M, K), (N, M). Prints how good it is on an eighth that it is not trained with."""
    torch.manual_seed(SEED)
    unused = torch.arange(len(statistics)) // AT_ONCE % 8 == 7
    critic = GainCritic(levels, unsharp, statistics.shape[1])
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
