"""``dlmap study create``, its runs of ``lightning predict`` in this process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from toys import CONFIG, photos, save_quality

from dlmap import cli
from dlmap.run.pictures import save_picture, save_png, to_pillow
from dlmap.study import models as study_models
from dlmap.study import stimuli
from dlmap.study.definition import Study
from dlmap.study.models import overlay
from dlmap.study.store import Store
from dlmap.study.trials import Trial
from mslique import lightning_cli, list_images

FAST = [
    "--model.report=false",
    "--model.ascent.step_size=100",
    "--model.ascent.iterations=1",
    "--model.prior.num_steps=1",
]


@pytest.fixture
def options(models: list[str]) -> list[str]:
    """The tiny prior, a short ascent."""
    return [option for option in models if "objective.quality" not in option] + FAST


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """Files of three models of different weights and constants."""
    files = []
    for seed, (name, center) in enumerate((("low", 2.9), ("middle", 3.0), ("high", 3.1))):
        save_quality(str(tmp_path / "quality" / name), seed)
        init_args = {"model": str(tmp_path / "quality" / name), "center": center, "scale": 1.0}
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(overlay({"class_path": "dlmap.quality.MSLIQEQuality", "init_args": init_args}))
    return [str(path) for path in files]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The options of all runs of lightning predict, which take place in this process."""
    done: list[list[str]] = []

    def predict(options: Sequence[str]) -> int:
        done.append(list(options))
        return lightning_cli.main(["predict", *options])

    monkeypatch.setattr(stimuli, "run_predict", predict)
    return done


def study(*arguments: str | Path) -> int:
    return cli.main(["study", "create", *map(str, arguments)])


@pytest.mark.slow
def test_three_models_on_three_photographs(
    folder: Path,
    tmp_path: Path,
    three: list[str],
    options: list[str],
    runs: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "bad.jpg").write_bytes(b"nothing")
    to_pillow(photos(1, 32, 40, seed=3)[0], torch.linspace(0, 1, 32)[:, None].expand(32, 40)).save(folder / "b.png")
    command = [tmp_path / "study", "--data.folder", folder, "--models", *three, *options]
    assert study(*command) == 0
    assert "left out of the study: bad.png (" in capsys.readouterr().err
    made = Study.load(tmp_path / "study")
    assert made.contestants == ("low", "middle", "high") and made.photos == ("a.png", "b.png", "sub/c.png")
    for photo, mode in zip(made.photos, ("RGB", "RGBA", "RGB"), strict=True):
        pictures = [
            Image.open(path) for path in (made.original(photo), *(made.output(n, photo) for n in made.contestants))
        ]
        assert {(picture.size, picture.mode) for picture in pictures} == {(pictures[0].size, mode)}
        assert pictures[0].tobytes() == Image.open(folder / photo).tobytes()
        assert len({picture.tobytes() for picture in pictures}) == 4
    for name, center in (("low", 2.9), ("middle", 3.0), ("high", 3.1)):
        used = yaml.safe_load((made.folder / "outputs" / name / "config.yaml").read_text())
        quality = used["model"]["init_args"]["objective"]["init_args"]["quality"]
        assert quality == made.details["judges"][name] | {"init_args": quality["init_args"]}
        assert quality["init_args"]["center"] == center
    written = {path: path.stat().st_mtime_ns for path in list_images(made.folder)}
    assert study(*command) == 0
    assert {path: path.stat().st_mtime_ns for path in list_images(made.folder)} == written
    assert Study.load(made.folder) == made and len(runs) == 6


@pytest.mark.slow
def test_a_study_with_answers_stays_as_it_is(
    folder: Path,
    tmp_path: Path,
    three: list[str],
    options: list[str],
    runs: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "study"
    command = [target, "--data.folder", folder, "--data.limit=1", *options, "--model.ascent.iterations=0", "--models"]
    assert study(*command, *three[:2]) == 0
    made = Study.load(target)
    assert made.photos == ("a.png",) and len(made.token) > 16
    store = Store(made.answers)
    store.begin("x", {}, lambda taken: [Trial("pair", "a.png", "low", "middle")])
    count = len(runs)
    assert study(*command, *three) == 1
    assert study(*command, *three[:2], "--model.ascent.momentum=0.5") == 1
    assert capsys.readouterr().err.count("has observers already, of other pictures") == 2 and len(runs) == count
    assert study(*command, *three[:2]) == 0
    assert Study.load(target) == made


def test_what_is_wrong_is_told_before_any_work(
    folder: Path,
    tmp_path: Path,
    three: list[str],
    options: list[str],
    runs: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = [tmp_path / "study", "--data.folder", folder, *options]
    quality = ["--quality", f"mslique:{tmp_path / 'quality' / 'low'}", "gone=mslique:nowhere", "pyiqa:entropy"]
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump({"trainer": {"devices": 2}}))
    mistakes: list[tuple[list[str | Path], str]] = [
        ([*common, *quality], "2 of 3 models cannot be used: gone (nowhere is neither"),
        ([*common, "--models", *three, str(bad)], "bad.yaml sets trainer"),
        ([*common, "--models", three[0], three[0]], "two contestants are called 'low'"),
        ([*common, "--models", three[0]], "needs two or more contestants"),
        ([*common, "--models", *three, "--model.objective.quality.center=1"], "leave out options that set it"),
        ([*common, "--models", *three, "--model.format=input"], "they are PNG"),
        ([folder / "study", "--data.folder", folder, "--models", *three], "contain one another"),
        ([*common, "--enhancers", "a"], "--enhancers takes NAME=FOLDER"),
        ([*common, "--enhancers", "a=nowhere"], "nowhere is not a folder"),
    ]
    for arguments, sentence in mistakes:
        assert study(*arguments) == 1, sentence
        error = capsys.readouterr().err
        assert sentence in error and "Traceback" not in error
    with pytest.raises(SystemExit):
        study(*common, "--models", *three, "--data.limits=1")
    assert runs == [] and not (tmp_path / "study").exists()


def test_constants_are_fitted_the_same_way_and_once(
    tmp_path: Path, options: list[str], runs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the originals that can be read, to the value that ``dlmap calibrate`` finds."""
    save_png(photos(1, 256, 256)[0], tmp_path / "in" / "a.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"nothing")
    save_quality(str(tmp_path / "quality"))
    monkeypatch.setattr(study_models, "SAMPLES", 6)
    monkeypatch.setattr("dlmap.calibrate.reference_quality", lambda image, clean: 100 * image.mean()[None])
    texts = [f"{name}=mslique:{tmp_path / 'quality'}" for name in ("one", "two")]
    command = [tmp_path / "study", "--data.folder", tmp_path / "in", "--quality", *texts, *options]
    fits: list[int] = []
    fit = study_models.fitted

    def counted(*arguments: object) -> object:
        fits.append(1)
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(study_models, "fitted", counted)
    assert study(*command, "--model.ascent.iterations=0") == 0
    made = Study.load(tmp_path / "study")
    one, two = (made.details["judges"][name]["init_args"] for name in ("one", "two"))
    assert one == two and one["scale"] > 0
    assert study(*command, "--model.ascent.iterations=0") == 0
    assert len(fits) == 1 and Study.load(made.folder) == made


def test_enhancers_and_their_refinement(
    folder: Path, tmp_path: Path, models: list[str], runs: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for k, (name, side) in enumerate((("a.jpg", 40), ("b.png", 41), ("sub/c.webp", 50), ("unknown.png", 32))):
        save_picture(to_pillow(photos(1, 32, side, seed=10 + k)[0]), tmp_path / "sharp" / name)
    command = [
        tmp_path / "study",
        "--data.folder",
        folder,
        "--enhancers",
        f"sharp={tmp_path / 'sharp'}",
        *models,
        *FAST,
    ]
    assert study(*command) == 0
    error = capsys.readouterr().err
    assert "left out of the study: b.png" in error and "has 41 x 32 pixels, the original has 40 x 32" in error
    made = Study.load(tmp_path / "study")
    assert made.contestants == ("sharp", "sharp+MAP") and made.photos == ("a.png", "sub/c.png")
    for photo, source in zip(made.photos, ("a.jpg", "sub/c.webp"), strict=True):
        copied = np.asarray(Image.open(made.output("sharp", photo)))
        assert (copied == np.asarray(Image.open(tmp_path / "sharp" / source))).all()
        assert (np.asarray(Image.open(made.output("sharp+MAP", photo))) != copied).any()
    assert made.details["own"] == {"sharp": "quality", "sharp+MAP": "quality"}
    written = {path: path.stat().st_mtime_ns for path in list_images(made.folder)}
    assert study(*command) == 0
    assert {path: path.stat().st_mtime_ns for path in list_images(made.folder)} == written


@pytest.mark.slow
def test_told_to_end_it_says_how_to_go_on(tmp_path: Path, three: list[str], options: list[str]) -> None:
    for k in range(12):
        save_png(photos(1, 32, 40, seed=k)[0], tmp_path / "in" / f"{k:02d}.png")
    arguments = ["study", "create", str(tmp_path / "study"), "--data.folder", str(tmp_path / "in"), "--models", *three]
    command = [sys.executable, "-c", "import sys; from dlmap.cli import main; sys.exit(main())", *arguments, *options]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src"), "OMP_NUM_THREADS": "1"}

    def start() -> "subprocess.Popen[str]":
        more = ["--data.batch_size=1", "--config", str(CONFIG), "--model.ascent.iterations=2"]
        return subprocess.Popen(
            [*command, *more], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    process, first = start(), tmp_path / "study" / "outputs" / "low"
    deadline = time.monotonic() + 120
    while len(list(first.glob("*.png"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in errors, errors
    assert errors.endswith("error: stopped: run the same command again to go on\n")
    written = {path: path.stat().st_mtime_ns for path in first.glob("*.png")}
    assert 2 <= len(written) < 12 and not (first.parent / "middle").exists()
    process = start()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert len(Study.load(tmp_path / "study").photos) == 12
    assert {path: path.stat().st_mtime_ns for path in written} == written
