"""The commands of docs/training.md, in their order, on small images and tiny networks."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor

from mslique import cli, lightning_cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text()
SMALL = {
    "configs/mslique/tiny.yaml": "--data.crop_size=64 --data.batch_size=4 --data.samples_per_epoch=8"
    " --data.distinct_samples=null --data.val_samples=4 --model.warmup_steps=0 --trainer.max_epochs=1",
    "configs/mslique/liqe_mix.yaml": "--data.steps_per_epoch=1 --trainer.max_epochs=1",
    "configs/mslique/custom.yaml": "--data.steps_per_epoch=1 --trainer.max_epochs=1",
}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE[: PAGE.index("## The prior")], flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands() -> list[list[str]]:
    lines = "".join(blocks("")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def extra(command: list[str], backbone: str) -> list[str]:
    """What makes a training command small."""
    config = next((word for word in command if word.endswith(".yaml")), None)
    if config is None:
        return []
    options = [*SMALL[config].split(), "--trainer.accelerator=cpu", "--data.num_workers=0"]
    if "--data.samples_per_epoch=8" not in options:  # those train the embedded model, which is tiny
        options += [f"--model.model.backbone={backbone}", "--model.clip_weights=null"]
    return options


def run(command: list[str], backbone: str) -> int:
    if command[0] == "lightning":
        return lightning_cli.main([*command[1:], *extra(command, backbone)])
    assert command[0] == "mslique"
    return cli.main([*command[1:], *extra(command, backbone)])


@pytest.fixture
def places(tmp_path: Path, iqa_database: Path, photo: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which every name of the page exists."""
    for folder, names in (("PHOTOS", ("astronaut", "chelsea", "coffee")), ("OTHER_PHOTOS", ("rocket", "coffee"))):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = (photo(name, side=96).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    for name in ("configs", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "IQA_Database").mkdir()
    for folder in iqa_database.iterdir():
        (tmp_path / "IQA_Database" / folder.name).mkdir()
        for entry in folder.iterdir():
            (tmp_path / "IQA_Database" / folder.name / entry.name).symlink_to(entry)
    (tmp_path / "FOLDER" / "images").mkdir(parents=True)
    for k in range(30):
        Image.new("RGB", (50, 40), (8 * k, 90, 90)).save(tmp_path / "FOLDER" / "images" / f"{k}.png")
    rows = [f"{k}.png,{k % 7}" for k in range(30)]
    (tmp_path / "FOLDER" / "ratings.csv").write_text("\n".join(["image,score", *rows]))
    weights = open_clip.create_model("ViT-B-32", force_quick_gelu=True).half().state_dict()
    torch.save({"model_state_dict": weights}, tmp_path / "MS_LIQE.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_command_works(places: Path, tiny_transformer: str) -> None:
    splits = places / "IQA_Database"
    for manifests in splits.glob("*/splits2"):  # a second split, for `mslique splits`
        files = {file.name: file.read_text() for file in (manifests / "1").iterdir()}
        manifests.unlink()
        for number in ("1", "2"):
            (manifests / number).mkdir(parents=True)
            for name, text in files.items():
                (manifests / number / name).write_text(text)
    found = commands()
    assert len(found) > 10
    for command in found:
        assert run(command, tiny_transformer) == 0, command
    assert len(json.loads(Path("scores.json").read_text())) == 3
    assert (
        "| live |" in Path("liqe-folder/README.md").read_text()
        and "over 2 splits" in Path("runs/ten/splits.md").read_text()
    )


@pytest.mark.slow
def test_the_python_lines_work(places: Path, tiny_transformer: str) -> None:
    for command in commands()[:2]:
        assert run(command, tiny_transformer) == 0
    (code,) = blocks("python")
    names: dict[str, Tensor] = {}
    exec(code, names)
    assert names["scores"].shape == (2,) and names["mean"].item() == pytest.approx(
        names["scores"].mean().item(), abs=1e-5
    )
