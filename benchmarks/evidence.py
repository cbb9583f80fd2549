"""What the methods do to photographs, told by models that none of them optimises. Writes tables and pictures.

    python benchmarks/evidence.py KODAK24 REAL TRAINING OUT [--configs CONFIG...] [--limit N] [--part K N] [--quick]

Inputs: of every photograph of KODAK24 a square of 128 pixels at half size, under eight mixtures of degradations, chosen
before any result was seen, under a random mixture of those of training, and undamaged; the square of 128 pixels with
the finest texture at a quarter of its size, oversharpened and undamaged; and the central square of at most 192 pixels
of every photograph of REAL, as it is. Methods: unsharp mask, non-local means and BM3D with an estimate
of the noise, direct ascent, pixel MAP, and the configurations, of which the first decides the objective on pixels. The
judges (see judges.py) are a witness, NIQE fitted to the photographs of TRAINING, PIQE and BRISQUE.

The ascents on pixels take fine steps, so that each can be compared with a configuration's result where it has just
reached the same optimised score, and where it has gone as far (root-mean-square) from the input.

OUT/rows receives a file an input; run again, the command goes on where it was ended, unless the configuration or a
model has changed. OUT/images receives the pictures, OUT/tables.md the tables, OUT/pictures.png best, median and worst.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bm3d
import numpy as np
import torch
import torch.nn.functional as F
from evidence_tables import write_tables
from judges import Distance, Measure, color_shift, distances, judges, scores
from PIL import ImageFilter
from restoration import square
from scipy import ndimage
from skimage.restoration import denoise_nl_means
from torch import Tensor, nn

from dlmap import Ascent, MAPObjective, enhance
from dlmap.objective import Terms
from dlmap.run.configuration import load_enhancer
from dlmap.run.files import write_bytes
from dlmap.run.fingerprint import module_digest
from dlmap.run.module import MAPEnhancer
from dlmap.run.pictures import save_png, to_pillow
from mslique import degrade, degrade_by, list_images, read_image

SIZE, SIZE_OF_REAL, BATCH = 128, 192, 4
MIXTURES: dict[str, tuple[tuple[str, float], ...]] = {
    "blur": (("gaussian_blur", 0.3),),
    "noise": (("shot_noise", 0.5),),
    "jpeg": (("jpeg", 0.7),),
    "blur, noise": (("gaussian_blur", 0.2), ("gaussian_noise", 0.2)),
    "rescale, jpeg": (("rescale", 0.3), ("jpeg", 0.4)),
    "exposure, noise": (("exposure", 0.6), ("shot_noise", 0.4)),
    "motion, jpeg2000": (("motion_blur", 0.2), ("jpeg2000", 0.3)),
    "rescale, oversharpening": (("rescale", 0.2), ("oversharpening", 0.3)),
}
CONFIGS = ("configs/dlmap/tiny.yaml", "configs/dlmap/published_tiny.yaml")
SOLVERS = {"EDICT": "EDICT", "BDIA": "BDIA", "OBELM": "O-BELM"}
RANDOM, UNDAMAGED = "random", "undamaged"
FINE, FINE_UNDAMAGED = "fine, oversharpened", "fine, undamaged"
ON_PIXELS = {"direct ascent": False, "pixel MAP": True}  # with the fidelity term?
PIXEL_STEPS = Ascent(iterations=16, step_size=0.75, target=1e9, domain="pixel")


@dataclass(frozen=True)
class Input:
    """A photograph (3, H, W) in [0, 1] to be enhanced, and its clean original if there is one."""

    group: str
    photo: str
    image: Tensor
    clean: Tensor | None = None


@dataclass(frozen=True)
class Result:
    """What an ascent returns: an image (3, H, W), its quality and drift (see Trace), after how many steps it ended."""

    image: Tensor
    quality: float
    drift: float
    steps: int


@dataclass(frozen=True)
class Trace:
    """Of one image, per evaluation: images (N, 3, H, W), quality (N,), value (N,), drift (N,) in 8-bit levels."""

    images: Tensor
    quality: Tensor
    value: Tensor
    drift: Tensor

    def final(self, target: float) -> int:
        """What `enhance` returns: the best up to the first that reaches the target."""
        reached = (self.quality >= target).nonzero()
        end = len(self.quality) if len(reached) == 0 else int(reached[0]) + 1
        return int(self.value[:end].argmax())

    def result(self, target: float) -> Result:
        k = self.final(target)
        return Result(self.images[k], self.quality[k].item(), self.drift[k].item(), k)

    def at_score(self, quality: float) -> int | None:
        reached = (self.quality >= quality).nonzero()
        return int(reached[0]) if len(reached) else None

    def at_drift(self, drift: float) -> int:
        """The last before it first went further."""
        beyond = (self.drift > drift).nonzero()
        return (int(beyond[0]) if len(beyond) else len(self.drift)) - 1


class Recorder(nn.Module):
    """The objective without its critic, keeping what was evaluated."""

    critic = None

    def __init__(self, objective: MAPObjective) -> None:
        super().__init__()
        self.objective = objective
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, images: Tensor, reference: Tensor) -> Terms:
        terms: Terms = self.objective(images, reference)
        kept = images.detach().clone()  # a single image may be a view of its state, which moves on
        self.seen.append((kept, terms.quality.detach(), terms.value.detach()))
        return terms


def traced(images: Tensor, objective: MAPObjective, ascent: Ascent) -> list[Trace]:
    """All iterations of an ascent on the pixels of every image (B, 3, H, W); no target ends it."""
    recorder = Recorder(objective)
    enhance(images, None, recorder, ascent)
    pictures, quality, value = (torch.stack(column, dim=1) for column in zip(*recorder.seen, strict=True))
    drift = 255 * (pictures - images[:, None]).square().flatten(2).mean(dim=2).sqrt()
    return [Trace(*row) for row in zip(*(part.cpu() for part in (pictures, quality, value, drift)), strict=True)]


def ascended(images: Tensor, model: MAPEnhancer) -> list[Result]:
    """Of every image (B, 3, H, W) what the model makes of it."""
    results = enhance(images, model.prior, model.objective, model.stages)
    pictures = torch.stack([one.image for one in results])
    with torch.no_grad():
        quality = model.objective.quality(pictures.to(images)).tolist()
    drift = (255 * (pictures - images.cpu()).square().flatten(1).mean(dim=1).sqrt()).tolist()
    return [Result(r.image, q, d, r.iterations) for r, q, d in zip(results, quality, drift, strict=True)]


def main(args: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(args)
    part, parts = options.part
    if not 1 <= part <= parts:
        parser.error(f"--part {part} {parts}: K is from 1 to N")
    study = Evidence(options)
    if options.quick:
        groups = [*kodak(options.kodak24, 2, 2), *real(options.real, 1)]
    else:
        groups = [*kodak(options.kodak24, options.limit), *real(options.real, options.limit)]
    groups = groups[part - 1 :: parts]
    for number, group in enumerate(groups, 1):
        start = time.monotonic()
        study.run(group)
        sys.stderr.write(f"{number} of {len(groups)} groups, {time.monotonic() - start:.0f} s\n")
    if parts == 1:
        sys.stdout.write(write_tables(options.output))
    return 0


class Evidence:
    """Every method on every input, judged.

    ``models`` are those of the configurations, by the name of the method.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.output, self.device, self.models = options.output, torch.device(options.device), {}
        for config in options.configs:
            model = load_enhancer(config).to(self.device)
            kinds = {"bands": "bands", "latent": f"latent MAP, {SOLVERS[type(model.prior.solver).__name__]}"}
            name = ", then ".join(kinds[stage.domain] for stage in model.stages)
            self.models[name if name not in self.models else f"{name} ({config.stem})"] = model
        first = next(iter(self.models.values()))
        self.objective, self.target = first.objective, first.stages[0].target
        training = list_images(options.training)[: 2 if options.quick else None]
        self.judges: dict[str, Measure] = judges(options.witness, training)
        self.distances: dict[str, Distance] = distances()
        self.steps = replace(PIXEL_STEPS, iterations=2) if options.quick else PIXEL_STEPS
        self.key = self._key(options.configs)

    def _key(self, configs: list[Path]) -> str:
        texts = [config.read_text() for config in configs]
        digest = module_digest(nn.ModuleList([*self.models.values(), self.judges["witness"]]), texts)
        return f"{digest[:16]} {self.steps.iterations} of {self.steps.step_size}"

    def run(self, inputs: list[Input]) -> None:
        """Enhance and judge those of equal size that are not done yet."""
        inputs = [one for one in inputs if not self._done(one)]
        if not inputs:
            return
        images = torch.stack([one.image for one in inputs]).to(self.device)
        traces = {name: self._pixel(images, faithful) for name, faithful in ON_PIXELS.items()}
        latent, seconds = {}, {}
        for name, model in self.models.items():
            start = time.monotonic()
            latent[name] = ascended(images, model)
            seconds[name] = (time.monotonic() - start) / len(inputs)
        for k, one in enumerate(inputs):
            of_one = ({name: values[k] for name, values in kind.items()} for kind in (traces, latent))
            rows = list(self._rows(one, *of_one, seconds))
            text = json.dumps({"key": self.key, "rows": rows}, indent=1)
            write_bytes(self._path(one), text.encode())

    def _done(self, one: Input) -> bool:
        path = self._path(one)
        return path.is_file() and json.loads(path.read_text())["key"] == self.key

    def _path(self, one: Input) -> Path:
        return self.output / "rows" / one.group / f"{one.photo}.json"

    def _pixel(self, images: Tensor, faithful: bool) -> list[Trace]:
        weight = self.objective.fidelity_weight
        self.objective.fidelity_weight = weight if faithful else 0.0
        try:
            return traced(images, self.objective, self.steps)
        finally:
            self.objective.fidelity_weight = weight

    def _rows(
        self, one: Input, traces: dict[str, Trace], latent: dict[str, Result], seconds: dict[str, float]
    ) -> Iterator[dict[str, Any]]:
        """Of the input, every method's result, and the ascents on pixels where they equal each latent result."""
        if one.clean is not None:
            yield self._row(one, "clean original", "final", one.clean)
        yield self._row(one, "unchanged", "final", one.image)
        for name, picture in baselines(one.image).items():
            yield self._row(one, name, "final", picture)
        for name, result in ({name: trace.result(self.target) for name, trace in traces.items()} | latent).items():
            more = {"seconds": seconds.get(name), "steps": result.steps}
            yield self._row(one, name, "final", result.image) | more
        for method, result in latent.items():
            for name, trace in traces.items():
                at = {"equal score": trace.at_score(result.quality), "equal drift": trace.at_drift(result.drift)}
                for kind, step in at.items():
                    if step is not None:
                        yield self._row(one, name, f"{kind}: {method}", trace.images[step])

    @torch.no_grad()
    def _row(self, one: Input, method: str, variant: str, image: Tensor) -> dict[str, Any]:
        """As it would be on disk, in 8 bits."""
        picture = (image.clamp(0, 1) * 255).round()[None] / 255
        if variant == "final":
            save_png(picture[0], self.output / "images" / method / one.group / f"{one.photo}.png")
        row: dict[str, Any] = {"group": one.group, "photo": one.photo, "method": method, "variant": variant}
        row["quality"] = self.objective.quality(picture.to(self.device)).item()
        row["drift"] = 255 * (picture[0] - one.image).square().mean().sqrt().item()
        row["colour"] = color_shift(picture[0], one.image)
        return row | scores(picture[0], one.clean, self.judges, self.distances)


def kodak(folder: Path, limit: int | None, mixtures: int | None = None) -> Iterator[list[Input]]:
    """Groups of at most BATCH inputs: an ascent of 4 takes up to 8 GB, so that two processes fit in 24."""
    photos = list_images(folder)[:limit]
    for name in list(MIXTURES)[:mixtures]:
        inputs = [degraded(path, index, name, SIZE) for index, path in enumerate(photos)]
        yield from (inputs[k : k + BATCH] for k in range(0, len(inputs), BATCH))
    for name, made in ((RANDOM, cut), (UNDAMAGED, cut), (FINE, finest), (FINE_UNDAMAGED, finest)):
        inputs = [made(path, index, name, SIZE) for index, path in enumerate(photos)]
        yield from (inputs[k : k + BATCH] for k in range(0, len(inputs), BATCH))


def degraded(path: Path, index: int, mixture: str, size: int) -> Input:
    """The central square of the photograph at half size under a mixture, its coins tossed by ``index``."""
    clean = _halved(path, size)
    image, rng = clean, np.random.default_rng((list(MIXTURES).index(mixture), index))
    for degradation, severity in MIXTURES[mixture]:
        image = degrade_by(degradation, image, severity, rng)
    return Input(mixture, path.stem, _8bit(image), clean)


def cut(path: Path, index: int, kind: str, size: int) -> Input:
    """The same square undamaged, or under a random mixture of the kinds of training, which leaves some as they are."""
    clean = image = _8bit(_halved(path, size))
    rng = np.random.default_rng((len(MIXTURES), index))
    while kind == RANDOM and torch.equal(image, clean):
        image = _8bit(degrade(clean, rng))
    return Input(kind, path.stem, image, clean)


def finest(path: Path, index: int, kind: str, size: int) -> Input:
    """Of the squares of the photograph at a quarter of its size, the one with the finest texture."""
    shrunk = _shrunk(path, 0.25)
    size = min(size, *shrunk.shape[1:])
    squares = shrunk.unfold(1, size, 16).unfold(2, size, 16).flatten(1, 2).transpose(0, 1)
    clean = image = _8bit(max(squares, key=lambda one: one.diff(dim=-1).abs().mean().item()))
    if kind == FINE:
        image = _8bit(degrade_by("oversharpening", clean, 0.5, np.random.default_rng(index)))
    return Input(kind, path.stem, image, clean)


def _halved(path: Path, size: int) -> Tensor:
    return square(_shrunk(path, 0.5), size)


def _shrunk(path: Path, factor: float) -> Tensor:
    return F.interpolate(read_image(path)[None], scale_factor=factor, mode="bicubic", antialias=True)[0].clamp(0, 1)


def real(folder: Path, limit: int | None) -> Iterator[list[Input]]:
    for path in list_images(folder)[:limit]:
        yield [Input("real", path.stem, _8bit(square(read_image(path), SIZE_OF_REAL)))]


def _8bit(image: Tensor) -> Tensor:
    return (image * 255).round().contiguous() / 255


def baselines(image: Tensor) -> dict[str, Tensor]:
    """Classical filters, (3, H, W) in [0, 1] -> the same."""
    sharp = to_pillow(image).filter(ImageFilter.UnsharpMask(radius=2, percent=100, threshold=0))
    sharpened = torch.from_numpy(np.asarray(sharp, np.float32) / 255).permute(2, 0, 1)
    return {"unsharp mask": sharpened, **denoised(image, noise_level(image.permute(1, 2, 0).numpy()))}


def denoised(image: Tensor, sigma: float) -> dict[str, Tensor]:
    """Classical denoisers that are told the noise, (3, H, W) in [0, 1] -> the same."""
    pixels = image.permute(1, 2, 0).numpy()
    quiet = denoise_nl_means(pixels, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, channel_axis=-1)
    grey = bool((pixels == pixels[..., :1]).all())  # bm3d_rgb divides by what colours differ
    denoise, given = (bm3d.bm3d, pixels[..., :1]) if grey else (bm3d.bm3d_rgb, pixels)
    matched = denoise(given.astype(np.float64), max(sigma, 0.1 / 255)).astype(np.float32)
    matched = np.broadcast_to(matched.reshape(given.shape), pixels.shape).copy()
    return {
        "non-local means": torch.from_numpy(quiet).permute(2, 0, 1),
        "BM3D": torch.from_numpy(matched).permute(2, 0, 1),
    }


def noise_level(pixels: np.ndarray) -> float:
    """Standard deviation of noise, by a kernel that edges hardly answer to (Immerkaer, CVIU 1996, eq. 1)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])[..., None]
    inner = ndimage.convolve(pixels, kernel)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(inner).mean())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("kodak24", "real", "training", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--configs", type=Path, nargs="+", default=[Path(name) for name in CONFIGS])
    parser.add_argument("--witness", default="data/mslique-witness")
    parser.add_argument("--device", default="cpu", help="of the ascents; the judges stay on the CPU")
    parser.add_argument("--limit", type=int, help="use only the first photographs of KODAK24 and of REAL")
    parser.add_argument(
        "--part",
        type=int,
        nargs=2,
        default=(1, 1),
        metavar=("K", "N"),
        help="do the K-th of N parts, so that N processes can share the work; afterwards run it without",
    )
    parser.add_argument("--quick", action="store_true", help="a few inputs: to see that all runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
