"""Does enhancement make degraded photographs better? A table over many images, against the clean originals.

    python benchmarks/restoration.py PHOTOS OUT [--config configs/dlmap/tiny.yaml] [--size 128] [OPTIONS OF predict]

From every photograph of PHOTOS a square is cut, shrunk, degraded by a random mixture (seeded by its position in the
folder), and enhanced by ``lightning predict``. OUT receives clean/, degraded/, enhanced/, table.csv and table.md. The
witness is an MS-LIQE trained with another seed, which the ascent does not see.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from dlmap.fidelity import NLPD
from dlmap.run.files import read_csv, write_csv
from dlmap.run.pictures import save_png
from mslique import MSLIQE, UserError, degrade, lightning_cli, list_images, read_image

Measure = Callable[[Tensor, Tensor], Tensor]
MEASURES: dict[str, Measure] = {
    "PSNR": lambda image, clean: peak_signal_noise_ratio(image, clean, data_range=1.0),
    "SSIM": lambda image, clean: structural_similarity_index_measure(image, clean, data_range=1.0),
    "NLPD": NLPD(6, low=False, luminance=True),
}
HIGHER_IS_BETTER = {"quality": True, "witness": True, "PSNR": True, "SSIM": True, "NLPD": False}
Row = dict[str, str | float]


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--config", default="configs/dlmap/tiny.yaml")
    parser.add_argument("--size", type=int, default=128, help="side of the squares (default: %(default)s)")
    parser.add_argument(
        "--scale", type=float, default=0.5, help="photos are shrunk by this first (default: %(default)s)"
    )
    parser.add_argument("--limit", type=int, help="use only the first photos")
    parser.add_argument("--witness", default="data/mslique-witness")
    options, rest = parser.parse_known_args(args)
    make_inputs(list_images(options.photos)[: options.limit], options.output, options.size, options.scale)
    status = enhance(options.output, options.config, *rest)
    if status:
        return status
    rows = compare(options.output, MSLIQE.from_pretrained(options.witness).eval())
    write_csv(options.output / "table.csv", list(rows[0]), [list(row.values()) for row in rows])
    summary = markdown(rows)
    (options.output / "table.md").write_text(summary)
    sys.stdout.write(summary)
    return 0


def make_inputs(photos: Sequence[Path], output: Path, size: int, scale: float) -> None:
    """Write the central square of every photo, clean and degraded, as OUT/clean/NAME.png and OUT/degraded/NAME.png.

    Raises:
        UserError: two photographs have the same name.
    """
    if len({path.stem for path in photos}) < len(photos):
        raise UserError("two of the photographs have the same name: rename one")
    for folder in ("clean", "degraded", "enhanced"):  # those of an earlier run may be of other photographs
        shutil.rmtree(output / folder, ignore_errors=True)
    for index, path in enumerate(photos):
        image = F.interpolate(read_image(path)[None], scale_factor=scale, mode="bicubic", antialias=True)[0].clamp(0, 1)
        clean = square(image, size)
        degraded, rng = clean, np.random.default_rng(index)
        while torch.equal(degraded, clean):  # the mixture leaves some images as they are
            degraded = degrade(clean, rng)
        save_png(clean, output / "clean" / f"{path.stem}.png")
        save_png(degraded, output / "degraded" / f"{path.stem}.png")


def square(image: Tensor, size: int) -> Tensor:
    """The central square of (3, H, W), of side ``size`` or the shorter side if that is less."""
    size = min(size, *image.shape[1:])
    top, left = ((side - size) // 2 for side in image.shape[1:])
    return image[:, top : top + size, left : left + size].contiguous()


def enhance(output: Path, config: str, *options: str) -> int:
    """``lightning predict`` from OUT/degraded to OUT/enhanced; returns its exit status."""
    folders = ["--data.folder", str(output / "degraded"), "--output", str(output / "enhanced")]
    return lightning_cli.main(["predict", "--config", config, *folders, *options])


def compare(output: Path, witness: MSLIQE) -> list[Row]:
    """A row an image: optimised quality, witness score and the distances to the clean original, before and after."""
    results = {row["file"]: row for row in read_csv(output / "enhanced" / "results.csv")}
    rows = []
    for name, result in results.items():
        clean, before, after = (read_image(output / kind / name)[None] for kind in ("clean", "degraded", "enhanced"))
        row: Row = {"file": name, "seconds": float(result["seconds"])}
        for when, image in (("before", before), ("after", after)):
            row[f"quality {when}"] = float(result[f"quality_{when}"])
            with torch.no_grad():
                row[f"witness {when}"] = witness(image).item()
            for measure, function in MEASURES.items():
                row[f"{measure} {when}"] = float(function(image, clean))
        rows.append(row)
    return rows


def markdown(rows: list[Row]) -> str:
    """Means before and after, and on how many images each figure became better."""
    lines = ["| | before | after | better on |", "|---|---|---|---|"]
    for name, higher in HIGHER_IS_BETTER.items():
        before, after = ([float(row[f"{name} {when}"]) for row in rows] for when in ("before", "after"))
        better = sum((b > a) == higher and a != b for a, b in zip(before, after, strict=True))
        lines.append(f"| {name} | {fmean(before):.4g} | {fmean(after):.4g} | {better} of {len(rows)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
