"""Three ways to enhance with a quality model, side by side: direct ascent, pixel MAP, latent MAP, at several weights.

    python benchmarks/figure1.py PHOTO... OUT.png [--config configs/dlmap/figure1.yaml] [--weights 1000 100 20]

A row of OUT.png is a photograph, a column a problem: maximise Q - w D. Direct ascent is w = 0 on pixels. Under each
picture stand Q (0 to 100, optimised), the score of a witness (1 to 5, an MS-LIQE of another seed, not optimised) and D.
OUT.md receives the means over the photographs; single pictures go to the folder OUT. Small photographs are quick.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dlmap import Ascent, enhance
from dlmap.run.configuration import load_enhancer
from dlmap.run.module import MAPEnhancer
from dlmap.run.pictures import save_png, to_pillow
from mslique import MSLIQE, read_image

CELL, FOOT, HEAD = 256, 44, 28


@dataclass(frozen=True)
class Cell:
    """One picture (3, H, W) in [0, 1] with its scores; change: RMS difference to the input, in 8-bit levels."""

    image: Tensor
    quality: float
    witness: float
    fidelity: float
    change: float


def main(args: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(args)
    model = load_enhancer(options.config)
    witness = MSLIQE.from_pretrained(options.witness).eval()
    pixel = Ascent(
        iterations=options.pixel_iterations,
        step_size=options.pixel_step,
        target=model.stages[-1].target,
        domain="pixel",
    )
    rows = []
    for path in options.photos:
        image = read_image(path)
        row = {"input": measured(image, image, model, witness)}
        for name, weight, ascent in problems(options.weights, pixel, model.stages[-1]):
            model.objective.fidelity_weight = weight
            (result,) = enhance(image[None], model.prior, model.objective, ascent)
            row[name] = measured(result.image, image, model, witness)
            save_png(result.image, options.output.with_suffix("") / name.replace(" ", "-") / f"{path.stem}.png")
            sys.stderr.write(f"{path.name}, {name}: {caption(row[name])}\n")
        rows.append(row)
    draw(rows).save(options.output, optimize=True)
    summary = table(rows)
    options.output.with_suffix(".md").write_text(summary)
    sys.stdout.write(summary)
    return 0


def problems(weights: Sequence[float], pixel: Ascent, latent: Ascent) -> list[tuple[str, float, Ascent]]:
    """Name, fidelity weight and ascent of every column after the input."""
    return [
        ("direct ascent", 0.0, pixel),
        *((f"pixel MAP w={weight:g}", weight, pixel) for weight in weights),
        *((f"latent MAP w={weight:g}", weight, latent) for weight in weights),
    ]


@torch.no_grad()
def measured(image: Tensor, original: Tensor, model: MAPEnhancer, witness: MSLIQE) -> Cell:
    terms = model.objective(image[None], original[None])
    change = 255 * (image - original).square().mean().sqrt().item()
    return Cell(image, terms.quality.item(), witness(image[None]).item(), terms.fidelity.item(), change)


def caption(cell: Cell) -> str:
    return f"Q {cell.quality:.1f}  witness {cell.witness:.2f}  D {cell.fidelity:.4f}"


def draw(rows: list[dict[str, Cell]]) -> Image.Image:
    """A sheet with a title over each column and the scores under each picture."""
    names = list(rows[0])
    sheet = Image.new("RGB", (CELL * len(names), HEAD + (CELL + FOOT) * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, name in enumerate(names):
        pen.text((column * CELL + 6, 6), name, fill="black", font=font)
        for line, row in enumerate(rows):
            place = (column * CELL, HEAD + line * (CELL + FOOT))
            picture = to_pillow(row[name].image)
            zoom = (CELL - 4) / max(picture.size)
            size = (round(picture.width * zoom), round(picture.height * zoom))
            sheet.paste(picture.resize(size, Image.Resampling.NEAREST if zoom > 1 else Image.Resampling.LANCZOS), place)
            pen.text((place[0] + 6, place[1] + CELL + 6), caption(row[name]), fill="black", font=font)
    return sheet


def table(rows: list[dict[str, Cell]]) -> str:
    """Means over the photographs, and on how many the witness prefers the result to the input."""
    lines = [
        "| | Q, optimised | witness | witness better on | D | RMS change, levels |",
        "|---|---|---|---|---|---|",
    ]
    for name in rows[0]:
        cells = [row[name] for row in rows]
        keys = ("quality", "witness", "fidelity", "change")
        quality, witness, fidelity, change = (fmean(getattr(cell, key) for cell in cells) for key in keys)
        better = sum(row[name].witness > row["input"].witness for row in rows)
        votes = "" if name == "input" else f"{better} of {len(rows)}"
        lines.append(f"| {name} | {quality:.1f} | {witness:.2f} | {votes} | {fidelity:.4f} | {change:.1f} |")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("output", type=Path, metavar="OUT.png")
    parser.add_argument("--config", type=Path, default=Path("configs/dlmap/figure1.yaml"))
    parser.add_argument("--weights", type=float, nargs="+", default=[1000.0, 100.0, 20.0], help="fidelity weights w")
    parser.add_argument("--pixel-iterations", type=int, default=30, help="of direct ascent and pixel MAP")
    parser.add_argument("--pixel-step", type=float, default=2.0, help="step size there")
    parser.add_argument("--witness", default="data/mslique-witness")
    return parser


if __name__ == "__main__":
    sys.exit(main())
