"""Which options of latent MAP do the photographs best? A row a variant and number of iterations. Prints Markdown.

    python benchmarks/sweep.py TRAINING OUT [--variants benchmarks/sweep.yaml] [--count 16] [--size 96] [--only NAME...]

Meant for training photographs: those that a result is reported on must not choose its options. Photograph k is degraded
by mixture k modulo 8 of evidence.py. A variant changes options of configs/dlmap/tiny.yaml: "prior", "ascent" and
"objective" hold theirs, "objective" those of the quality model under "quality". Every variant is one ascent without a
target, all of whose iterations are judged as in evidence.py; the rows "Q 70" are those of a target of 70. OUT/NAME.json
keeps what is done.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml
from evidence import BATCH, MIXTURES, Input, Trace, degraded, traced
from figure1 import load
from judges import Distance, Measure, distances, judges, scores

from dlmap.images import write_bytes
from mslique import list_images

BASE = Path("configs/dlmap/tiny.yaml")
TARGETS = (60.0, 70.0, 80.0)
LEVELS = ("quality", "witness", "NIQE", "PIQE", "SSIM", "FSIM", "NLPD", "committee")


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="TRAINING")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("--variants", type=Path, default=Path(__file__).with_name("sweep.yaml"))
    parser.add_argument("--count", type=int, default=16, help="photographs (default: %(default)s)")
    parser.add_argument("--size", type=int, default=96, help="side of the squares (default: %(default)s)")
    parser.add_argument("--only", nargs="+", help="names of variants (default: all)")
    parser.add_argument("--witness", default="data/mslique-witness")
    options = parser.parse_args(args)
    paths = list_images(options.photos)
    inputs = [
        degraded(path, index, list(MIXTURES)[index % len(MIXTURES)], options.size)
        for index, path in enumerate(paths[: options.count])
    ]
    measures = judges(options.witness, paths), distances()
    variants: dict[str, dict[str, Any]] = yaml.safe_load(options.variants.read_text())
    print(f"| variant | iteration | drift | {' | '.join(LEVELS)} | SSIM up | s an image |")
    print("|---" * (len(LEVELS) + 5) + "|")
    for name, changes in variants.items():
        if options.only and name not in options.only:
            continue
        path = options.output / f"{name}.json"
        key = {
            "changes": changes,
            "count": len(inputs),
            "size": options.size,
            "base": BASE.read_text(),
            "levels": list(LEVELS),
        }
        if not path.is_file() or json.loads(path.read_text())["key"] != key:
            rows, seconds = tried(changes, inputs, options.output, *measures)
            write_bytes(path, json.dumps({"key": key, "rows": rows, "seconds": seconds}).encode())
        print(table(name, **json.loads(path.read_text())), flush=True)
    return 0


def tried(
    changes: dict[str, Any],
    inputs: Sequence[Input],
    output: Path,
    of_images: dict[str, Measure],
    to_clean: dict[str, Distance],
) -> tuple[list[list[dict[str, float]]], float]:
    """For every input a row of scores an iteration; and the seconds of an image."""
    config = yaml.safe_load(BASE.read_text())
    merge(config["model"]["init_args"], changes)
    output.mkdir(parents=True, exist_ok=True)
    written = output / "config.yaml"
    written.write_text(yaml.safe_dump(config))
    model = load(written)
    start, traces = time.monotonic(), []
    for k in range(0, len(inputs), BATCH):
        images = torch.stack([one.image for one in inputs[k : k + BATCH]])
        traces += traced(images, model.prior, model.objective, model.stages)
    seconds = (time.monotonic() - start) / len(inputs)
    rows = [judged(one, trace, of_images, to_clean) for one, trace in zip(inputs, traces, strict=True)]
    return rows, seconds


@torch.no_grad()
def judged(
    one: Input, trace: Trace, of_images: dict[str, Measure], to_clean: dict[str, Distance]
) -> list[dict[str, float]]:
    """A row an iteration."""
    start = ({"quality": q.item(), "drift": d.item()} for q, d in zip(trace.quality, trace.drift, strict=True))
    return [row | scores(image, one.clean, of_images, to_clean) for row, image in zip(start, trace.images, strict=True)]


def merge(arguments: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put the changes of a variant into the arguments of the model."""
    for part, given in copy.deepcopy(changes).items():
        where = arguments[part]
        where = where.get("init_args", where)
        if "quality" in given:
            where["quality"]["init_args"] |= given.pop("quality")
        where |= given


def table(name: str, rows: list[list[dict[str, float]]], seconds: float, key: object) -> str:
    """Means over the images, as changes from the input: after every iteration, and stopped at targets of quality."""
    count = len(rows[0]) - 1
    ends = {str(k): [k] * len(rows) for k in range(1, count + 1)}
    ends |= {f"Q {target}": [reached(row, target) for row in rows] for target in TARGETS}
    lines = []
    for label, chosen in ends.items():
        pairs = [(row[0], row[k]) for row, k in zip(rows, chosen, strict=True)]
        change = [fmean(after[level] - before[level] for before, after in pairs) for level in LEVELS]
        cells = " | ".join(f"{value:+.3g}" for value in change)
        drift, up = fmean(after["drift"] for _, after in pairs), sum(b["SSIM"] < a["SSIM"] for b, a in pairs)
        per_image = f"{seconds * fmean(chosen) / count:.2f}"
        lines.append(f"| {name} | {label} | {drift:.2f} | {cells} | {up} of {len(rows)} | {per_image} |")
    return "\n".join(lines)


def reached(row: list[dict[str, float]], target: float) -> int:
    """The first iteration at which the quality is reached, else the last."""
    return next((k for k, after in enumerate(row) if after["quality"] >= target), len(row) - 1)


if __name__ == "__main__":
    sys.exit(main())
