"""From datasets with people's scores to an enhanced photograph: the commands of docs/training.md, with placeholders."""

import csv
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from placeholders import DATASETS, write_iqa_database
from torch import Tensor
from toys import rows_of, save_prior, save_quality

from dlmap import cli
from dlmap.run.pictures import save_png
from mslique import cli as mslique_cli
from mslique import lightning_cli, read_image
from mslique.module import QualityModule

ROOT = Path(__file__).parents[2]
EPOCHS, STEPS = 3, 8
COMMANDS = {"lightning": lightning_cli.main, "mslique": mslique_cli.main, "dlmap": cli.main}


def road() -> list[list[str]]:
    """The commands under the page's heading."""
    page = (ROOT / "docs" / "training.md").read_text()
    section = page.partition("### From the training to enhanced photographs\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```bash\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def smaller(command: list[str], backbone: str) -> list[str]:
    """The command with what makes it small."""
    quick = ["--trainer.accelerator=cpu"]
    if "configs/mslique/liqe_mix.yaml" in command:
        quick += [f"--model.model.backbone={backbone}", "--model.clip_weights=null", "--model.learning_rate=1e-3"]
        quick += [f"--data.steps_per_epoch={STEPS}", f"--trainer.max_epochs={EPOCHS}", "--data.num_workers=0"]
    elif "predict" in command:
        quick += ["--model.prior.path=prior", "--model.prior.num_steps=4", "--model.objective.fidelity_weight=20"]
    else:
        quick = []
    return [*command, *quick]


def run(command: list[str]) -> int:
    return COMMANDS[command[0]](command[1:])


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a tiny model, for a working folder with the six datasets, two dark photographs and a tiny prior."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such models are faster so
    write_iqa_database(tmp_path / "IQA_Database", levels=5, sides=(64, 96))
    for name in ("1600.BLUR.2.png", "bridge.BLUR.4.png"):
        photo = read_image(tmp_path / "IQA_Database" / "CSIQ" / "dst_imgs" / "blur" / name)
        save_png(photo, tmp_path / "PHOTOS" / name)
    for name in ("configs", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    save_prior(str(tmp_path / "prior"))
    save_quality(str(tmp_path / "quality"))
    monkeypatch.chdir(tmp_path)
    yield json.dumps(json.loads((tmp_path / "quality" / "config.json").read_text())["backbone"])
    torch.set_num_threads(threads)


def interrupted(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command, and press Ctrl-C in the third batch of its second epoch."""
    whole = QualityModule.training_step

    def step(module: QualityModule, batch: Any, number: int) -> Tensor:
        if (module.current_epoch, number) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)
        return whole(module, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(QualityModule, "training_step", step)
        with pytest.raises(SystemExit) as stop:
            run(command)
    assert stop.value.code == 1


def table(file: Path) -> dict[str, dict[str, str]]:
    with file.open(newline="") as stream:
        return {row["dataset"]: row for row in csv.DictReader(stream)}


@pytest.mark.slow
def test_the_road_from_peoples_scores_to_enhanced_photographs(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [smaller(command, backbone) for command in road()]
    assert [command[:2] for command in commands[3:5]] == [["mslique", "export"], ["dlmap", "calibrate"]]
    last = Path("runs/liqe-1/checkpoints/last.ckpt")
    interrupted(commands[0], monkeypatch)
    assert torch.load(last, weights_only=True)["global_step"] == STEPS
    for command in commands:
        assert run(command) == 0, command
    assert torch.load(last, weights_only=True)["global_step"] == EPOCHS * STEPS

    (report,) = Path("runs/liqe-1").rglob("correlations.csv")
    found = table(report)
    assert list(found) == list(DATASETS) and {row["images"] for row in found.values()} == {"10"}
    assert min(float(row["srcc"]) for row in found.values()) > 0.7  # the placeholders darken as their score falls

    card = Path("my-liqe/README.md").read_text()
    said = [commands[3][-1], f"Seed 0; {EPOCHS} epochs", "No model that comes with mslique was trained on people's"]
    assert [text for text in (*said, *(f"| {name} | 15 | 10 |" for name in DATASETS)) if text not in card] == []
    assert re.findall(r"^\| (\w+) \| [01]\.\d+ \| [01]\.\d+ \|$", card, flags=re.MULTILINE) == sorted(DATASETS)
    assert {"center", "scale"} <= json.loads(Path("my-liqe/config.json").read_text()).keys()

    enhanced = rows_of(Path("OUT"))
    assert [row["status"] for row in enhanced.values()] == ["ok", "ok"]
    gains = [float(row["quality_after"]) - float(row["quality_before"]) for row in enhanced.values()]
    assert min(gains) >= 0 and max(gains) > 0
