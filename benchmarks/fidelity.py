"""Does NLPD equal the authors' implementation? A table against official scores.

    python benchmarks/fidelity.py FOLDER

FOLDER holds dist_dir/ and ref_dir/ with images of the same names, and results_official.csv: a header
``Method,NAME,...`` and a row ``nlpd,SCORE,...``. Exit status 1 if a score differs by more than 1e-3.
"""

import argparse
import csv
import sys
from pathlib import Path

from dlmap.fidelity import NLPD
from mslique import read_image

TOLERANCE = 1e-3


def main(folder: Path) -> int:
    with (folder / "results_official.csv").open(newline="") as file:
        rows = {row["Method"]: row for row in csv.DictReader(file)}
    measure, worst = NLPD(6, low=False, luminance=True), 0.0
    sys.stdout.write("| image | official | ours | difference |\n|---|---|---|---|\n")
    for name in (name for name in rows["nlpd"] if name != "Method"):
        pair = [read_image(folder / kind / name)[None] for kind in ("dist_dir", "ref_dir")]
        official, score = float(rows["nlpd"][name]), measure(*pair).item()
        worst = max(worst, abs(score - official))
        sys.stdout.write(f"| {name} | {official:.5f} | {score:.5f} | {score - official:+.1e} |\n")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sys.exit(main(parser.parse_args().folder))
