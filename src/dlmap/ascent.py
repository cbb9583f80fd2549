"""Gradient ascent on the MAP objective in the noise space of a diffusion prior."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .objective import MAPObjective, Terms
from .prior import DiffusionPrior


@dataclass(frozen=True)
class Ascent:
    """Options of the ascent; the defaults are those of the authors' public challenge entry.

    Args:
        iterations: gradient steps at most; 0 returns the image as the prior reproduces it.
        step_size: learning rate of SGD on the noise, whose elements have unit variance.
        momentum: of SGD, 0 to less than 1.
        clip: bound on the magnitude of every element of the gradient.
        target: an image stops when its quality reaches this value, of 100.
    """

    iterations: int = 30
    step_size: float = 2.0
    momentum: float = 0.9
    clip: float = 1e-3
    target: float = 90.0


PUBLISHED = Ascent()


@dataclass(frozen=True)
class Enhanced:
    """Result for one image: (3, H, W) in [0, 1] on the CPU, and a value per evaluation, the starting point first.

    The image is that of the highest objective, so that an ascent that overshoots does no harm [ours].
    """

    image: Tensor
    quality: list[float] = field(default_factory=list)
    fidelity: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def iterations(self) -> int:
        return max(len(self.quality) - 1, 0)


Progress = Callable[[int, list[float]], None]
"""Called after every evaluation with the number of steps taken and the objective of each image still moving."""


@torch.enable_grad()
def enhance(
    images: Tensor,
    prior: DiffusionPrior | None,
    objective: MAPObjective,
    ascent: Ascent = PUBLISHED,
    progress: Progress | None = None,
    reference: Tensor | None = None,
) -> list[Enhanced]:
    """Diffusion-latent MAP: maximise the objective over the noise, from the inversion of the images.

    The images of a batch do not influence one another: an image stops alone, and one whose objective becomes NaN or
    infinite keeps what it has reached, with a warning. All images that the solver generates from one state are
    scored and their objectives summed, as in the authors' entry; the better one is the result [ours], since the sum can
    rise while one of them falls.

    Args:
        images: (B, 3, H, W) in [0, 1]; any size, padded by reflection for the prior and cropped back.
        reference: (B, 3, H, W), what fidelity compares with; None: the images.

    Raises:
        RuntimeError: called under ``torch.inference_mode``, where no gradient exists.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("enhance() needs gradients, which torch.inference_mode() makes impossible: leave it")
    if prior is None:
        raise ValueError("latent MAP needs a prior: give a DiffusionPrior")
    size, reference = images.shape[-2:], images if reference is None else reference
    noise = [torch.nn.Parameter(z) for z in prior.invert(pad(images, prior.multiple))]
    optimizer = torch.optim.SGD(noise, lr=ascent.step_size, momentum=ascent.momentum, maximize=True)
    results = [Enhanced(image.cpu()) for image in images]
    moving = list(range(len(images)))
    for iteration in range(ascent.iterations + 1):
        state = torch.stack([noise[k] for k in moving])
        candidates, terms = _evaluate(state, reference[moving], size, prior, objective)
        finite = terms.value.isfinite().all(dim=1).tolist()
        chosen, better = _better(candidates, terms)
        _record(results, moving, finite, chosen, better)
        reached = (better.quality >= ascent.target).tolist()
        if progress is not None:
            progress(iteration, better.value.tolist())
        if iteration == ascent.iterations:
            break
        go_on = [ok and not done for ok, done in zip(finite, reached, strict=True)]
        if not any(go_on):
            break
        optimizer.zero_grad()
        terms.value[torch.tensor(go_on)].sum().backward()
        moving = [k for k, stay in zip(moving, go_on, strict=True) if stay]
        _drop_unmoved(noise, moving)
        torch.nn.utils.clip_grad_value_([noise[k] for k in moving], ascent.clip)
        optimizer.step()
    return results


def pad(images: Tensor, multiple: int) -> Tensor:
    """Extend (B, 3, H, W) at the right and bottom to the next multiple: by reflection, if too small by its edge."""
    height, width = images.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, bottom), mode=mode)


def _evaluate(
    state: Tensor, reference: Tensor, size: torch.Size, prior: DiffusionPrior, objective: MAPObjective
) -> tuple[Tensor, Terms]:
    """Noise (B, 2, C, h, w) -> images (B, K, 3, H, W) and terms with (B, K) entries, K images from each state."""
    latents = prior.sample(state)
    count = latents.shape[1]
    images = prior.decode(latents.flatten(0, 1))[..., : size[0], : size[1]]
    terms = objective(images, reference.repeat_interleave(count, dim=0))
    shape = (len(state), count)
    pairs = Terms(terms.quality.view(shape), terms.fidelity.view(shape), terms.value.view(shape))
    return images.unflatten(0, shape), pairs


def _better(images: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
    """Images (B, K, 3, H, W), terms (B, K) -> of each state the image with the higher objective, and its terms."""
    best = terms.value.argmax(dim=1)
    rows = torch.arange(len(best), device=best.device)
    chosen = Terms(terms.quality[rows, best], terms.fidelity[rows, best], terms.value[rows, best])
    return images[rows, best], chosen


def _record(results: list[Enhanced], moving: list[int], finite: list[bool], images: Tensor, terms: Terms) -> None:
    """Put image and values of every finite candidate into its result; warn of the others."""
    for row, k in enumerate(moving):
        old = results[k]
        if not finite[row]:
            warnings.warn(
                f"image {k} of the batch: the objective is not finite after {len(old.quality)} evaluations;"
                " the best image so far is kept",
                stacklevel=3,
            )
            continue
        value = terms.value[row].item()
        best = not old.objective or value > max(old.objective)
        results[k] = Enhanced(
            images[row].detach().cpu() if best else old.image,
            [*old.quality, terms.quality[row].item()],
            [*old.fidelity, terms.fidelity[row].item()],
            [*old.objective, value],
        )


def _drop_unmoved(noise: list[torch.nn.Parameter], moving: list[int]) -> None:
    """Images that have stopped lose their (zero) gradient, so that momentum does not carry them on."""
    for k in set(range(len(noise))) - set(moving):
        noise[k].grad = None
