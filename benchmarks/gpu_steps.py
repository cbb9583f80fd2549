"""The steps of gpu.py, each in a process of its own. What a step measures goes to standard output, a line of JSON each.

    python benchmarks/gpu_steps.py unpack|speed|prior|quality|evidence OUT --seconds LIMIT [...]

The exit status is 3 where more could be measured in another run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpu import ROOT, UNFINISHED, results

START = time.monotonic()
PRIOR = "data/ldm-tiny"
ITERATIONS, FEW, SOLVERS = 30, 3, ("edict", "obelm")
SIDES = {"sd15": 512, "sdxl": 1024}
MEASURES = ("committee", "PSNR", "SSIM")


def say(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def left(options: argparse.Namespace) -> float:
    """Seconds until the step's limit."""
    return float(options.seconds) - (time.monotonic() - START)


def unpack(options: argparse.Namespace) -> int:
    import gpu_samples

    say(**gpu_samples.unpack(options.samples, options.output / "photos"))
    return 0


def speed(options: argparse.Namespace) -> int:
    """Batches of 1, 2, 4, ... until memory or time ends; what an earlier run measured is not measured again."""
    import iteration
    import torch

    from dlmap.activations import is_out_of_memory

    side, steps = (64, 2) if options.small else (SIDES[options.network], 20)
    settings = argparse.Namespace(**vars(options) | {"side": side, "steps": steps, "precision": "bf16"})
    prior, objective = iteration.make_prior(settings, gradient="checkpoint"), iteration.make_objective()
    going, batch, known, took = list(SOLVERS), 1, measured(options), dict.fromkeys(SOLVERS, 0.0)
    while going and batch <= options.largest:
        for solver in tuple(going):
            figures = known.get((solver, batch))
            if figures is None:
                if 2 * took[solver] > left(options):
                    return UNFINISHED
                start = time.monotonic()
                try:
                    figures = row(settings, prior, objective, solver, batch)
                except (RuntimeError, MemoryError) as error:
                    full = is_out_of_memory(error)
                    if batch == 1 and not full:
                        raise
                    # some kernels refuse large tensors before memory ends
                    figures = {"largest": "out of memory" if full else str(error).splitlines()[0][:100]}
                torch.cuda.empty_cache()
                took[solver] = time.monotonic() - start
                say(network=options.network, compiled=options.compile, solver=solver, batch=batch, **figures)
            if "largest" in figures:
                going.remove(solver)
        batch *= 2
    return 0


def measured(options: argparse.Namespace) -> dict[tuple[str, int], dict[str, Any]]:
    """The figures that the step has in OUT/results.jsonl, by solver and batch."""
    rows = [line["figures"] for line in results(options.output) if "batch" in line.get("figures", ())]
    mine = [one for one in rows if (one["network"], one["compiled"]) == (options.network, options.compile)]
    return {(one["solver"], one["batch"]): one for one in mine}


def row(options: argparse.Namespace, prior: Any, objective: Any, solver: str, batch: int) -> dict[str, Any]:
    """One line of the table, in seconds and GB."""
    import iteration
    import torch
    from memory import forget_peak, resident

    from dlmap.solvers import make_solver

    prior.solver = make_solver(solver, prior.schedule)
    images, gpu = iteration.photographs(batch, options.side), iteration.DEVICE.type == "cuda"
    with torch.no_grad():
        latents = prior.encode(images).to(prior.coupling)
    with torch.compiler.set_stance("force_eager"):
        operations = batch * iteration.operations(prior, latents[:1])

    def begin() -> None:
        iteration.floor(prior, latents)
        if options.compile:  # an ascent needs compiled code that the floor does not
            iteration.evaluations(images, prior, objective, 1)

    warm_up = iteration.seconds(begin)
    parts = iteration.floor(prior, latents)
    floor = iteration.calls(prior) * (2 * parts["forward"] + parts["vjp"])
    count = FEW if floor < FEW and not options.small else 1
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        forget_peak()
    times = iteration.evaluations(images, prior, objective, count)
    taken = statistics.median(b - a for a, b in pairwise(times))
    return {
        "side": options.side,
        "steps": options.steps,
        "image": (times[0] + ITERATIONS * taken) / batch,
        "iteration": taken,
        "iterations": count,
        "warm_up": warm_up,
        "peak_gb": (torch.cuda.max_memory_allocated() if gpu else resident("VmHWM")) / 1e9,
        "floor": floor / taken,
        "tflops": operations / taken / 1e12,
        "of_peak": operations / taken / 1e12 / options.peak_tflops,
    }


def prior(options: argparse.Namespace) -> int:
    """Train the embedded prior on, from its own weights; the loss of v before and after, on squares of Kodak."""
    folder = options.output / "photos"
    steps, batch = (2, 4) if options.small else (4000, 32)
    common = ["--config=configs/dlmap/pretrain_tiny.yaml", f"--output={options.output / 'prior'}"]
    common += [f"--data.folder={folder / 'training'}", f"--data.val_folder={folder / 'kodak24'}"]
    common += [f"--data.batch_size={batch}", f"--data.samples={steps * batch}", "--model.learning_rate=2e-4"]
    common += [f"--data.num_workers={workers(options)}", "--trainer.val_check_interval=1.0", checkpoints(options)]
    train(options, common, "val/v_loss", [f"--model.initial={PRIOR}"], [f"--model.initial={options.output / 'prior'}"])
    return 0


def quality(options: argparse.Namespace) -> int:
    """Train the embedded quality model on, on prepared crops; SRCC before and after, on crops of Kodak."""
    os.environ["MSLIQE_CLASSES"] = "gpu_samples"
    batch, samples, epochs = (8, 16, 1) if options.small else (128, 12800, 10)
    common = ["--config=configs/mslique/tiny.yaml", f"--output={options.output / 'quality'}"]
    common += ["--data=gpu_samples.PreparedCrops", f"--data.folder={options.samples}", "--data.distinct_samples=null"]
    common += [f"--data.batch_size={batch}", f"--data.samples_per_epoch={samples}", f"--trainer.max_epochs={epochs}"]
    common += ["--model.learning_rate=1e-4", "--model.warmup_steps=50", "--model.model.n_crops=1"]
    common += [f"--trainer.precision={'bf16-mixed' if options.device == 'cuda' else '32-true'}"]
    train(options, common, "val_srcc", [], ["--ckpt_path=last"])
    return 0


def train(
    options: argparse.Namespace, common: Sequence[str], metric: str, first: Sequence[str], last: Sequence[str]
) -> None:
    """Validate, fit until the steps or most of the time are used, validate; a fit that was ended goes on."""
    from lightning.pytorch.callbacks import Timer

    from mslique.lightning_cli import run

    common = [*common, f"--trainer.accelerator={'gpu' if options.device == 'cuda' else 'cpu'}"]
    before = run(["validate", *common, *first]).trainer.callback_metrics[metric].item()
    seconds = max(1, round(left(options) - 0.15 * options.seconds))
    time_limit = f"--trainer.max_time=00:{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    cli = run(["fit", *common, *first, "--ckpt_path=last", time_limit])
    timer = next(callback for callback in cli.trainer.callbacks if isinstance(callback, Timer))
    steps, taken = cli.trainer.global_step, timer.time_elapsed("train")
    after = run(["validate", *common, *last]).trainer.callback_metrics[metric].item()
    images = steps * cli.datamodule.hparams["batch_size"] / taken
    say(metric=metric, before=before, after=after, steps=steps, training_seconds=taken, images_a_second=images)


def checkpoints(options: argparse.Namespace) -> str:
    """The callbacks of the prior's configuration, with checkpoints more often, and one where the training is ended."""
    saver = {"every_n_train_steps": 1 if options.small else 200, "save_last": True, "save_on_exception": True}
    callbacks = [("EMAWeightAveraging", {"decay": 0.999}), ("ModelCheckpoint", saver)]
    found = [{"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": args} for name, args in callbacks]
    return f"--trainer.callbacks={json.dumps(found)}"


def workers(options: argparse.Namespace) -> int:
    return 0 if options.small else min(12, (os.cpu_count() or 1) - 1)


def evidence(options: argparse.Namespace) -> int:
    """evidence.py on a few squares of Kodak and of real photographs, in several processes."""
    folder, parts = options.output / "photos", 1 if options.small else max(1, (os.cpu_count() or 1) // 2)
    command = [sys.executable, str(ROOT / "benchmarks/evidence.py")]
    command += [str(folder / name) for name in ("kodak24", "real", "training")] + [str(options.output / "evidence")]
    command += [f"--device={options.device}"]
    one_group = ["--quick", "--part", "1", "5", "--configs=configs/dlmap/tiny.yaml"]
    command += one_group if options.small else ["--limit=2"]
    if parts > 1:
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        shared = [[*command, "--part", str(k), str(parts)] for k in range(1, parts + 1)]
        running = [subprocess.Popen(one, stdout=sys.stderr, env=environment) for one in shared]
        for process in running:
            process.wait()
    subprocess.run(command, stdout=sys.stderr, check=True)  # what is done is not done again
    say(**changes(options.output / "evidence"))
    return 0


def changes(output: Path) -> dict[str, Any]:
    """Of every method the mean change from the degraded input, and the number of inputs."""
    from evidence import FINE, MIXTURES, RANDOM

    paths = sorted((output / "rows").glob("*/*.json"))
    rows = [one for path in paths for one in json.loads(path.read_text())["rows"] if one["variant"] == "final"]
    degraded = [one for one in rows if one["group"] in (*MIXTURES, RANDOM, FINE) and one["method"] != "clean original"]
    before = {(one["group"], one["photo"]): one for one in degraded if one["method"] == "unchanged"}
    found: dict[str, dict[str, float]] = {}
    for method in dict.fromkeys(one["method"] for one in degraded if one["method"] != "unchanged"):
        mine = [one for one in degraded if one["method"] == method]
        found[method] = {
            name: statistics.fmean(one[name] - before[one["group"], one["photo"]][name] for one in mine)
            for name in MEASURES
        }
    return {"inputs": len(paths), "degraded": len(before), "changes": found}


STEPS = {"unpack": unpack, "speed": speed, "prior": prior, "quality": quality, "evidence": evidence}


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--network", choices=SIDES)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--largest", type=int, default=1024, help="batch")
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args(args)
    return STEPS[options.step](options)


if __name__ == "__main__":
    sys.exit(main())
