import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from dlmap.run.fingerprint import content_key, fingerprint


def digest(weight: float = 1.0, precision: str = "32-true", class_path: str = "x", **options: Any) -> str:
    model = torch.nn.Linear(2, 2, dtype=torch.bfloat16)
    torch.nn.init.constant_(model.weight, weight)
    torch.nn.init.zeros_(model.bias)
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
