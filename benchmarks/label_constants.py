"""The constants s and p of mslique.data.committee, which bring the committee's members to one scale.

    python benchmarks/label_constants.py PHOTOS [--samples 2000]

Measures every member on random mixtures as in training (configs/mslique/tiny.yaml) and prints a Markdown table:
the constants, how well each member's ranking agrees with the mean of the others (SRCC), and milliseconds an image.
"""

import argparse
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from mslique import list_images, srcc
from mslique.data.committee import COMMITTEE, Member, fit_scale
from mslique.data.synthetic import DegradedCrops

SEED = 3


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    crops = DegradedCrops(list_images(options.photos), 0, 128, SEED, versions=4, vary=True, second_order=0.3)
    distances = {name: torch.empty(0) for name in COMMITTEE}
    seconds = dict.fromkeys(COMMITTEE, 0.0)
    for number in range(options.samples // crops.versions):
        crop = crops.crop(number)
        images, original = crop.images.float() / 255, crop.original.float() / 255
        for name, member in COMMITTEE.items():
            started = time.perf_counter()
            found = member.distance(images, original.expand_as(images))
            seconds[name] += time.perf_counter() - started
            distances[name] = torch.cat([distances[name], found.detach()])
    sys.stdout.write(table(distances, seconds))


def table(distances: dict[str, Tensor], seconds: dict[str, float]) -> str:
    """Markdown, one row a member."""
    constants = {name: fit_scale(found) for name, found in distances.items()}
    marks = {
        name: Member(lambda found, _: found, *constants[name]).quality(found, found)
        for name, found in distances.items()
    }
    rows = ["| member | s | p | SRCC with the others | ms an image |", "|---|---|---|---|---|"]
    for name, (scale, power) in constants.items():
        others = torch.stack([mark for other, mark in marks.items() if other != name]).mean(dim=0)
        agreement = srcc(marks[name].numpy(), others.numpy())
        time_each = 1000 * seconds[name] / len(distances[name])
        rows.append(f"| {name} | {scale:.4f} | {power:.3f} | {agreement:.3f} | {time_each:.1f} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
