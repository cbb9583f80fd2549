"""A long run in one process: resident memory, open files and speed, from its 200th photograph to its last.

    python benchmarks/endurance.py [--photos 2000]

Photographs of 64 to 96 pixels of noise, the models that ship, 1 iteration. Linux alone (it reads /proc).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

FIRST = 200
OPTIONS = ["--model.ascent.iterations=1", "--data.batch_size=4"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    count = parser.parse_args().photos
    with tempfile.TemporaryDirectory() as folder:
        photos, output = Path(folder, "in"), Path(folder, "out")
        photos.mkdir()
        rng = np.random.default_rng(0)
        for k in range(count):
            Image.fromarray(rng.integers(0, 256, (64, 64 + 16 * (k % 3), 3), dtype=np.uint8)).save(photos / f"{k}.png")
        command = [Path(sys.executable).with_name("dlmap"), "enhance", photos, output, *OPTIONS]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        samples = list(_samples(process, output))
    done, memory, handles, when = np.array([sample for sample in samples if sample[0] >= FIRST]).T
    half = np.searchsorted(done, (done[0] + done[-1]) / 2)
    speeds = [(done[b] - done[a]) / (when[b] - when[a]) for a, b in ((0, half), (half, -1))]
    print(f"exit status {process.returncode}, {done[-1]:.0f} photographs seen done\n")
    print("| photographs | memory, mean MB | highest MB | highest, of the first row's |\n|---|---|---|---|")
    # within an iteration memory rises and falls: what may not grow are the mean and the highest of many
    first = memory[done < 2 * FIRST].max()
    rows = {f"{low} to {low + FIRST}": (done >= low) & (done < low + FIRST) for low in range(FIRST, count, FIRST)}
    rows["the end"] = done == done[-1]  # results.csv and report.html are written then
    for label, which in rows.items():
        window = memory[which]
        print(f"| {label} | {window.mean():.0f} | {window.max():.0f} | {window.max() / first - 1:+.1%} |")
    print(f"\nopen files: {handles.min():.0f} to {handles.max():.0f}")
    print(f"photographs a second: {speeds[0]:.2f} in the first half, {speeds[1]:.2f} in the second")


def _samples(process: "subprocess.Popen[bytes]", output: Path) -> "list[tuple[int, float, int, float]]":
    """Photographs done, resident MB, open files and time, five times a second until the process ends."""
    samples = []
    place = Path(f"/proc/{process.pid}")
    while process.poll() is None:
        try:
            pages, files = int((place / "statm").read_text().split()[1]), len(os.listdir(place / "fd"))
        except OSError:  # it has ended meanwhile
            break
        samples.append(
            (len(list(output.glob("*.png"))), pages * os.sysconf("SC_PAGESIZE") / 1e6, files, time.monotonic())
        )
        time.sleep(0.2)
    process.wait()
    return samples


if __name__ == "__main__":
    main()
