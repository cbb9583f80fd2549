"""``make demo``: photographs that ship with scikit-image, some degraded and some as they are, enhanced.

Writes to the folder given: clean/, degraded/ (the inputs), enhanced/ (results.csv too), table.csv, before-after.png.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import skimage.data
import torch.nn.functional as F
from PIL import Image, ImageDraw
from restoration import compare, enhance
from torch import Tensor

from dlmap.images import save_png, to_pillow
from mslique import MSLIQE, degrade_by, read_image

SIZE = 160
CONFIG = "configs/dlmap/tiny.yaml"
# name: (top, left, side of the square that is shrunk to SIZE), degradations and their severities
PHOTOS: dict[str, tuple[tuple[int, int, int], tuple[tuple[str, float], ...]]] = {
    "astronaut": ((0, 64, 320), (("gaussian_blur", 0.15), ("gaussian_noise", 0.3))),
    "chelsea": ((10, 70, 280), (("jpeg", 0.9),)),
    "coffee": ((40, 120, 320), (("rescale", 0.3), ("jpeg", 0.75))),
    "rocket": ((60, 180, 320), (("shot_noise", 0.5), ("jpeg2000", 0.3))),
    "motorcycle": ((100, 180, 320), (("contrast", 0.6), ("gaussian_noise", 0.2))),
    "astronaut-as-is": ((150, 0, 320), ()),
    "coffee-as-is": ((60, 260, 320), ()),
}


def main(output: Path) -> int:
    for name, (square, degradations) in PHOTOS.items():
        clean = photograph(name.removesuffix("-as-is"), *square)
        degraded, rng = clean, np.random.default_rng(0)
        for degradation, severity in degradations:
            degraded = degrade_by(degradation, degraded, severity, rng)
        save_png(clean, output / "clean" / f"{name}.png")
        save_png(degraded, output / "degraded" / f"{name}.png")
    status = enhance(output, CONFIG)
    if status:
        return status
    rows = compare(output, MSLIQE.from_pretrained("data/mslique-witness").eval())
    for row in rows:
        if str(row["file"]).endswith("-as-is.png"):  # there is no cleaner original to compare with
            row.update({key: "" for key in row if key.startswith(("PSNR", "SSIM", "NLPD"))})
    with (output / "table.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    sys.stdout.write(text_table(rows, output))
    draw_pairs(output, [str(row["file"]) for row in rows]).save(output / "before-after.png")
    sys.stdout.write(f"Pictures: {output / 'before-after.png'} and {output / 'enhanced'}\n")
    return 0


def photograph(name: str, top: int, left: int, side: int) -> Tensor:
    """A square of a photograph of scikit-image, shrunk to (3, SIZE, SIZE) in [0, 1]."""
    file = "motorcycle_left.png" if name == "motorcycle" else f"{name}.{'jpg' if name == 'rocket' else 'png'}"
    image = read_image(Path(skimage.data.__file__).parent / file)[:, top : top + side, left : left + side]
    return F.interpolate(image[None], (SIZE, SIZE), mode="bicubic", antialias=True)[0].clamp(0, 1)


def text_table(rows: list[dict[str, str | float]], output: Path) -> str:
    """Quality and witness of every image, fidelity to the input, PSNR and SSIM where there is a clean original."""
    with (output / "enhanced" / "results.csv").open() as file:
        fidelity = {row["file"]: float(row["fidelity"]) for row in csv.DictReader(file)}
    columns = ("quality", "witness", "PSNR", "SSIM")
    lines = [f"{'before -> after':20}" + "".join(f"{name:>19}" for name in columns) + f"{'fidelity':>10}"]
    for row in rows:
        pairs = ((row[f"{name} before"], row[f"{name} after"]) for name in columns)
        cells = (f"{before:.4g} -> {after:.4g}" if before != "" else "" for before, after in pairs)
        distance = fidelity[str(row["file"])]
        lines.append(f"{row['file']:20}" + "".join(f"{cell:>19}" for cell in cells) + f"{distance:>10.4f}")
    return (
        "\n".join(lines)
        + "\nquality: 0 to 100, optimised; witness: 1 to 5, not optimised; fidelity: NLPD_low to input\n"
    )


def draw_pairs(output: Path, names: list[str], zoom: int = 2) -> Image.Image:
    """Inputs in the upper row, results below, each pixel drawn ``zoom`` times."""
    side, head = SIZE * zoom, 24
    sheet = Image.new("RGB", (side * len(names), 2 * (side + head)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(names):
        for row, kind in enumerate(("degraded", "enhanced")):
            picture = to_pillow(read_image(output / kind / name)).resize((side, side), Image.Resampling.NEAREST)
            place = (column * side, row * (side + head))
            title = "enhanced" if row else f"input: {name.removesuffix('.png')}"
            pen.text((place[0] + 6, place[1] + 6), title, fill="black")
            sheet.paste(picture, (place[0], place[1] + head))
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=Path("demo"), help="default: %(default)s")
    sys.exit(main(parser.parse_args().output))
