"""Which options enhance best? Variants of a configuration on training photographs. Prints Markdown.

    python benchmarks/sweep.py OUT TRAINING... [--variants benchmarks/sweep.yaml] [--count 48] [--only NAME ...]

Inputs: squares of 128 pixels of photographs spread evenly over the folders TRAINING; two thirds are under the mixtures
of evidence.py in turn, the others under random mixtures of training or undamaged. Every variant changes what
benchmarks/sweep.yaml says in configs/dlmap/tiny.yaml and enhances all of them. Columns: means over the first part of
the changes from the input; then what the committee says of the other parts, in how many it likes the result better and
worse, and the labels of undamaged ones, 100 being untouched. OUT/NAME.json keeps what is done.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from evidence import BATCH, MIXTURES, Input, cut, degraded
from judges import distances, scores
from torch import nn

from dlmap import enhance
from dlmap.run.configuration import load_enhancer
from dlmap.run.files import write_bytes
from dlmap.run.fingerprint import module_digest
from dlmap.run.module import MAPEnhancer
from mslique import MSLIQE, list_images

BASE = Path("configs/dlmap/tiny.yaml")
SIZE = 128
KINDS = [*MIXTURES, "random", "undamaged", "random", *MIXTURES, "undamaged", "random", "undamaged", "random"]
MEASURES = ("witness", "PSNR", "SSIM", "FSIM", "colours", "committee")
Row = dict[str, Any]


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("photos", type=Path, nargs="+", metavar="TRAINING")
    parser.add_argument("--variants", type=Path, default=Path(__file__).with_name("sweep.yaml"))
    parser.add_argument("--count", type=int, default=48, help="photographs (default: %(default)s)")
    parser.add_argument("--only", nargs="+", help="names of variants (default: all)")
    parser.add_argument("--witness", default="data/mslique-witness")
    options = parser.parse_args(args)
    paths = [path for folder in options.photos for path in list_images(folder)]
    chosen = [paths[k * len(paths) // options.count] for k in range(options.count)]
    inputs = [made(path, index, KINDS[index % len(KINDS)]) for index, path in enumerate(chosen)]
    measures = {"witness": MSLIQE.from_pretrained(options.witness).eval()}, distances()
    variants: dict[str, dict[str, Any]] = yaml.safe_load(options.variants.read_text())
    heads = ["variant", "drift", *MEASURES, "better : worse", "worst mixture", "random", "b : w", "undamaged", "worst"]
    print(f"| {' | '.join(heads)} | s an image |\n{'|---' * (len(heads) + 1)}|")
    for name, changes in variants.items():
        if options.only and name not in options.only:
            continue
        path = options.output / f"{name}.json"
        model = variant(changes, path.with_suffix(".yaml"))
        judged = nn.ModuleList([model, measures[0]["witness"]])
        key = module_digest(judged, [changes, [(one.photo, one.group) for one in inputs], BASE.read_text()])
        if not path.is_file() or json.loads(path.read_text())["key"] != key:
            rows = tried(model, inputs, *measures)
            write_bytes(path, json.dumps({"key": key, "rows": rows}).encode())
        print(line(name, json.loads(path.read_text())["rows"]), flush=True)
    return 0


def made(path: Path, index: int, kind: str) -> Input:
    return degraded(path, index, kind, SIZE) if kind in MIXTURES else cut(path, index, kind, SIZE)


def variant(changes: dict[str, Any], written: Path) -> MAPEnhancer:
    """The model with these changes; ``written`` gets its configuration."""
    config = yaml.safe_load(BASE.read_text())
    merge(config["model"]["init_args"], changes)
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(yaml.safe_dump(config))
    return load_enhancer(written)


def tried(model: MAPEnhancer, inputs: Sequence[Input], *measures: Any) -> list[Row]:
    """For every input the changes of all measures, its group, drift and seconds."""
    rows = []
    for k in range(0, len(inputs), BATCH):
        batch = inputs[k : k + BATCH]
        start = time.monotonic()
        results = enhance(torch.stack([one.image for one in batch]), model.prior, model.objective, model.stages)
        seconds = (time.monotonic() - start) / len(batch)
        for one, result in zip(batch, results, strict=True):
            image = result.image.mul(255).round() / 255
            before, after = (scores(picture, one.clean, *measures) for picture in (one.image, image))
            row: Row = {name: after[name] - before[name] for name in MEASURES}
            row |= {"group": one.group, "seconds": seconds, "label": after["committee"]}
            rows.append(row | {"drift": 255 * (image - one.image).square().mean().sqrt().item()})
    return rows


def merge(arguments: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put the changes of a variant into the arguments of the model; a part that names its class is replaced.

    A list stands in place of a part; "default" in it is that part as it was.
    """
    for part, given in copy.deepcopy(changes).items():
        if isinstance(given, list):
            arguments[part] = [arguments[part] if one == "default" else one for one in given]
            continue
        where = arguments[part].get("init_args", arguments[part])
        for name, value in given.items():
            inside = where.get(name)
            if isinstance(value, dict) and isinstance(inside, dict) and "class_path" not in value:
                inside.get("init_args", inside).update(value)
            else:
                where[name] = value


def line(name: str, rows: Sequence[Row]) -> str:
    parts = {kind: [row for row in rows if row["group"] == kind] for kind in ("random", "undamaged")}
    common = sorted((row for row in rows if row["group"] in MIXTURES), key=lambda row: row["group"])
    groups = [fmean(row["committee"] for row in some) for _, some in groupby(common, lambda row: row["group"])]
    labels = [row["label"] for row in parts["undamaged"]]
    cells = [
        f"{fmean(row['drift'] for row in common):.2f}",
        *(f"{fmean(row[measure] for row in common):+.3g}" for measure in MEASURES),
        votes(common),
        f"{min(groups):+.2f}",
        f"{fmean(row['committee'] for row in parts['random']):+.2f}",
        votes(parts["random"]),
        f"{fmean(labels):.2f}",
        f"{min(labels):.1f}",
        f"{fmean(row['seconds'] for row in rows):.2f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def votes(rows: Sequence[Row]) -> str:
    """How many the committee likes better and worse than the input."""
    change = [row["committee"] for row in rows]
    return f"{sum(one > 0 for one in change)} : {sum(one < 0 for one in change)}"


if __name__ == "__main__":
    sys.exit(main())
