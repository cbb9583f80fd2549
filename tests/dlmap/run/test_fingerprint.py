import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from dlmap.run.fingerprint import content_key, fingerprint
from mslique import Calibration


def digest(
    weight: float = 1.0,
    precision: str = "32-true",
    class_path: str = "x",
    part: torch.nn.Module | None = None,
    **options: Any,
) -> str:
    layer = torch.nn.Linear(2, 2, dtype=torch.bfloat16)
    torch.nn.init.constant_(layer.weight, weight)
    torch.nn.init.zeros_(layer.bias)
    model = torch.nn.ModuleList([layer] if part is None else [layer, part])
    arguments = Namespace({"output": "a", "report": True, "ascent": Namespace({"iterations": 5}), **options})
    config = Namespace({"model": Namespace({"class_path": class_path, "init_args": arguments})})
    callbacks = [SaveConfigCallback(LightningArgumentParser(), config)]
    return fingerprint(SimpleNamespace(callbacks=callbacks, precision=precision, lightning_module=model))


def test_what_does_not_change_the_result_does_not_count() -> None:
    assert digest() == digest(output="b", report=False)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 2.0},
        {"precision": "bf16-mixed"},
        {"class_path": "y"},
        {"ascent": Namespace({"iterations": 6})},
        {"metadata": True},
    ],
    ids=str,
)
def test_what_changes_the_result_counts(change: dict[str, Any]) -> None:
    assert digest() != digest(**change)


class Part(torch.nn.Module):
    """A model with settings of its own files."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.calibration, self.options = Calibration(changes.get("center", 1.0), 2.0), {"steps": (1, 2)}
        self.divisor, self.config = changes.get("divisor", 2.0), {"shift": changes.get("shift")}
        self.compute = object()  # not a setting: it is another one in every process
        self.register_buffer("points", torch.tensor([changes.get("point", 0.0)]), persistent=False)


def test_settings_of_the_parts_count() -> None:
    changes = ({}, {"center": 1.5}, {"divisor": 4.0}, {"shift": 0.1}, {"point": 1.0})
    found = [digest(part=Part(**change)) for change in changes]
    assert len(set(found)) == len(changes) and found[0] == digest(part=Part())


def test_without_the_command_nothing_is_known() -> None:
    assert fingerprint(SimpleNamespace(callbacks=[])) == ""


def test_the_key_changes_with_options_and_files(tmp_path: Path) -> None:
    (source, reference), times = [tmp_path / "a", tmp_path / "b"], (1_000_000_000, 1_000_000_000)
    for path in (source, reference):
        path.write_bytes(b"12")
        os.utime(path, times)
    alone, two = (str(source), None), (str(source), str(reference))
    keys = [content_key("x", *alone), content_key("y", *alone), content_key("x", *two)]
    os.utime(source, (1_000_000_000, 1_000_000_001))
    keys.append(content_key("x", *alone))
    source.write_bytes(b"123")
    os.utime(source, times)
    keys.append(content_key("x", *alone))
    assert len(set(keys)) == 5 and content_key("x", *alone) == keys[-1]
    assert content_key("", *alone) == "" and content_key("x", str(tmp_path / "gone"), None) == ""
