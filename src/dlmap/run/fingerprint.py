"""Digests of all that decides a result: options, settings and weights, and the photograph."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import SaveConfigCallback

WITHOUT_EFFECT = ("output", "report")


def fingerprint(trainer: L.Trainer) -> str:
    """Digest of the options in the trainer's configuration, of its precision, and of all settings, weights and buffers.

    Settings are what a model's own files say, such as the constants of a quality model or a noise schedule. The digest
    is empty if the trainer was not made by the command, because its configuration is then unknown.
    """
    callbacks = getattr(trainer, "callbacks", [])  # Lightning does not declare this attribute of its own
    saved = [callback for callback in callbacks if isinstance(callback, SaveConfigCallback)]
    if not saved:
        return ""
    model = saved[0].config.as_dict()["model"]
    options = {name: value for name, value in model["init_args"].items() if name not in WITHOUT_EFFECT}
    return module_digest(trainer.lightning_module, [model["class_path"], options, str(trainer.precision)])


def module_digest(module: torch.nn.Module, more: list[Any]) -> str:
    """Digest of the settings of a module's parts, of its weights and buffers, and of what more is told (as JSON)."""
    settings = {name: _settings(part) for name, part in module.named_modules() if part is not module}
    digest = hashlib.sha256(json.dumps([*more, settings], sort_keys=True, default=str).encode())
    for name, weight in sorted([*module.named_parameters(), *module.named_buffers()]):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _settings(part: torch.nn.Module) -> dict[str, Any]:
    """The public attributes of a part that are plain values, and its configuration if it is a model of diffusers."""
    values = {**vars(part), "config": getattr(part, "config", None)}
    return {name: value for name, value in values.items() if not name.startswith("_") and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    """Whether the value, or all that it holds, is a number, a text, a truth value or None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    return (
        all(map(_is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, int | float | str | None)
    )


def content_key(options: str, source: str, reference: str | None) -> str:
    """Digest of the fingerprint ``options`` and of size and time of change of the files.

    Empty if ``options`` is, or if a file is gone. The time of change stands for the content, because it would take
    minutes to read thousands of photographs only to find out that they are done.
    """
    if not options:
        return ""
    parts = [options]
    for path in (source, reference):
        try:
            status = Path(path).stat() if path is not None else None
        except OSError:  # the decoder will say what is wrong
            return ""
        parts.append("" if status is None else f"{status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
