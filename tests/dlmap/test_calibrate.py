"""``dlmap calibrate``, in-process."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from toys import photos, save_quality

from dlmap import calibrate, cli
from dlmap.quality import MSLIQEQuality
from dlmap.run.pictures import save_png
from mslique import MSLIQE, read_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images, and two tables of labels: made from the scores that an MS-LIQE gives them, as MOS from 1 to 5."""
    save_quality(str(tmp_path / "model"))
    for k in range(10):
        save_png(photos(1, 40, 40, seed=k)[0], tmp_path / "images" / f"{k}.png")
    return tmp_path


def labels(folder: Path, center: float, scale: float, sign: int = 1, model: Any = None) -> str:
    """MOS that follow the curve with these constants exactly."""
    model = MSLIQE.from_pretrained(folder / "model").eval() if model is None else model
    lines = ["path,mos"]
    for path in sorted((folder / "images").iterdir()):
        share = 1 / (1 + math.exp(-sign * (model(read_image(path)[None]).item() - center) / scale))
        lines.append(f"{path.name},{1 + 4 * share}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return str(folder / "labels.csv")


def test_constants_come_back_from_labels_made_with_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, table = str(folder / "model"), labels(folder, 3.1, 0.2)
    arguments = ["calibrate", str(folder / "images"), "--quality", model, "--labels", table]
    assert cli.main([*arguments, "--range", "1", "5"]) == 0
    printed = capsys.readouterr().out
    assert "SRCC 1.0000 over 10 images" in printed
    entry = yaml.safe_load(printed)["quality"]
    assert entry["class_path"] == "dlmap.quality.MSLIQEQuality" and entry["init_args"]["model"] == model
    assert entry["init_args"]["center"] == pytest.approx(3.1, abs=1e-4)
    assert entry["init_args"]["scale"] == pytest.approx(0.2, abs=1e-4)
    quality = MSLIQEQuality(model)  # they are in its config.json now
    assert (quality.calibration.center, quality.calibration.scale) == pytest.approx((3.1, 0.2), abs=1e-4)


def test_images_are_scored_in_pieces_as_in_an_enhancement(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"piece": 32}))
    table = labels(folder, 3.1, 0.2, model=MSLIQEQuality(str(folder / "model"), 0.0, 1.0).raw)
    arguments = ["calibrate", str(folder / "images"), "--quality", str(folder / "model"), "--labels", table]
    assert cli.main([*arguments, "--range", "1", "5"]) == 0
    fitted = yaml.safe_load(capsys.readouterr().out)["quality"]["init_args"]
    assert (fitted["center"], fitted["scale"]) == pytest.approx((3.1, 0.2), abs=1e-4)


def test_labels_of_a_spreadsheet_are_read(folder: Path) -> None:
    table = Path(labels(folder, 3.1, 0.2))
    expected = list(calibrate.labelled(folder / "images", table, 1, 5, lower_is_better=False))
    text = "".join(f"{line};;\r\n" for line in table.read_text().replace(",", ";").split())
    table.write_bytes(text.replace(".", ",").replace(",png", ".png").encode("utf-16"))
    found = list(calibrate.labelled(folder / "images", table, 1, 5, lower_is_better=False))
    assert len(found) == 10 and [f.label for f in found] == [e.label for e in expected]


def test_the_direction_of_the_labels_matters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["calibrate", str(folder / "images"), "--quality", str(folder / "model"), "--range", "1", "5"]
    table = labels(folder, 3.1, 0.2, sign=-1)
    assert cli.main([*arguments, "--labels", table]) == 1
    assert "add --lower-is-better" in capsys.readouterr().err
    assert cli.main([*arguments, "--labels", table, "--lower-is-better"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["quality"]["init_args"]["center"] == pytest.approx(3.1, abs=1e-4)


class Oracle(nn.Module):
    """Knows the samples, and scores them so that center 2 and scale 0.5 are right."""

    def __init__(self, samples: list[calibrate.Labelled]) -> None:
        super().__init__()
        self.samples = samples

    def forward(self, images: Tensor) -> Tensor:
        label = next(s.label for s in self.samples if torch.equal(s.image, images[0]))
        return torch.logit(torch.tensor([label / 100], dtype=torch.float64), eps=1e-6) / 2 + 2


def test_without_labels_photographs_are_degraded_and_compared_with_themselves(tmp_path: Path) -> None:
    for k in range(2):
        save_png(photos(1, 260, 300, seed=k)[0], tmp_path / f"{k}.png")
    samples, again = (list(calibrate.degraded(tmp_path, 8)) for _ in range(2))
    assert [s.label for s in samples] == [s.label for s in again]
    assert all(
        torch.equal(a.image, b.image) and a.image.shape == (3, 256, 256) for a, b in zip(samples, again, strict=True)
    )
    assert len({s.label for s in samples}) > 3 and all(0 <= s.label <= 100 for s in samples)
    found = calibrate.fit(Oracle(samples), samples)
    assert (found.calibration.center, found.calibration.scale) == pytest.approx((2, 0.5), abs=1e-3)
    assert found.srcc == pytest.approx(1) and found.images == 8


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--labels", "nowhere.csv"], "nowhere.csv cannot be read as a table"),
        (["--samples", "3"], "no photograph of 256 x 256 pixels"),
        (["--option", "x"], "--option takes KEY=VALUE"),
        (["--option", "x=1"], "is not a metric of pyiqa"),
    ],
)
def test_mistakes_are_sentences(
    options: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["calibrate", str(folder / "images"), "--quality", str(folder / "model"), *options]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0.png,50\n1.png,good", "line 2: expected path,label"),
        ("0.png,500", "line 1: label 500.0 is outside"),
        ("0.png,1\n1.png,2\n2.png,3", "cannot be fitted to 3 images"),
        ("absent.png,50", "absent.png"),
    ],
)
def test_bad_tables_are_named(text: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "labels.csv").write_text(text)
    arguments = ["--quality", str(folder / "model"), "--labels", str(folder / "labels.csv")]
    assert cli.main(["calibrate", str(folder / "images"), *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_an_unknown_option_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["calibrate", str(folder), "--quality", "x", "--iterations", "3"])
    assert stop.value.code == 2 and "unknown arguments: --iterations 3" in capsys.readouterr().err
