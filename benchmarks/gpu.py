"""Everything that waits for a GPU, in an order of worth, each step with its own limit of time, in 12 minutes.

    python benchmarks/gpu.py prepare KODAK24 REAL TRAINING...       before, on a CPU: makes runs/gpu-samples.npz
    python benchmarks/gpu.py run OUT [--device cpu --small]         on the GPU; `make gpu` with OUT = runs/gpu
    python benchmarks/gpu.py table OUT                              Markdown

The speed of an ascent with the architectures of SD 1.5 and SDXL; training of the prior and of the quality model from
their own weights; evidence.py on a few inputs. Every step is a process. When its limit is reached it receives SIGTERM,
and SIGKILL 15 seconds later. OUT/results.jsonl receives a line for each figure at once, and one for how the step ended;
OUT/logs what it said. The same command again leaves out the steps that are done and goes on with the others. Another
card or another commit needs another OUT. `run` and `table` need nothing but Python; the steps need the packages of
pyproject.toml, and src need not be installed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = Path("runs/gpu-samples.npz")
GRACE, LEAST = 15.0, 10.0
"""Seconds between SIGTERM and SIGKILL, and those with which no further step begins."""
UNFINISHED = 3
Line = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A process of gpu_steps.py; ``seconds``: its limit; ``photos``: whether it needs what the step "samples" makes."""

    name: str
    seconds: float
    args: tuple[str, ...]
    photos: bool = False


STEPS = (
    Step("samples", 20, ("unpack",)),
    Step("sd15", 70, ("speed", "--network=sd15")),
    Step("sdxl", 100, ("speed", "--network=sdxl")),
    Step("sd15 compiled", 140, ("speed", "--network=sd15", "--compile")),
    Step("prior", 140, ("prior",), photos=True),
    Step("quality", 140, ("quality",), photos=True),
    Step("evidence", 110, ("evidence",), photos=True),
)


def main(args: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(args)
    try:
        return int(options.command(options) or 0)
    except Refused as reason:
        sys.stderr.write(f"{reason}\n")
        return 2


class Refused(Exception):
    """A sentence for the user."""


def prepare(options: argparse.Namespace) -> None:
    sys.path.insert(0, str(ROOT / "src"))
    import gpu_samples

    from mslique import UserError

    try:
        gpu_samples.prepare(options)
    except UserError as reason:
        raise Refused(str(reason)) from reason


def run(options: argparse.Namespace) -> int:
    """All steps that are not done, then the tables; 1 if one of them is still not done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the step in progress ends too
    (options.output / "logs").mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"Python {sys.version.split()[0]}: {', '.join(installed())}\n")
    facts, end = check(options), time.monotonic() + 60 * options.minutes
    limits = {name: float(seconds) for name, seconds in options.limit}
    for step in STEPS:
        if step.name in done(options.output):
            sys.stdout.write(f"{step.name}: done before\n")
            continue
        seconds = min(limits.get(step.name, step.seconds), end - time.monotonic())
        if seconds < min(LEAST, limits.get(step.name, LEAST)):
            sys.stdout.write(f"{step.name}: no time is left; the same command goes on\n")
        elif step.photos and not (options.output / "photos").is_dir():
            append(options.output, facts | _ended(step, "failed", 0.0, "it needs what the step samples unpacks"))
        else:
            perform(step, seconds, options, facts)
    if results(options.output):
        table(options)
    missing = [step.name for step in STEPS if step.name not in done(options.output)]
    sys.stdout.write(f"not done: {', '.join(missing)}\n" if missing else "all is done\n")
    return int(bool(missing))


def installed() -> Iterator[str]:
    """The packages of pyproject.toml with their versions."""
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name = re.split(r"[\[<>=]", requirement)[0]
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is absent"


CARD = """
import json, torch
gpu = torch.cuda.is_available()
card = torch.cuda.get_device_name() if gpu else "cpu"
print(json.dumps({"card": card, "torch": torch.__version__}))
"""


def check(options: argparse.Namespace) -> Line:
    """What every line says of the machine.

    Raises:
        Refused: torch is absent, or sees no GPU where one is asked for.
    """
    found = subprocess.run([sys.executable, "-c", CARD], capture_output=True, text=True, env=environment(options))
    if found.returncode:
        raise Refused(f"torch cannot be imported ({found.stderr.strip().splitlines()[-1]}): install it with CUDA first")
    facts: Line = json.loads(found.stdout.splitlines()[-1])
    sys.stdout.write(f"{facts['card']}, torch {facts['torch']}\n")
    if options.device == "cuda" and facts["card"] == "cpu":
        raise Refused("torch sees no GPU: install torch with CUDA and a driver, or rehearse with --device cpu --small")
    describe = ["git", "describe", "--always", "--dirty"]
    with suppress(OSError):
        options.commit = options.commit or subprocess.run(describe, cwd=ROOT, capture_output=True, text=True).stdout
    return facts | {"commit": options.commit.strip() or "unknown"}


def environment(options: argparse.Namespace) -> dict[str, str]:
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    changed = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    changed["TORCHINDUCTOR_CACHE_DIR"] = str((options.output / "inductor").resolve())  # a compilation goes on too
    changed["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    if options.device == "cpu":
        changed["CUDA_VISIBLE_DEVICES"] = ""
    return os.environ | changed


def perform(step: Step, seconds: float, options: argparse.Namespace, facts: Line) -> None:
    """The step, for so many seconds at most; its lines go to the results as they come."""
    output, start = options.output, time.monotonic()
    name, *args = step.args
    args = [*args, f"--seconds={seconds:.0f}", f"--device={options.device}", f"--samples={options.samples.resolve()}"]
    args += [f"--peak-tflops={options.peak_tflops}", *(("--small", "--largest=2") if options.small else ())]
    command = [sys.executable, str(ROOT / "benchmarks/gpu_steps.py"), name, str(output.resolve()), *args]
    facts = facts | {"command": " ".join(["python benchmarks/gpu_steps.py", *map(str, [name, output, *args])])}
    log = output / "logs" / f"{step.name.replace(' ', '-')}.txt"
    sys.stdout.write(f"{step.name}: at most {seconds:.0f} s\n")
    sys.stdout.flush()
    with log.open("w") as said:
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": said, "text": True, "start_new_session": True}
        process = subprocess.Popen(command, cwd=ROOT, env=environment(options), **pipes)
    reader = threading.Thread(target=_collect, args=(process, step, output, facts, start))
    reader.start()
    ended = "interrupted"
    try:
        code = process.wait(seconds)
        ended = {0: "done", UNFINISHED: "limit"}.get(code, "failed")
    except subprocess.TimeoutExpired:
        ended = "limit"
    finally:
        _stop(process)
        reader.join()
        words = log.read_text(errors="replace").strip().splitlines()[-1:] if ended == "failed" else []
        append(output, facts | _ended(step, ended, time.monotonic() - start, *words))


def _collect(process: "subprocess.Popen[str]", step: Step, output: Path, facts: Line, start: float) -> None:
    for line in process.stdout or ():
        if line.startswith("{"):
            figures = {"step": step.name, "seconds": round(time.monotonic() - start, 1), "figures": json.loads(line)}
            append(output, facts | figures)


def _stop(process: "subprocess.Popen[str]") -> None:
    """The process, so that it can write a checkpoint; then all that it has started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ended(step: Step, ended: str, seconds: float, error: str = "") -> Line:
    found = {"step": step.name, "ended": ended, "seconds": round(seconds, 1)}
    return found | ({"error": error[:300]} if error else {})


def append(output: Path, line: Line) -> None:
    line = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), **line}
    with (output / "results.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    sys.stdout.write(f"{json.dumps(line.get('figures') or line)}\n")
    sys.stdout.flush()


def results(output: Path) -> list[Line]:
    path = output / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def done(output: Path) -> set[str]:
    return {line["step"] for line in results(output) if line.get("ended") == "done"}


def table(options: argparse.Namespace) -> None:
    """Print the tables.

    Raises:
        Refused: there is no result.
    """
    lines = results(options.output)
    if not lines:
        raise Refused(f"{options.output / 'results.jsonl'} is absent or empty: gpu.py run makes it")
    sys.stdout.write("\n".join([*speed_table(lines), *training_table(lines), *evidence_table(lines), *ends(lines)]))
    sys.stdout.write("\n")


def _head(*cells: str) -> list[str]:
    return ["", f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]


def _cells(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def speed_table(lines: Sequence[Line]) -> Iterator[str]:
    rows = [line for line in lines if "batch" in line.get("figures", ())]
    if not rows:
        return
    yield "bf16, activations computed again (checkpoint). An image: the inversion and 30 iterations, extrapolated from"
    yield "as many as were measured. The floor is the network calls alone. TFLOP/s are without what is computed again."
    columns = ("network", "pixels, steps", "compiled", "solver", "batch", "s an image", "s an iteration", "measured")
    yield from _head(*columns, "peak, GB", "floor", "TFLOP/s", "of the card", "warm-up, s", "card")
    for line in rows:
        f = line["figures"]
        first = (f["network"], f"{f.get('side', '')}, {f.get('steps', '')}", "yes" if f["compiled"] else "")
        if "largest" in f:  # the row ends here
            yield _cells(*first, f["solver"], f["batch"], f["largest"].replace("|", "/"), *[""] * 7, line["card"])
            continue
        times = (f"{f['image']:.3g}", f"{f['iteration']:.3g}", f["iterations"])
        shares = (f"{f['floor']:.0%}", f"{f['tflops']:.3g}", f"{f['of_peak']:.0%}", f"{f['warm_up']:.3g}")
        yield _cells(*first, f["solver"], f["batch"], *times, f"{f['peak_gb']:.3g}", *shares, line["card"])


def training_table(lines: Sequence[Line]) -> Iterator[str]:
    rows = [line for line in lines if "metric" in line.get("figures", ())]
    if rows:
        columns = ("training", "measure", "before", "after", "steps", "s of training", "images a second", "card")
        yield from _head(*columns)
    for line in rows:
        f = line["figures"]
        numbers = (f"{f['before']:.4g}", f"{f['after']:.4g}", f["steps"], f"{f['training_seconds']:.3g}")
        yield _cells(line["step"], f["metric"], *numbers, f"{f['images_a_second']:.3g}", line["card"])


def evidence_table(lines: Sequence[Line]) -> Iterator[str]:
    for line in (line for line in lines if "changes" in line.get("figures", ())):
        f = line["figures"]
        measures = list(next(iter(f["changes"].values())))
        yield from _head(f"change of {f['degraded']} degraded inputs", *measures)
        for method, values in f["changes"].items():
            yield _cells(method, *(f"{values[name]:+.3g}" for name in measures))


def ends(lines: Sequence[Line]) -> Iterator[str]:
    yield from _head("step", "ended", "s", "card", "torch", "commit", "date", "command")
    for line in (line for line in lines if "ended" in line):
        word = line["ended"] + (f": {line['error']}" if "error" in line else "")
        facts = (line[name] for name in ("card", "torch", "commit", "date"))
        yield _cells(line["step"], word.replace("|", "/"), line["seconds"], *facts, f"`{line.get('command', '')}`")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("prepare")
    one.set_defaults(command=prepare)
    one.add_argument("kodak24", type=Path, metavar="KODAK24", help="for the evidence, and to validate both trainings")
    one.add_argument("real", type=Path, metavar="REAL", help="photographs as they are, for the evidence")
    one.add_argument("training", type=Path, nargs="+", metavar="TRAINING")
    one.add_argument("--output", type=Path, default=SAMPLES)
    one.add_argument("--megabytes", type=float, default=25.0, help="of the file, at most (default: %(default)s)")
    one.add_argument("--crops", type=int, default=1000, help="to degrade, at most (default: %(default)s)")
    one = commands.add_parser("run")
    one.set_defaults(command=run)
    one.add_argument("output", type=Path, metavar="OUT")
    one.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    one.add_argument("--samples", type=Path, default=SAMPLES, help="what prepare made (default: %(default)s)")
    one.add_argument("--minutes", type=float, default=12.0, help="for all steps (default: %(default)s)")
    one.add_argument("--limit", nargs=2, action="append", default=[], metavar=("STEP", "SECONDS"))
    one.add_argument("--peak-tflops", type=float, default=989.0, help="of the card in bf16 (default: H100 SXM, H200)")
    one.add_argument("--commit", default="", help="where git cannot tell it")
    one.add_argument("--small", action="store_true", help="tiny networks and few steps: to see that all runs")
    one = commands.add_parser("table")
    one.set_defaults(command=table)
    one.add_argument("output", type=Path, metavar="OUT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
