"""The six-dataset recipe as it is shipped, on small synthetic images and a tiny backbone."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from mslique import read_image
from mslique.correlation import srcc
from mslique.data.known_datasets import KNOWN
from mslique.lightning_cli import main, run
from mslique.sharing import export_checkpoint, load_checkpoint

NAMES = ["live", "csiq", "bid", "clive", "koniq", "kadid"]
Options = Callable[..., list[str]]
CONFIG = Path(__file__).parents[3] / "configs" / "mslique" / "liqe_mix.yaml"


@pytest.fixture(scope="module")
def options(iqa_database: Path, tiny_transformer: str) -> Options:
    """Makes the arguments of a command: output folder, epochs, and more of them."""

    def make(output: Path, epochs: int, *more: str) -> list[str]:
        return [
            f"--config={CONFIG}",
            f"--data.root={iqa_database}",
            f"--output={output}",
            f"--model.model.backbone={tiny_transformer}",
            "--model.clip_weights=null",
            "--model.learning_rate=1e-3",
            "--data.steps_per_epoch=3",
            "--data.num_workers=0",
            "--trainer.precision=32-true",
            "--trainer.accelerator=cpu",
            "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false",
            "--trainer.num_sanity_val_steps=0",
            "--trainer.log_every_n_steps=1",
            f"--trainer.max_epochs={epochs}",
            *more,
        ]

    return make


def curve(output: Path) -> list[dict[str, str]]:
    """The rows of all metrics.csv below ``output``, in the order of training."""
    rows: list[dict[str, str]] = []
    for file in sorted(output.rglob("metrics.csv")):
        rows += [{k: v for k, v in row.items() if v} for row in csv.DictReader(file.open())]
    return rows


@pytest.fixture(scope="module")
def whole(options: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of four epochs."""
    output = tmp_path_factory.mktemp("whole")
    run(["fit", *options(output, 4)])
    return output


def checkpoint(output: Path) -> Path:
    return output / "checkpoints" / "last.ckpt"


def test_every_dataset_is_logged_with_the_right_sign(whole: Path) -> None:
    last = [row for row in curve(whole) if "val_srcc" in row][-1]
    values = [float(last[f"val_srcc/{name}"]) for name in NAMES]
    assert min(values) > 0.8  # the images darken level by level in each of the six; photos differ little
    assert float(last["val_srcc"]) == pytest.approx(sum(values) / 6)
    assert list(whole.rglob("events.out.tfevents*"))


def test_a_resumed_run_gives_the_curve_of_an_uninterrupted_one(whole: Path, options: Options, tmp_path: Path) -> None:
    run(["fit", *options(tmp_path, 2)])
    last = checkpoint(tmp_path)
    assert torch.load(last, weights_only=True)["global_step"] == 6
    run(["fit", *options(tmp_path, 4, f"--ckpt_path={last}")])
    assert curve(tmp_path) == curve(whole)
    expected, found = (torch.load(checkpoint(folder), weights_only=True) for folder in (whole, tmp_path))
    assert all(torch.equal(found["state_dict"][name], weight) for name, weight in expected["state_dict"].items())
    names = [sorted(file.name for file in (folder / "checkpoints").iterdir()) for folder in (whole, tmp_path)]
    assert names[0] == names[1] and len(names[0]) == 2  # the best one and the last


def test_a_run_that_goes_on_in_the_middle_of_an_epoch_ends_with_the_same_weights(
    options: Options, tmp_path: Path
) -> None:
    """Or at its end: with a worker, which prepares samples early."""
    keep = {"every_n_train_steps": 1, "save_top_k": -1, "filename": "{step}"}
    callback = json.dumps([{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": keep}])
    more = ["--trainer.logger=false", f"--trainer.callbacks={callback}", "--trainer.limit_val_batches=0"]
    more += ['--data.datasets={"bid": {"batch_size": 4}}', "--data.num_workers=1"]
    run(["fit", *options(tmp_path / "whole", 2, *more)])
    expected = torch.load(tmp_path / "whole" / "checkpoints" / "step=6.ckpt", weights_only=True)["state_dict"]
    for step in (2, 3):
        start = tmp_path / "whole" / "checkpoints" / f"step={step}.ckpt"
        run(["fit", *options(tmp_path / str(step), 2, *more, f"--ckpt_path={start}")])
        found = torch.load(tmp_path / str(step) / "checkpoints" / "step=6.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(found[name], weight) for name, weight in expected.items()), step


def test_the_cache_changes_nothing_but_the_time(options: Options, tmp_path: Path) -> None:
    cache = ["--data.smaller_side=44", f"--data.cache={tmp_path / 'cache'}"]  # the images have sides of 40 to 60 pixels
    for name, more in {"without": cache[:1], "filling": cache, "filled": cache}.items():
        run(["fit", *options(tmp_path / name, 1, *more)])
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 6 * (9 + 6)  # every image for training and validation
    expected = torch.load(checkpoint(tmp_path / "without"), weights_only=True)["state_dict"]
    for name in ("filling", "filled"):
        assert curve(tmp_path / name) == curve(tmp_path / "without")
        found = torch.load(checkpoint(tmp_path / name), weights_only=True)["state_dict"]
        assert all(torch.equal(found[key], weight) for key, weight in expected.items())


def test_the_test_writes_scores_correlations_and_plots(
    whole: Path, options: Options, iqa_database: Path, tmp_path: Path
) -> None:
    run(["test", *options(tmp_path, 1, f"--ckpt_path={checkpoint(whole)}")])
    report = next(tmp_path.rglob("correlations.csv")).parent
    table = {row["dataset"]: row for row in csv.DictReader((report / "correlations.csv").open())}
    scores = list(csv.DictReader((report / "scores.csv").open()))
    assert list(table) == NAMES and len(scores) == 36
    model = load_checkpoint(checkpoint(whole))
    for name in NAMES:
        rows = [row for row in scores if row["dataset"] == name]
        correlation = srcc([float(row["score"]) for row in rows], [float(row["mos"]) for row in rows])
        assert float(table[name]["srcc"]) == pytest.approx(correlation, abs=1e-4) and table[name]["images"] == "6"
        with torch.no_grad():
            score = model(read_image(iqa_database / KNOWN[name].folder / rows[0]["image"])[None]).item()
        assert float(rows[0]["score"]) == pytest.approx(score, abs=1e-5)
        assert Image.open(report / f"{name}.png").size == (600, 600)


def test_a_checkpoint_with_an_option_of_earlier_versions_loads(whole: Path, options: Options, tmp_path: Path) -> None:
    found = torch.load(checkpoint(whole), weights_only=True)
    found["hyper_parameters"]["zero_mean_stem"] = False
    torch.save(found, tmp_path / "old.ckpt")
    run(["validate", *options(tmp_path, 1, f"--ckpt_path={tmp_path / 'old.ckpt'}")])
    assert curve(tmp_path)[-1]["val_srcc"] == [row for row in curve(whole) if "val_srcc" in row][-1]["val_srcc"]


def test_the_card_lists_datasets_and_correlations(whole: Path, tmp_path: Path) -> None:
    export_checkpoint(checkpoint(whole), tmp_path, license="CC0")
    card = (tmp_path / "README.md").read_text()
    for expected in ("| live | 9 | 6 |", "Split 1.", "CC0", "| mean over the datasets | ", "| kadid | "):
        assert expected in card


def test_mistakes_stop_before_training(
    options: Options, iqa_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *options(tmp_path / "out", 1, f"--data.root={tmp_path}", f"--data.labels={iqa_database}")]) == 1
    assert "error: 15 of 15 images of live are missing" in capsys.readouterr().err
    assert main(["fit", *options(tmp_path / "out", 1, "--data.split=7")]) == 1
    assert "live_train_clip.txt cannot be read" in capsys.readouterr().err
    assert main(["fit", *options(tmp_path / "out", 1, f"--data.cache={CONFIG}")]) == 1
    assert "liqe_mix.yaml cannot be made (File exists): give another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_agree_with_one(whole: Path, options: Options, tmp_path: Path) -> None:
    """Validation of 36 images, and of 5 (one process has fewer), by one process and by two over gloo."""
    found, reports = {}, []
    for devices in (1, 2):
        more = [f"--trainer.devices={devices}", "--data.eval_batch_size=5", f"--ckpt_path={checkpoint(whole)}"]
        more += ["--trainer.strategy=ddp"] if devices == 2 else []
        command = ["validate", *options(tmp_path / str(devices), 1, *more)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "mslique.lightning_cli", *command], check=True, env=environment)
        (found[devices],) = (row for row in curve(tmp_path / str(devices)) if "val_srcc" in row)
        subprocess.run(
            [sys.executable, "-m", "mslique.lightning_cli", "test", *command[1:]],
            check=True,
            env=environment,
            timeout=300,
        )
        (report,) = (tmp_path / str(devices)).glob("**/test/scores.csv")
        reports.append([line.split(",")[:3] for line in report.read_text().splitlines()])
    assert reports[0] == reports[1] and len(reports[0]) > 10
    assert found[1].keys() == found[2].keys() and len(found[1]) > 14
    for name, value in found[1].items():
        assert float(found[2][name]) == pytest.approx(float(value), abs=1e-6), name


@pytest.mark.slow
def test_two_processes_go_on_in_the_middle_of_an_epoch(options: Options, tmp_path: Path) -> None:
    """Over gloo; they end with the weights of an undisturbed run."""
    keep = {"every_n_train_steps": 1, "save_top_k": -1, "filename": "{step}"}
    callback = json.dumps([{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": keep}])
    more = ["--trainer.logger=false", f"--trainer.callbacks={callback}", "--trainer.limit_val_batches=0"]
    more += ['--data.datasets={"bid": {"batch_size": 4}}', "--trainer.devices=2", "--trainer.strategy=ddp"]
    start = tmp_path / "whole" / "checkpoints" / "step=2.ckpt"
    for name, further in (("whole", []), ("rest", [f"--ckpt_path={start}"])):
        command = ["fit", *options(tmp_path / name, 1, *more, *further)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "mslique.lightning_cli", *command], check=True, env=environment)
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "step=3.ckpt", weights_only=True) for name in ("whole", "rest")
    ]
    whole, rest = (end["state_dict"] for end in ends)
    assert all(torch.equal(rest[name], weight) for name, weight in whole.items())
