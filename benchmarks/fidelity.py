"""Does NLPD equal the authors' implementation? A table against official scores.

    python benchmarks/fidelity.py FOLDER

FOLDER holds dist_dir/ and ref_dir/ with images of the same names, and results_official.csv: a header
``Method,NAME,...`` and a row ``nlpd,SCORE,...``. The official scores are of 8-bit luma, as MATLAB's rgb2gray makes it
of 8-bit colours; with its rounding, which has no gradient and is no part of the measure, ours must be within 1e-3. Exit
status 1 if it is not.
"""

import csv
import sys
from pathlib import Path

import torch
from torch import Tensor

from dlmap.fidelity import NLPD
from mslique import read_image

TOLERANCE = 1e-3
RGB2GRAY = (0.2989, 0.5870, 0.1140)  # the weights in MATLAB's documentation, BT.601 to four digits


def main(folder: Path) -> int:
    with (folder / "results_official.csv").open(newline="") as file:
        rows = {row["Method"]: row for row in csv.DictReader(file)}
    measure, worst = NLPD(6, low=False, luminance=True), 0.0
    sys.stdout.write("| image | official | 8-bit luma | difference | luma not rounded |\n|---|---|---|---|---|\n")
    for name in (name for name in rows["nlpd"] if name != "Method"):
        pair = [read_image(folder / kind / name)[None] for kind in ("dist_dir", "ref_dir")]
        official, exact = float(rows["nlpd"][name]), measure(*pair).item()
        rounded = measure(*(luma(image) for image in pair)).item()
        worst = max(worst, abs(rounded - official))
        sys.stdout.write(f"| {name} | {official:.5f} | {rounded:.5f} | {rounded - official:+.1e} | {exact:.5f} |\n")
    return int(worst > TOLERANCE)


def luma(image: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> the luma of rgb2gray, rounded to 8 bits, in each of three channels."""
    grey = (image * torch.tensor(RGB2GRAY)[:, None, None]).sum(dim=1, keepdim=True)
    return (grey * 255).round().div(255).expand_as(image)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
