"""``make demo``: photographs of scikit-image, damaged as cameras and the web do it, or as they are, enhanced.

Writes to the folder given: clean/, degraded/ (the inputs), enhanced/ (with results.csv and report.html), table.csv and
before-after.png.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import skimage.data
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from restoration import compare, enhance
from torch import Tensor

from dlmap.run.files import read_csv, write_csv
from dlmap.run.pictures import save_png, to_pillow
from mslique import MSLIQE, degrade_by, read_image

SIZE, CELL, HEAD = 384, 288, 26
CONFIG = "configs/dlmap/tiny.yaml"
AS_IS = ("astronaut-as-is", "coffee-as-is", "clock-as-is")
"""No damage was added; that of the clock, moved while the shutter was open, is real."""
# name: (top, left, side of the square, shrunk to SIZE if it is larger), degradations and their severities
PHOTOS: dict[str, tuple[tuple[int, int, int], tuple[tuple[str, float], ...]]] = {
    "astronaut": ((0, 40, 384), (("shot_noise", 0.55),)),
    "coffee": ((0, 60, 400), (("gaussian_blur", 0.15), ("gaussian_noise", 0.15))),
    "rocket": ((0, 106, 427), (("exposure", 0.5), ("shot_noise", 0.5))),
    "chelsea": ((0, 75, 300), (("film_grain", 0.35),)),
    "motorcycle": ((90, 150, 400), (("gaussian_noise", 0.25), ("jpeg", 0.5))),
    "wheel": ((60, 361, 380), (("gaussian_blur", 0.4),)),
    "clock-as-is": ((0, 50, 300), ()),
    "astronaut-as-is": ((100, 40, 384), ()),
    "coffee-as-is": ((0, 200, 400), ()),
}
FILES = {
    "motorcycle": "motorcycle_left.png",
    "wheel": "motorcycle_right.png",
    "rocket": "rocket.jpg",
    "clock": "clock_motion.png",
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
        if str(row["file"]).removesuffix(".png") in AS_IS:  # there is no cleaner original to compare with
            row.update({key: "" for key in row if key.startswith(("PSNR", "SSIM", "NLPD"))})
    write_csv(output / "table.csv", list(rows[0]), [list(row.values()) for row in rows])
    sys.stdout.write(text_table(rows, output))
    draw_pairs(output, [name for name in PHOTOS if name not in AS_IS]).save(output / "before-after.png", optimize=True)
    sys.stdout.write(f"Before and after: {output / 'before-after.png'}\n")
    sys.stdout.write(f"With a slider, in a browser: {output / 'enhanced' / 'report.html'}\n")
    return 0


def photograph(name: str, top: int, left: int, side: int) -> Tensor:
    """A square of a photograph of scikit-image, (3, s, s) in [0, 1]; s is at most SIZE."""
    file = FILES.get(name, f"{name}.png")
    image = read_image(Path(skimage.data.__file__).parent / file)[:, top : top + side, left : left + side]
    size = (min(side, SIZE),) * 2
    return F.interpolate(image[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def text_table(rows: list[dict[str, str | float]], output: Path) -> str:
    """Quality and witness of every image, fidelity to the input, PSNR and SSIM where there is a clean original."""
    results = {row["file"]: row for row in read_csv(output / "enhanced" / "results.csv")}
    columns = ("quality", "witness", "PSNR", "SSIM")
    lines = [f"{'before -> after':20}" + "".join(f"{name:>19}" for name in columns) + f"{'fidelity':>10}{'s':>6}"]
    for row in rows:
        pairs = ((row[f"{name} before"], row[f"{name} after"]) for name in columns)
        cells = (f"{before:.4g} -> {after:.4g}" if before != "" else "" for before, after in pairs)
        result = results[str(row["file"])]
        more = f"{float(result['fidelity']):>10.4f}{float(result['seconds']):>6.1f}"
        lines.append(f"{row['file']:20}" + "".join(f"{cell:>19}" for cell in cells) + more)
    return (
        "\n".join(lines)
        + "\nquality: 0 to 100, optimised; witness: 1 to 5, not optimised; PSNR, SSIM: to the undamaged original;"
        "\nfidelity: distance (NLPD) to the input; s: seconds of computing\n"
    )


def draw_pairs(output: Path, names: list[str]) -> Image.Image:
    """Inputs in the upper row, results below: of each the middle, CELL pixels a side, as it is."""
    sheet = Image.new("RGB", (CELL * len(names), 2 * (CELL + HEAD)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for column, name in enumerate(names):
        for row, kind in enumerate(("degraded", "enhanced")):
            image = read_image(output / kind / f"{name}.png")
            top, left = ((side - CELL) // 2 for side in image.shape[1:])
            place = (column * CELL, row * (CELL + HEAD))
            title = "enhanced" if row else name.replace("-as-is", ", as it is")
            pen.text((place[0] + 6, place[1] + 4), title, fill="black", font=font)
            picture = to_pillow(image[:, top : top + CELL, left : left + CELL])
            sheet.paste(picture.crop((0, 0, CELL - 4, CELL)), (place[0], place[1] + HEAD))
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=Path("demo"), help="default: %(default)s")
    sys.exit(main(parser.parse_args().output))
