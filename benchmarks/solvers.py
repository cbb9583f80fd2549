"""Which sampler to take: the objective that a second buys, and what it does to the photographs. Prints Markdown.

    python benchmarks/solvers.py PHOTOS OUT [--limit N] [--settings edict:20:1.0 obelm:20:0.5 ...] [OPTIONS OF predict]

Every setting SOLVER:STEPS:STEP_SIZE is one run of restoration.py with configs/dlmap/published_tiny.yaml, in
OUT/SETTING, on the same degraded crops and with the same number of iterations. EDICT calls the network
twice a step, BDIA and O-BELM once: so 20 steps of EDICT have an equal number of steps with 20, and of calls with 40, of
the others. Seconds are those of results.csv.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import restoration

from dlmap.run.files import read_csv

SETTINGS = (
    "edict:20:1.0",
    "edict:10:1.0",
    "bdia:20:1.0",
    "bdia:40:1.0",
    "obelm:20:1.0",
    "obelm:20:0.5",
    "obelm:40:1.0",
)
CALLS = {"edict": 2, "bdia": 1, "obelm": 1}
HEAD = (
    "setting",
    "calls",
    "s an image",
    "quality",
    "gain",
    "gain a second",
    "better on",
    "witness",
    "SSIM",
    "NLPD",
    "PSNR",
)


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--limit", type=int, help="use only the first photos")
    parser.add_argument("--settings", nargs="+", default=SETTINGS, metavar="SOLVER:STEPS:STEP_SIZE")
    parser.add_argument("--config", default="configs/dlmap/published_tiny.yaml", help="(default: %(default)s)")
    options, rest = parser.parse_known_args(args)
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for setting in options.settings:
        solver, steps, step_size = setting.split(":")
        folder = options.output / setting.replace(":", "-")
        limit = [] if options.limit is None else ["--limit", str(options.limit)]
        given = {"prior.solver": solver, "prior.num_steps": steps, "ascent.step_size": step_size}
        given["prior.spacing"] = "leading" if solver == "edict" else "trailing"
        overrides = [f"--model.{name}={value}" for name, value in given.items()]
        folders = [str(options.photos), str(folder)]
        status = restoration.main([*folders, "--config", options.config, *limit, *overrides, *rest])
        if status:
            return status
        calls = CALLS[solver] * int(steps)
        lines += row("before", folder, "before", 0) if len(lines) == 2 else []
        lines += row(setting.replace(":", ", "), folder, "after", calls)
    sys.stdout.write("\n".join(["", *lines, ""]))
    return 0


def row(label: str, folder: Path, when: str, calls: int) -> list[str]:
    table = read_csv(folder / "table.csv")

    def mean(measure: str, when: str = when) -> float:
        return fmean(float(line[f"{measure} {when}"]) for line in table)

    values = [f"{mean('quality'):.2f}", "", "", "", *(f"{mean(m):.4g}" for m in ("witness", "SSIM", "NLPD", "PSNR"))]
    seconds = fmean(float(line["seconds"]) for line in table)
    if calls:
        gain = mean("quality") - mean("quality", "before")
        better = sum(float(line["quality after"]) > float(line["quality before"]) for line in table)
        values[1:4] = [f"{gain:.2f}", f"{gain / seconds:.2f}", f"{better} of {len(table)}"]
    return [f"| {label} | {calls or ''} | {f'{seconds:.2f}' if calls else ''} | {' | '.join(values)} |"]


if __name__ == "__main__":
    sys.exit(main())
