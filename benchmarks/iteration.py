"""What does one iteration of the ascent cost, part by part, and how far is it from the least it could? Prints Markdown.

    python benchmarks/iteration.py [--network tiny|12m|sd15|sdxl] [--side 128] [--batches 1 2 4] [--tables parts floors]

The floor of an iteration is network calls x (2 forward + vjp) where activations are computed again in the backward pass
("checkpoint") and calls x (forward + vjp) where they are kept ("full"); forward and vjp, the product with the Jacobian
alone, are timed on the same network and batch. An iteration is the time between two evaluations of `dlmap.enhance`.
Common practice is re-told below: weights left trainable, guidance evaluated though its scale is 1, one image at a time,
float32 everywhere, the network called under torch.utils.checkpoint. All take turns; figures are medians of the rounds.
On a GPU the peak is that of PyTorch's allocator, on a CPU resident memory, of a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import DDIMScheduler, SchedulerMixin, UNet2DModel
from family_sizes import FAMILIES, make_vae, words
from memory import forget_peak, resident
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from dlmap import Ascent, DiffusionPrior, MAPObjective, PriorOptions, enhance
from dlmap.codec import Codec, Identity
from dlmap.conditioning import Condition
from dlmap.fidelity import NLPD
from dlmap.loading import load_model
from dlmap.networks import Network, make_network
from dlmap.options import TILE
from dlmap.pretrain.module import SCHEDULE
from dlmap.quality import MSLIQEQuality

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DATA = Path(__file__).parents[1] / "data"
SOLVERS = ("edict", "bdia", "obelm")
ARCHITECTURES = {"sd15": "SD 1.5", "sdxl": "SDXL"}
SMALL = {"layers_per_block": 1, "attention_head_dim": 8, "transformer_layers_per_block": 1}


def main() -> None:
    options = parse()
    if options.memory:
        print(measure_peak(options))
        return
    rounds = 1 if options.quick else 5
    torch.manual_seed(0)
    print(f"{options.network}, {options.side} x {options.side}, {options.steps} steps, {options.precision}, {DEVICE}\n")
    for name in options.tables:
        TABLES[name](options, rounds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("tiny", "12m", *ARCHITECTURES), default="tiny")
    parser.add_argument("--small", action="store_true", help="few channels in sd15 and sdxl: to see that all runs")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--peak-tflops", type=float, help="of the card in bf16, to print the share that is reached")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--quick", action="store_true", help="one round: to see that all runs")
    parser.add_argument("--memory", nargs=3, metavar=("GRADIENT", "SOLVER", "BATCH"), help=argparse.SUPPRESS)
    return parser.parse_args()


def make_prior(options: argparse.Namespace, solver: str = "edict", **changes: object) -> DiffusionPrior:
    """The embedded prior; a pixel-space U-Net of 12 million parameters; or the architecture of SD 1.5 or SDXL; all but
    the first at random. A tile holds the whole image."""
    torch.manual_seed(0)
    condition, codec = None, Identity()
    if options.network == "tiny":
        model = load_model(str(DATA / "ldm-tiny"))
        unet, scheduler = model.load_network(), model.scheduler
    elif options.network == "12m":
        scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)
        unet = UNet2DModel(
            in_channels=12,
            out_channels=12,
            block_out_channels=(64, 128, 224),
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            layers_per_block=2,
        )
    else:
        unet, codec, scheduler, condition = make_parts(ARCHITECTURES[options.network], options.small)
    given = {"num_steps": options.steps, "precision": options.precision, "spacing": "trailing", **changes}
    settings = PriorOptions(solver=solver, compile=options.compile, tile=max(TILE, options.side), **given)
    return DiffusionPrior(unet, codec, scheduler, settings, condition).to(DEVICE)


def make_parts(name: str, small: bool) -> tuple[Network, Codec, SchedulerMixin, Condition]:
    """Of a published model of family_sizes.py, at random weights, which are drawn on the device."""
    family = FAMILIES[name]
    network, vae = dict(family.options), dict(family.vae)
    if small:
        blocks = len(network.get("block_out_channels", range(4)))  # four: the default of diffusers
        network |= SMALL | {"block_out_channels": (64,) * blocks}
        vae |= {"block_out_channels": (32,) * 4, "layers_per_block": 1}
    with DEVICE:
        unet = make_network(family.kind(**network))
        autoencoder = make_vae(**vae)
        condition = words(unet, family.tokens)
    if DEVICE.type == "cuda":
        autoencoder = autoencoder.to(torch.bfloat16)
    return unet, Codec(autoencoder), family.scheduler, condition


def make_objective() -> MAPObjective:
    quality = MSLIQEQuality(str(DATA / "mslique-tiny"))
    return MAPObjective(quality, NLPD(levels=5, low=True), fidelity_weight=100.0).to(DEVICE)


def photographs(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)).to(DEVICE)


def now() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(function: Callable[[], object]) -> float:
    start = now()
    function()
    return now() - start


class Enough(Exception):
    """All is measured."""


def evaluations(images: Tensor, prior: DiffusionPrior, objective: MAPObjective, count: int = 2) -> list[float]:
    """Seconds from the start of ``enhance`` to each evaluation: the first, which inverts, and ``count`` more."""
    start, times = now(), []

    def progress(step: int, _: list[float]) -> None:
        times.append(now() - start)
        if step == count:  # what follows would not be measured, since the last evaluation has no gradient
            raise Enough

    with suppress(Enough):
        enhance(images, prior, objective, Ascent(iterations=count + 1, step_size=1.0, target=1e9), progress)
    return times


def iterations(images: Tensor, prior: DiffusionPrior, objective: MAPObjective, count: int = 2) -> float:
    """Median seconds between two evaluations of ``enhance``, the first of which sets up."""
    return statistics.median(b - a for a, b in pairwise(evaluations(images, prior, objective, count)))


def floor(prior: DiffusionPrior, latents: Tensor) -> dict[str, float]:
    """Median seconds of a call without a gradient, and of the product with its Jacobian alone."""
    forward, vjp = [], []
    for _ in range(5):
        with torch.no_grad():
            forward.append(seconds(lambda: prior.denoiser(latents, 1)))
        point = latents.detach().requires_grad_()
        product = partial(torch.autograd.grad, prior.denoiser(point, 1), point, latents)
        vjp.append(seconds(product))
    return {"forward": statistics.median(forward), "vjp": statistics.median(vjp)}


def calls(prior: DiffusionPrior) -> int:
    return sum(move.index is not None for move in prior.solver.moves)


def floors_table(options: argparse.Namespace, rounds: int) -> None:
    objective = make_objective()
    print("\n| batch | mode | s an iteration | s an image and iteration | times its floor |\n|---|---|---|---|---|")
    for batch in options.batches:
        priors = {mode: make_prior(options, gradient=mode) for mode in ("checkpoint", "full", "auto")}
        images, found = photographs(batch, options.side), defaultdict(list)
        latents = priors["full"].invert(images)[:, 0]
        for k in range(rounds + 1):
            before = floor(priors["full"], latents)
            for mode, prior in priors.items():
                taken = iterations(images, prior, objective)
                after = floor(priors["full"], latents)  # on both sides, since a machine's speed wanders
                forward, vjp = ((before[part] + after[part]) / 2 for part in ("forward", "vjp"))
                before, once = after, forward * (2 if mode == "checkpoint" else 1) + vjp
                if k:  # the first round warms up
                    found[mode].append((taken, taken / (calls(prior) * once)))
        for mode, values in found.items():
            taken, ratio = (statistics.median(column) for column in zip(*values, strict=True))
            print(f"| {batch} | {mode} | {taken:.3g} | {taken / batch:.3g} | {ratio:.2f} |", flush=True)
        if options.peak_tflops:
            share(priors["full"], latents, statistics.median(v[0] for v in found["full"]), options.peak_tflops)


def operations(prior: DiffusionPrior, latents: Tensor) -> int:
    """Of forward and vjp of all calls, floating-point; what a backward pass computes again does not count."""
    counter = FlopCounterMode(display=False)
    point = latents.detach().requires_grad_()
    with counter:  # its hooks do not go with autograd.grad
        prior.denoiser(point, 1).backward(latents)
    return calls(prior) * counter.get_total_flops()


def share(prior: DiffusionPrior, latents: Tensor, taken: float, peak: float) -> None:
    """Print the part of the card's peak that forward and vjp of all calls make in the time of an iteration."""
    rate = operations(prior, latents) / taken / 1e12
    print(f"\nbatch {len(latents)}, full: {rate:.0f} TFLOP/s in the network, {rate / peak:.0%} of {peak:.0f}\n")


def parts_table(options: argparse.Namespace, rounds: int) -> None:
    """One iteration, part by part; the part outside the network is what remains of the whole."""
    prior, objective = make_prior(options, gradient="checkpoint"), make_objective()
    images = photographs(1, options.side)
    noise = prior.invert(images)
    found = defaultdict(list)
    for k in range(rounds + 1):
        spent = one_iteration(prior, objective, images, noise)
        for name, value in spent.items():
            if k:
                found[name].append(value)
    medians = {name: statistics.median(values) for name, values in found.items()}
    total = sum(medians.values())
    print("| part (EDICT, batch 1, checkpoint) | ms | share |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {1e3 * value:.1f} | {value / total:.1%} |")
    outside = total - medians["network, forward"] - medians["network, backward"]
    print(f"| everything outside the network | {1e3 * outside:.1f} | {outside / total:.1%} |", flush=True)


def one_iteration(prior: DiffusionPrior, objective: MAPObjective, images: Tensor, noise: Tensor) -> dict[str, float]:
    """Seconds of its parts; the network's own time apart from the solver's arithmetic on the pair."""
    spent: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        start = now()
        yield
        spent[name] = now() - start

    noise = torch.nn.Parameter(noise.clone())
    optimizer = torch.optim.SGD([noise], lr=1.0, momentum=0.9)
    with part("network, forward"):
        latents = prior.sample(noise)
    leaf = latents.detach().flatten(0, 1).requires_grad_()
    with part("codec, forward"):
        decoded = prior.decode(leaf)
    shown = decoded.detach().requires_grad_()
    with part("quality, forward"):
        quality = objective.quality(shown)
    with part("fidelity, forward"):
        fidelity = objective.fidelity(shown, images.repeat_interleave(len(shown) // len(images), dim=0))
    with part("quality, backward"):
        (slope,) = torch.autograd.grad(quality.sum(), shown)
    with part("fidelity, backward"):
        slope = slope - 100 * torch.autograd.grad(fidelity.sum(), shown)[0]
    with part("codec, backward"):
        (back,) = torch.autograd.grad(decoded, leaf, slope)
    with part("network, backward"):
        (noise.grad,) = torch.autograd.grad(latents, noise, back.view_as(latents))
    with part("clip and step"):
        torch.nn.utils.clip_grad_value_([noise], 1e-3)
        optimizer.step()
    return spent


def practice_table(options: argparse.Namespace, rounds: int) -> None:
    """Against common practice, which does one image at a time whatever the batch."""
    ours, plain, objective = make_prior(options), make_prior(options, precision="float32"), make_objective()
    practice = Practice(plain, make_objective())
    print("\n| batch | ours, s an image | common practice, s an image | ratio |\n|---|---|---|---|")
    for batch in options.batches:
        images, ratios = photographs(batch, options.side), []
        for k in range(rounds + 1):
            mine = iterations(images, ours, objective) / batch
            theirs = practice.iteration(images[:1])
            if k:
                ratios.append((mine, theirs, theirs / mine))
        print("| {} | {:.3g} | {:.3g} | {:.2f} |".format(batch, *map(statistics.median, zip(*ratios, strict=True))))


class Practice:
    """The plain re-telling: correct, and as such code is often written."""

    def __init__(self, prior: DiffusionPrior, objective: MAPObjective) -> None:
        self.prior, self.objective = prior, objective
        for module in (prior, objective):
            module.requires_grad_(True)

    def iteration(self, image: Tensor) -> float:
        noise = self.prior.invert(image).float().requires_grad_()
        optimizer = torch.optim.SGD([noise], lr=1.0, momentum=0.9)
        return seconds(lambda: self._step(noise, image, optimizer))

    def _step(self, noise: Tensor, image: Tensor, optimizer: torch.optim.Optimizer) -> None:
        pair = list(noise.unbind(dim=1))
        for move in self.prior.solver.moves:
            other = pair[1 - move.moved]
            moved = move.own * pair[move.moved] + move.other * other
            if move.index is not None:
                moved = moved + move.noise * checkpoint(self._guided, other, move.index, use_reentrant=False)
            pair[move.moved] = moved
        decoded = torch.cat([self.prior.decode(one) for one in pair])
        self.objective(decoded, image.expand_as(decoded)).value.sum().neg().backward()
        optimizer.step()
        for module in (self.prior, self.objective):
            module.zero_grad()

    def _guided(self, latents: Tensor, i: int) -> Tensor:
        without, given = self.prior.denoiser(torch.cat([latents, latents]), i).chunk(2)
        return without + 1.0 * (given - without)


def solver_table(options: argparse.Namespace, rounds: int) -> None:
    objective, images = make_objective(), photographs(1, options.side)
    priors = {solver: make_prior(options, solver) for solver in SOLVERS}
    found: dict[str, list[float]] = defaultdict(list)
    for k in range(rounds + 1):
        for solver, prior in priors.items():
            taken = iterations(images, prior, objective)
            if k:
                found[solver].append(taken)
    edict = found["edict"]
    print("\n| solver, equal steps | s an iteration | times faster than EDICT |\n|---|---|---|")
    for solver, values in found.items():
        faster = statistics.median(a / b for a, b in zip(edict, values, strict=True))
        print(f"| {solver} | {statistics.median(values):.3g} | {faster:.2f} |", flush=True)


def memory_table(options: argparse.Namespace, rounds: int) -> None:
    print("\n| mode | steps | batch | side | MB added at the peak of one iteration |\n|---|---|---|---|---|")
    cases = [("checkpoint", 5, 1, options.side), ("checkpoint", 50, 1, options.side), ("full", 5, 1, options.side)]
    cases += [
        ("full", 50, 1, options.side),
        ("checkpoint", 20, 4, options.side),
        ("checkpoint", 20, 1, 2 * options.side),
    ]
    for mode, steps, batch, side in cases:
        given = ["--network", options.network, "--precision", options.precision, "--steps", steps, "--side", side]
        command = [sys.executable, __file__, *map(str, given), "--memory", mode, "edict", str(batch)]
        peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
        print(f"| {mode} | {steps} | {batch} | {side} | {peak} |", flush=True)


def measure_peak(options: argparse.Namespace) -> int:
    """MB that one iteration adds to the loaded models at its peak; in a process of its own."""
    mode, solver, batch = options.memory
    prior, objective = make_prior(options, solver, gradient=mode), make_objective()
    images = photographs(int(batch), options.side)
    noise = prior.invert(images)  # what the first call of any size sets up is not counted
    forget_peak()
    before = resident("VmRSS")
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    one_iteration(prior, objective, images, noise)
    peak = torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else resident("VmHWM")
    return (peak - before) // 10**6


TABLES = {
    "parts": parts_table,
    "floors": floors_table,
    "practice": practice_table,
    "solvers": solver_table,
    "memory": memory_table,
}

if __name__ == "__main__":
    main()
