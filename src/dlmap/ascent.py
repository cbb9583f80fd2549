"""Gradient ascent on the MAP objective, in the noise space of a diffusion prior or on pixels."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from mslique import UserError

from .domain import ColorFix, Domain, Latents, Pixels, repeated
from .objective import MAPObjective, Terms
from .options import PUBLISHED, Ascent, Enhanced
from .prior import DiffusionPrior

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
    """MAP enhancement: maximise the objective, starting exactly at the images.

    The images of a batch do not influence one another: an image stops alone, and one whose objective becomes NaN or
    infinite keeps what it has reached, with a warning and a note in its result. All images that the solver generates
    from one state are scored and their objectives summed, as in the authors' entry; the better one is the result
    [ours], since the sum can rise while one of them falls.

    Args:
        images: (B, 3, H, W) in [0, 1]; any size, padded by reflection for the prior and cropped back.
        prior: the diffusion model; None will do in the pixel domain.
        reference: (B, 3, H, W), what fidelity compares with; None: the images. For instance the photographs, where the
            images are the output of another enhancer. Colours are not fixed then, so that they can move towards it.

    Raises:
        RuntimeError: called under ``torch.inference_mode``, where no gradient exists.
        UserError: no prior in the latent domain, or a reference of another shape.
        NotInverted: the inversion does not lead back to the images.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("enhance() needs gradients, which torch.inference_mode() makes impossible: leave it")
    domain: Domain = Pixels() if ascent.domain == "pixel" else _latents(prior, ascent)
    if ascent.color_fix and reference is None:
        domain = ColorFix(domain, ascent.color_fix)
    reference = images if reference is None else reference
    if reference.shape != images.shape:
        shapes = f"{tuple(reference.shape)} and {tuple(images.shape)}"
        raise UserError(f"references and images must have the same shape, got {shapes}: resize the references")
    states = [nn.Parameter(state) for state in domain.start(images)]
    optimizer = _optimizer(states, ascent)
    results = [Enhanced(image.cpu()) for image in images]
    moving = list(range(len(images)))
    for iteration in range(ascent.iterations + 1):
        with torch.set_grad_enabled(iteration < ascent.iterations):
            candidates, terms = _evaluate(states, moving, reference, domain, objective)
        finite = terms.value.isfinite().all(dim=1).tolist()
        chosen, better = _better(candidates, terms)
        _record(results, moving, finite, chosen, better, ascent.keep)
        if progress is not None:
            progress(iteration, better.value.tolist())
        reached = (better.quality >= ascent.target).tolist()
        go_on = [ok and not done for ok, done in zip(finite, reached, strict=True)]
        if iteration == ascent.iterations or not any(go_on):
            break
        gain = terms.value[torch.tensor(go_on)].sum()
        del candidates, chosen, terms, better  # for a large photograph hundreds of megabytes
        gain.neg().backward()
        stopped = [k for k, stay in zip(moving, go_on, strict=True) if not stay]
        moving = [k for k in moving if k not in stopped]
        _release(states, stopped, optimizer)
        _step(states, moving, optimizer, domain, ascent)
    return results


def _latents(prior: DiffusionPrior | None, ascent: Ascent) -> Latents:
    if prior is None:
        raise UserError("the latent domain needs a prior: give one, or set ascent.domain to pixel")
    return Latents(prior, ascent.residual, ascent.noise_weight, ascent.renormalise, ascent.tied)


def _optimizer(states: list[nn.Parameter], ascent: Ascent) -> torch.optim.Optimizer:
    if ascent.optimizer == "adam":
        return torch.optim.Adam(states, lr=ascent.learning_rate, betas=(ascent.momentum, 0.999), foreach=False)
    return torch.optim.SGD(states, lr=ascent.learning_rate, momentum=ascent.momentum, foreach=False)


def _evaluate(
    states: list[nn.Parameter], rows: list[int], reference: Tensor, domain: Domain, objective: MAPObjective
) -> tuple[Tensor, Terms]:
    """Images (B, K, 3, H, W) of the states of ``rows``, and terms with (B, K) entries, K images from each state."""
    # a stack of one would be a copy, of some hundred megabytes for a large photograph
    stacked = torch.stack([states[k] for k in rows]) if len(rows) > 1 else states[rows[0]][None]
    images = domain.images(stacked, rows)
    shape = images.shape[:2]
    terms = objective(images.flatten(0, 1), repeated(reference, rows, shape[1]))
    value = terms.value.view(shape) - domain.penalty(stacked, rows)[:, None]
    return images, Terms(terms.quality.view(shape), terms.fidelity.view(shape), value)


def _better(images: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
    """Images (B, K, 3, H, W), terms (B, K) -> of each state the image with the higher objective, and its terms."""
    best = terms.value.argmax(dim=1)
    rows = torch.arange(len(best), device=best.device)
    chosen = Terms(terms.quality[rows, best], terms.fidelity[rows, best], terms.value[rows, best])
    return images[rows, best], chosen


def _record(
    results: list[Enhanced], moving: list[int], finite: list[bool], images: Tensor, terms: Terms, keep: str
) -> None:
    """Put image and values of every finite candidate into its result; warn of the others."""
    for row, k in enumerate(moving):
        if finite[row]:
            values = (terms.quality[row].item(), terms.fidelity[row].item(), terms.value[row].item())
            results[k] = results[k].after(images[row], *values, keep)
            continue
        seen = len(results[k].quality)
        kept = f"the {keep} image so far is kept" if seen else "the image is returned as it was given"
        note = f"the objective is not finite at step {seen}; {kept}"
        results[k] = replace(results[k], note=note)
        warnings.warn(f"image {k} of the batch: {note}", stacklevel=3)


def _release(states: list[nn.Parameter], stopped: list[int], optimizer: torch.optim.Optimizer) -> None:
    """Images that have stopped give back their gradient, without which the optimiser passes them over, and momentum."""
    for k in stopped:
        optimizer.state.pop(states[k], None)
        states[k].grad = None


def _step(
    states: list[nn.Parameter], moving: list[int], optimizer: torch.optim.Optimizer, domain: Domain, ascent: Ascent
) -> None:
    for k in moving:
        gradient = states[k].grad
        if ascent.tied and gradient is not None:
            gradient.copy_(gradient.sum(dim=0, keepdim=True).expand_as(gradient))
        if ascent.clip_algorithm == "norm":
            torch.nn.utils.clip_grad_norm_(states[k], ascent.clip * math.sqrt(states[k].numel()), foreach=False)
        else:
            torch.nn.utils.clip_grad_value_(states[k], ascent.clip, foreach=False)
    optimizer.step()
    optimizer.zero_grad()
    for k in moving:
        domain.project(states[k].data, k)
