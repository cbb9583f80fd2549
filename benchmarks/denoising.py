"""How well does a prior denoise? PSNR against the clean photographs, beside BM3D and non-local means.

    python benchmarks/denoising.py PHOTOS [--prior data/ldm-tiny ...] [--side 192] [--sigmas 5 10 15 25 50]

The central square of every photograph gets Gaussian noise of every sigma (in levels of 8 bits, not rounded and not
clipped, seeded by the photograph). All methods are told sigma. Prints Markdown: the means over the photographs, and on
how many the last prior is better than BM3D.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch
from evidence import denoised
from restoration import square
from torchmetrics.functional.image import peak_signal_noise_ratio
from tqdm import tqdm

from dlmap import DiffusionPrior
from mslique import list_images, read_image


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--prior", nargs="+", default=["data/ldm-tiny"])
    parser.add_argument("--side", type=int, default=192, help="of the squares in pixels (default: %(default)s)")
    parser.add_argument("--sigmas", type=float, nargs="+", default=[5.0, 10.0, 15.0, 25.0, 50.0])
    parser.add_argument("--limit", type=int, help="use only the first photographs")
    options = parser.parse_args(args)
    priors = {name: DiffusionPrior.from_pretrained(name, precision="auto") for name in options.prior}
    methods = ["noisy", "non-local means", "BM3D", *priors]
    print(f"| sigma | {' | '.join(methods)} | {methods[-1]} better than BM3D on |")
    print("|---" * (len(methods) + 2) + "|")
    paths = list_images(options.photos)[: options.limit]
    for sigma in options.sigmas:
        rows = []
        for index, path in enumerate(tqdm(paths, desc=f"sigma {sigma:g}", leave=False)):
            clean = square(read_image(path), options.side)
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(index))
            noisy = clean + noise * sigma / 255
            results = {"noisy": noisy, **denoised(noisy, sigma / 255)}
            with torch.no_grad():  # pixels in [0, 1] have half the scale of the prior's
                results |= {name: one.denoise(noisy[None], 2 * sigma / 255)[0] for name, one in priors.items()}
            rows.append([peak_signal_noise_ratio(results[name], clean, data_range=1.0).item() for name in methods])
        means = [f"{fmean(column):.2f}" for column in zip(*rows, strict=True)]
        better = sum(row[-1] > row[methods.index("BM3D")] for row in rows)
        print(f"| {sigma:g} | {' | '.join(means)} | {better} of {len(rows)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
