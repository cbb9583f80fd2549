"""What does a second process bring? Photographs a second of ``lightning predict`` with one process and with more.

    python benchmarks/scaling.py PHOTOS [--processes 1 2] [--photos 16] [--size 128] [--repeats 3] [OPTIONS OF predict]

Central squares of PHOTOS, enhanced with configs/dlmap/tiny.yaml, on CPUs unless the options say otherwise. Every run
has all cores of the machine: OMP_NUM_THREADS is their number divided by that of the processes. Starting the processes
and loading the models, which a long folder pays once, is measured by a run over as many photographs as there are
processes, and taken off. Prints Markdown; medians of the repeats, in which all take turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from restoration import square

from dlmap.run.pictures import save_png
from mslique import list_images, read_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options, rest = parser.parse_known_args()
    rates = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        for processes in options.processes:
            make_photos(options.folder, Path(name, f"start{processes}"), processes, options.size)
        make_photos(options.folder, Path(name, "all"), options.photos, options.size)
        for repeat in range(options.repeats):
            for processes in options.processes:
                runs = (
                    (Path(name, run), Path(name, f"{run}-{repeat}-{processes}")) for run in ("all", f"start{processes}")
                )
                whole, start = (predict(*folders, processes, rest) for folders in runs)
                rates[processes].append((options.photos - processes) / (whole - start))
    first = statistics.median(rates[options.processes[0]])
    print("| processes | photographs a second | of the first row's |\n|---|---|---|")
    for processes, values in rates.items():
        print(f"| {processes} | {statistics.median(values):.3g} | {statistics.median(values) / first:.2f} |")


def make_photos(folder: Path, output: Path, count: int, size: int) -> None:
    paths = list_images(folder)
    for k in range(count):
        save_png(square(read_image(paths[k % len(paths)]), size), output / f"{k}.png")


def predict(photos: Path, output: Path, processes: int, options: list[str]) -> float:
    """Seconds of a whole run."""
    given = ["--config", "configs/dlmap/tiny.yaml", "--data.folder", photos, "--output", output]
    given += ["--trainer.accelerator", "cpu", "--trainer.devices", processes, *options]
    command = [Path(sys.executable).with_name("lightning"), "predict", *map(str, given)]
    threads = max(1, (os.cpu_count() or 1) // processes)
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
