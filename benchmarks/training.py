"""How fast is ``lightning fit``, and how long does it wait for photographs? Prints a Markdown table.

    python benchmarks/training.py [--size 1024x768] [--batch 8] [--steps 3] [--repeats 5] [--workers 0 1 2] [--tiny]

Trains as configs/mslique/liqe_mix.yaml does, from random weights on the CPU, on one data set: JPEGs made of
scikit-image's photographs in a temporary folder. Without and with the cache (``--data.cache``, filled before), which
take turns; files are in the memory of the system. The first step of every training is not counted. Waiting is the time
that the loop spends in the data loader's ``next()``. Figures are medians of the repeats. ``--tiny`` puts a network of
one small layer in ViT-B/32's place, so that the data loader takes most of the time. The second table is the processor
time of one image, which other work on the machine changes less: to read it, and to make its sample, reading included.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageOps
from torch import Tensor

from mslique import MultiScaleViews, list_images
from mslique.data.labelled_views import LabelledViews
from mslique.data.parts import Label
from mslique.io.photo_cache import PhotoCache, decoded
from mslique.lightning_cli import run

CONFIG = Path(__file__).parents[1] / "configs" / "mslique" / "liqe_mix.yaml"
SMALLER_SIDE = 768
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
TINY = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 32, "image_size": 224},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
WAIT, WORK = "[_TrainingEpochLoop].train_dataloader_next", "run_training_batch"
"""Lightning's names for its profiler."""


@dataclass(frozen=True)
class Speed:
    """Images a second, and the share of the time in which the loop waited for them."""

    images: float
    waiting: float


def main(args: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(args)
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "photos", Path(name) / "cache"
        make_photos(root, options.size, options.photos)
        keep = PhotoCache(cache, SMALLER_SIDE)
        for path in list_images(root):
            keep(path)
        found: dict[tuple[int, bool], list[Speed]] = {key: [] for key in product(options.workers, (False, True))}
        for _ in range(options.repeats):
            for (workers, cached), speeds in found.items():
                speeds.append(fit(root, options, workers, cache if cached else None))
        sys.stdout.write(table(found) + "\n| cache | reading, ms | sample, ms |\n|---|---|---|\n")
        for label, read in (("no", partial(decoded, smaller_side=SMALLER_SIDE)), ("yes", keep)):
            sys.stdout.write(f"| {label} | {' | '.join(f'{1000 * x:.3g}' for x in costs(root, read))} |\n")
    return 0


def make_photos(root: Path, size: str, count: int) -> None:
    """JPEGs with fine grain, and photos.csv with a score for each."""
    width, height = map(int, size.split("x"))
    root.mkdir()
    rows = ["image,score"]
    for number in range(count):
        photo = Image.fromarray(getattr(skimage.data, PHOTOS[number % len(PHOTOS)])())
        pixels = np.asarray(ImageOps.fit(photo, (width, height), Image.Resampling.BICUBIC), dtype=np.float32)
        pixels = pixels + np.random.default_rng(number).normal(0, 4, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{number}.jpg", quality=92)
        rows.append(f"{number}.jpg,{number}")
    (root / "photos.csv").write_text("\n".join(rows))


def fit(root: Path, options: argparse.Namespace, workers: int, cache: Path | None) -> Speed:
    """One training of ``options.steps`` steps and one more before them."""
    source = {"batch_size": options.batch, "folder": ".", "labels": "photos.csv", "format": "table"}
    command = [
        f"--config={CONFIG}",
        "--model.clip_weights=null",
        *([f"--model.model.backbone={json.dumps(TINY)}"] if options.tiny else []),
        f"--data.root={root}",
        f"--data.datasets={json.dumps({'photos': source})}",
        f"--data.steps_per_epoch={options.steps + 1}",
        f"--data.smaller_side={SMALLER_SIDE}",
        f"--data.num_workers={workers}",
        f"--data.cache={cache or 'null'}",
        "--trainer.max_epochs=1",
        "--trainer.limit_val_batches=0",
        "--trainer.accelerator=cpu",
        f"--output={root.parent / 'output'}",  # config.yaml, and the profiler's report
        "--trainer.profiler=lightning.pytorch.profilers.SimpleProfiler",
        "--trainer.profiler.filename=profile",
        "--trainer.callbacks=[]",
        "--trainer.logger=false",
        "--trainer.enable_checkpointing=false",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
    ]
    durations = run(["fit", *command]).trainer.profiler.recorded_durations  # type: ignore[attr-defined]
    waiting, working = (sum(durations[name][1 : options.steps + 1]) for name in (WAIT, WORK))
    return Speed(options.batch * options.steps / (waiting + working), waiting / (waiting + working))


def costs(root: Path, read: Callable[[Path], Tensor]) -> tuple[float, float]:
    """Median processor seconds of reading a photograph, and of its sample in training."""
    paths = list_images(root)
    views = MultiScaleViews(n_crops=3, rule="random")
    samples = LabelledViews(root, [Label(path.name, 0.0) for path in paths], read, views, 0, length=len(paths))
    found: tuple[list[float], list[float]] = ([], [])
    for number, path in enumerate(paths):
        for durations, function in zip(found, (partial(read, path), partial(samples.__getitem__, number)), strict=True):
            start = time.process_time()
            function()
            durations.append(time.process_time() - start)
    return statistics.median(found[0]), statistics.median(found[1])


def table(found: dict[tuple[int, bool], list[Speed]]) -> str:
    """A row for every number of workers, without and with the cache."""
    lines = ["| workers | cache | images a second | of the first row's | waiting |", "|---|---|---|---|---|"]
    medians = {key: statistics.median(speed.images for speed in speeds) for key, speeds in found.items()}
    first = next(iter(medians.values()))
    for (workers, cached), speeds in found.items():
        images, waiting = medians[workers, cached], statistics.median(speed.waiting for speed in speeds)
        cells = (str(workers), "yes" if cached else "no", f"{images:.3g}", f"{images / first:.2f}", f"{waiting:.1%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1024x768", help="of the photographs, in pixels (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=32, help="how many, at least 20 (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images in a batch (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="that are counted (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--tiny", action="store_true", help="a network that takes next to no time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
