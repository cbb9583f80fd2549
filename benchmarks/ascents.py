"""What latent ascents make of degraded training crops: images for a quality model to be hardened with.

    python benchmarks/ascents.py PHOTOS OUT --config configs/dlmap/tiny_obelm.yaml --count 800
    lightning fit --config configs/mslique/tiny.yaml --data.folder PHOTOS ... \\
        --data.outputs OUT/outputs --data.output_originals OUT/clean

Crops are drawn and degraded as in training. Every batch climbs a random number of steps, at most as many as the
configuration says, and does not stop at a target: a model has to know the whole way. OUT/clean and OUT/outputs receive
images of the same names; those that exist are not made again, and ``--first`` shares the work among processes.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from figure1 import load
from numpy.random import default_rng

from dlmap import enhance
from dlmap.images import save_png
from mslique import list_images
from mslique.dataset import DegradedCrops

BATCH = 8


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/dlmap/tiny.yaml"), help="default: %(default)s")
    parser.add_argument("--count", type=int, default=800, help="crops to make (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--size", type=int, default=96, help="side of the crops in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: %(default)s)")
    options = parser.parse_args(args)
    model = load(options.config)
    crops = DegradedCrops(list_images(options.photos), 1, options.size, options.seed, vary=True, second_order=0.3)
    for first in range(options.first, options.first + options.count, BATCH):
        numbers = range(first, min(first + BATCH, options.first + options.count))
        results = [options.out / "outputs" / f"{number}.png" for number in numbers]
        if all(path.is_file() for path in results):
            continue
        made = [crops.crop(number) for number in numbers]
        images = torch.stack([crop.images[0] for crop in made]).float() / 255
        steps = int(default_rng((options.seed, first)).integers(1, model.ascent.iterations + 1))
        ascent = replace(model.ascent, iterations=steps, target=float("inf"), keep="last")
        ascended = enhance(images, model.prior, model.objective, ascent)
        for path, crop, result in zip(results, made, ascended, strict=True):
            save_png(crop.original.float() / 255, options.out / "clean" / path.name)
            save_png(result.image, path)
        sys.stderr.write(f"{numbers.stop}: {steps} steps\n")


if __name__ == "__main__":
    main()
