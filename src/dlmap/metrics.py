"""Quality and fidelity models of pyiqa by name: frozen, differentiable, one image at a time."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mslique import UserError, in_short, only_weights

from .activations import is_out_of_memory

PROBE_SIDE = 256
SEED = 0
KINDS = {"NR": "no-reference", "FR": "full-reference"}


class PyiqaMetric(nn.Module):
    """The raw score of a metric of pyiqa. Its weights are frozen; gradients flow to the images.

    Images are scored one by one, since the scores of some metrics depend on the batch, and with the same random numbers
    for each, since some metrics score random crops. Files are read with ``weights_only=True``.

    Args:
        name: pyiqa's name of the metric.
        mode: "NR" (no reference) or "FR" (full reference).
        options: of the metric, such as ``pretrained_model_path``: a local file with its weights.

    Raises:
        UserError: no such metric, its weights cannot be had, or it gives no gradient with respect to the image.
    """

    def __init__(self, name: str, mode: str, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.name = name
        _check_name(name, mode)
        self.metric = _create(name, options or {}).requires_grad_(False)
        self.lower_better = bool(self.metric.lower_better)
        clean, _ = probes()
        check_gradient(name, self if mode == "NR" else partial(self, reference=clean))

    def forward(self, images: Tensor, reference: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1], and references of the same shape if the metric has them -> raw scores (B,).

        Raises:
            UserError: the metric does not take images of this size.
        """
        batches = [images] if reference is None else [images, reference]
        rows = list(zip(*(batch.split(1) for batch in batches), strict=True))
        try:
            with _same_random_numbers(images.device):
                return torch.cat([self.metric(*row).reshape(1) for row in rows]).to(images.dtype)
        except (AssertionError, RuntimeError, ValueError) as reason:  # how pyiqa's metrics refuse an image
            if is_out_of_memory(reason):
                raise
            size = " x ".join(map(str, images.shape[-2:]))
            raise UserError(f"{self.name} cannot score an image of {size} pixels: {in_short(reason, 200)}") from reason


@torch.enable_grad()
def check_gradient(name: str, score: Callable[[Tensor], Tensor]) -> None:
    """Try ``score``, (B, 3, H, W) in [0, 1] -> (B,), on a noisy version of a smooth random image.

    Raises:
        UserError: it has no usable gradient with respect to the image.
    """
    _, noisy = probes()
    noisy.requires_grad_()
    value = score(noisy).sum()
    try:
        (gradient,) = torch.autograd.grad(value, noisy)
    except RuntimeError as reason:  # no graph, or an operation without a derivative
        raise UserError(f"{name} cannot be optimised: it is not differentiable ({in_short(reason, 200)})") from reason
    if not gradient.isfinite().all() or not gradient.any():
        kind = "zero" if gradient.isfinite().all() else "not finite"
        raise UserError(f"{name} cannot be optimised: its gradient with respect to the image is {kind}")


def probes() -> tuple[Tensor, Tensor]:
    """A smooth random image (1, 3, 256, 256) in [0.1, 0.9], and the same with noise, both always the same."""
    generator = torch.Generator().manual_seed(SEED)
    coarse = 0.1 + 0.8 * torch.rand(1, 3, 16, 16, generator=generator)
    smooth = F.interpolate(coarse, size=(PROBE_SIDE, PROBE_SIDE), mode="bilinear")
    return smooth, (smooth + 0.05 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def _check_name(name: str, mode: str) -> None:
    from pyiqa.default_model_configs import DEFAULT_CONFIGS

    names = [known for known, config in DEFAULT_CONFIGS.items() if config["metric_mode"] == mode]
    if name not in names:
        near = get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`pyiqa -ls` lists them"
        raise UserError(f"pyiqa has no {KINDS[mode]} metric {name!r}: {hint}")


def _create(name: str, options: dict[str, Any]) -> Any:
    from pyiqa import create_metric

    try:
        # Some metrics compute text features at once, which would otherwise keep a graph; some print to stdout.
        with torch.no_grad(), only_weights(), contextlib.redirect_stdout(sys.stderr):
            return create_metric(name, as_loss=True, loss_reduction="none", device=torch.device("cpu"), **options)
    except Exception as reason:  # networks, unpicklers, state dicts and architectures fail in many ways
        raise UserError(
            f"pyiqa's metric {name!r} cannot be made ({type(reason).__name__}: {in_short(reason, 200)}). If its weights"
            f" are missing: let it download them once to {torch.hub.get_dir()}, or copy them there; most metrics also"
            " take a local file, options: {pretrained_model_path: FILE}"
        ) from reason


@contextlib.contextmanager
def _same_random_numbers(device: torch.device) -> Iterator[None]:
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed would also seed the GPUs of others, for good
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(SEED)
        np.random.seed(SEED)
        try:
            yield
        finally:
            np.random.set_state(state)
