"""Gradient ascent on the MAP objective, in one stage or in several."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mslique import UserError

from .domain import Domain, make_domain, repeated
from .enhanced import Enhanced
from .objective import MAPObjective, Terms
from .options import PUBLISHED, Ascent
from .prior import DiffusionPrior
from .steps import ClippedMomentum, Steps, TrustRegion

Progress = Callable[[int, list[float]], None]
"""Called after every evaluation with the number of steps taken and the objective of each image still moving."""


@torch.enable_grad()
def enhance(
    images: Tensor,
    prior: DiffusionPrior | None,
    objective: MAPObjective,
    ascent: Ascent | Sequence[Ascent] = PUBLISHED,
    progress: Progress | None = None,
    reference: Tensor | None = None,
) -> list[Enhanced]:
    """MAP enhancement: maximise the objective, starting exactly at the images.

    The images of a batch do not influence one another. Each image stops on its own. If its objective becomes NaN or
    infinite, it keeps what it has reached, with a warning and a note in its result. All images that the solver
    generates from one state are scored, and their objectives are summed, as in the authors' entry. The better one is
    the result [ours], since the sum can rise while one of them falls.

    Args:
        images: (B, 3, H, W) in [0, 1]; any size, padded by reflection for the prior and cropped back.
        prior: the diffusion model. The pixel domain needs none.
        ascent: options, or a list of them. Each ascent starts from the images that the one before returned.
        reference: (B, 3, H, W), what fidelity compares with; None: the images, in all stages. If the images are the
            output of another enhancer, give the photographs. Colours are then not fixed, so that they can move towards
            the reference.

    Raises:
        RuntimeError: called under ``torch.inference_mode``, where no gradient exists.
        UserError: the domain is unknown or needs a prior, no ascent is given, the objective's critic was trained for
            other bands, or the reference has another shape.
        NotInverted: the inversion does not lead back to the images.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("enhance() needs gradients, which torch.inference_mode() makes impossible: leave it")
    target = images if reference is None else reference
    if target.shape != images.shape:
        shapes = f"{tuple(target.shape)} and {tuple(images.shape)}"
        raise UserError(f"references and images must have the same shape, got {shapes}: resize the references")
    stages = [ascent] if isinstance(ascent, Ascent) else list(ascent)
    if not stages:
        raise UserError("the list of ascents is empty: give one at least")
    results: list[Enhanced] = []
    for number, stage in enumerate(stages):
        if objective.critic is not None:
            objective.critic.check(stage)
        if number:
            images = torch.stack([one.image for one in results]).to(images)
        domain = make_domain(prior, stage, fixed=reference is None)
        found = _ascend(images, target, domain, objective, stage, progress)
        results = [one.then(two) for one, two in zip(results, found, strict=True)] if number else found
    return results


def _ascend(
    images: Tensor,
    reference: Tensor,
    domain: Domain,
    objective: MAPObjective,
    ascent: Ascent,
    progress: Progress | None,
) -> list[Enhanced]:
    """One stage."""
    states = [nn.Parameter(state) for state in domain.start(images)]
    statistics = domain.statistics() if objective.critic is not None else None
    at_start: Tensor  # the quality of the images as they were given
    steps = _steps(states, domain, ascent)
    results = [Enhanced(image.cpu()) for image in images]
    moving = list(range(len(images)))
    for iteration in range(ascent.iterations + 1):
        with torch.set_grad_enabled(iteration < ascent.iterations):
            candidates, terms = _evaluate(states, moving, reference, domain, objective)
            if objective.critic is not None and statistics is not None:
                if iteration == 0:
                    at_start = terms.quality[:, 0].detach()
                moved = torch.stack([states[k] for k in moving])
                change = objective.critic(statistics[moving], at_start[moving], moved)
                terms = replace(terms, value=terms.value + change[:, None])
        finite = terms.value.isfinite().all(dim=1).tolist()
        chosen, better = _better(candidates, terms)
        _record(results, moving, finite, chosen, better)
        if progress is not None:
            progress(iteration, better.value.tolist())
        enough = ascent.target if iteration else min(ascent.target, ascent.only_below)
        reached = (better.quality >= enough).tolist()
        go_on = [row for row, (ok, done) in enumerate(zip(finite, reached, strict=True)) if ok and not done]
        if iteration == ascent.iterations or not go_on:
            break
        going, values = [moving[row] for row in go_on], terms.value.detach()[go_on].sum(dim=1)
        known = zip(go_on, going, values.tolist(), strict=True)
        if rising := [row for row, k, value in known if steps.needs_gradient(k, value)]:
            terms.value[rising].sum().neg().backward()
        candidates = _rows(candidates.detach(), go_on)
        del chosen, terms, better  # for a large photograph hundreds of megabytes
        steps.release([k for k in moving if k not in going])
        moving = steps.move(going, values, candidates)
        steps.release([k for k in going if k not in moving])
        if not moving:
            break
    return [_kept(result, image, ascent) for result, image in zip(results, images, strict=True)]


def _steps(states: list[nn.Parameter], domain: Domain, ascent: Ascent) -> Steps:
    if ascent.radius is not None:
        return TrustRegion(states, domain, ascent.radius)
    return ClippedMomentum(states, domain, ascent.step_size, ascent.momentum, ascent.clip)


def _evaluate(
    states: list[nn.Parameter], rows: list[int], reference: Tensor, domain: Domain, objective: MAPObjective
) -> tuple[Tensor, Terms]:
    """Images (B, K, 3, H, W) of the states of ``rows``, and terms with (B, K) entries, K images from each state."""
    # a stack of one would be a copy, of some hundred megabytes for a large photograph
    stacked = torch.stack([states[k] for k in rows]) if len(rows) > 1 else states[rows[0]][None]
    images = domain.images(stacked, rows)
    shape = images.shape[:2]
    terms = objective(images.flatten(0, 1), repeated(reference, rows, shape[1]))
    return images, Terms(terms.quality.view(shape), terms.fidelity.view(shape), terms.value.view(shape))


def _rows(images: Tensor, rows: list[int]) -> Tensor:
    return images if len(rows) == len(images) else images[rows]


def _better(images: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
    """Images (B, K, 3, H, W), terms (B, K) -> of each state the image with the higher objective, and its terms."""
    best = terms.value.argmax(dim=1)
    rows = torch.arange(len(best), device=best.device)
    chosen = Terms(terms.quality[rows, best], terms.fidelity[rows, best], terms.value[rows, best])
    return images[rows, best], chosen


def _record(results: list[Enhanced], moving: list[int], finite: list[bool], images: Tensor, terms: Terms) -> None:
    """Put image and values of every finite candidate into its result; warn of the others."""
    for row, k in enumerate(moving):
        if finite[row]:
            values = (terms.quality[row].item(), terms.fidelity[row].item(), terms.value[row].item())
            results[k] = results[k].after(images[row], *values)
            continue
        seen = len(results[k].quality)
        kept = "the best image so far is kept" if seen else "the image is returned as it was given"
        note = f"the objective is not finite at step {seen}; {kept}"
        results[k] = results[k].noted(note)
        warnings.warn(f"image {k} of the batch: {note}", stacklevel=3)


def _kept(result: Enhanced, image: Tensor, ascent: Ascent) -> Enhanced:
    """The result with its number of evaluations. It holds the image as it was given, if the options say so."""
    result = replace(result, stages=(len(result.quality),))
    if not result.objective:
        return result
    left, gain = replace(result, image=image.cpu()), max(result.objective) - result.objective[0]
    if result.quality[0] >= ascent.only_below:
        return left.noted("left as it was: its quality is high already")
    if result.iterations and gain < ascent.margin:
        return left.noted(f"left as it was: {gain:.2g} points are less than the margin")
    return result
