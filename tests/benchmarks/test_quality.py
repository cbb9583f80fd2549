"""The measurements of a quality model, in-process, on a tiny one and on scores whose answers are known."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from skimage import data
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import label_constants  # noqa: E402
import quality  # noqa: E402

from mslique import DEGRADATIONS, UNSEEN_DEGRADATIONS, reference_quality  # noqa: E402


@pytest.fixture
def photos(tmp_path: Path) -> str:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return str(folder)


@pytest.fixture(scope="module")
def clean() -> Tensor:
    crops = [getattr(data, name)()[40:168, 140:268] for name in ("astronaut", "chelsea")]
    return torch.stack([torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in crops]).float() / 255


@pytest.mark.slow
def test_every_table_is_printed(
    photos: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "REPORTED", (1, 2))
    quality.main([photos, "--model", str(ROOT / "data" / "mslique-tiny"), "--samples", "18", "--crops", "2"])
    mixtures, kinds, severities, ascents, calibration = capsys.readouterr().out.split("\n\n")
    rows = [line.split(" | ")[0].strip("| ") for line in mixtures.splitlines()[2:]]
    assert rows == ["mixtures of training", *UNSEEN_DEGRADATIONS, "all kinds never trained on"]
    assert len(kinds.splitlines()) == 2 + len(quality.KINDS)
    assert len(severities.splitlines()) == 2 + len(DEGRADATIONS) + len(UNSEEN_DEGRADATIONS) + 1
    assert len(ascents.splitlines()) == 2 + 1 + 2 * len(quality.ASCENTS)
    assert "calibration: center" in calibration


@pytest.mark.slow
def test_a_score_that_knows_the_original_follows_every_severity(clean: Tensor) -> None:
    def label(images: Tensor) -> Tensor:
        return reference_quality(images, clean.repeat(len(images) // len(clean), 1, 1, 1))

    rows = {row[0]: row[1:] for row in quality.severity_rows(label, clean)}
    assert rows["jpeg"][0] == "6 of 6" and float(rows["jpeg"][1]) > 0.9
    upside_down = {row[0]: row[1:] for row in quality.severity_rows(lambda x: -label(x), clean)}
    assert upside_down["all"][0].startswith("0 of") and float(upside_down["jpeg"][1]) < -0.9


@pytest.mark.slow
def test_a_kind_that_is_scored_too_low_is_told(clean: Tensor) -> None:
    def label(images: Tensor) -> Tensor:
        return reference_quality(images, clean)

    rows = {row[0]: row[1:] for row in quality.kind_rows(label, lambda score: score - 5, clean)}
    assert list(rows) == [quality.title(name) for name in quality.KINDS]
    for mean, off, deviation, order in rows.values():
        assert 0 < float(mean) < 100 and (off, deviation, order) == ("-5.0", "0.0", "1.00")


def test_a_score_that_loves_brightness_is_fooled(clean: Tensor) -> None:
    rows = list(quality.ascent_rows(lambda x: 3 * x.mean(dim=(1, 2, 3)), clean, clean))
    assert len(rows) == 1 + len(quality.ASCENTS) * len(quality.REPORTED)
    assert rows[0][3] == "100.0" and rows[1][-1] == "0 of 2"
    brighter = float(rows[3][2]) - float(rows[0][2])
    assert brighter == pytest.approx(60 / 255, abs=0.05)  # 20 steps of one level, less what was white before
    assert rows[3][-1] == "2 of 2" and float(rows[3][3]) < 99


def test_unseen_crops_are_scored_with_their_labels(clean: Tensor) -> None:
    crops = clean.repeat(9, 1, 1, 1)
    rows = list(quality.correlations(lambda x: x.std(dim=(1, 2, 3)), torch.arange(3.0), torch.arange(3.0), crops))
    assert rows[0] == ("mixtures of training", 3, "1.0000", "1.0000")
    assert [row[1] for row in rows[1:]] == [3] * 6 + [18]


def test_the_constants_are_those_of_the_fitted_scale(photos: str, capsys: pytest.CaptureFixture[str]) -> None:
    label_constants.main([photos, "--samples", "24"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["nlpd", "gmsd", "ms_ssim", "fsim"]
    found = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
    table = label_constants.table(dict(zip("abcd", found.T.contiguous(), strict=True)), dict.fromkeys("abcd", 1.0))
    last = table.splitlines()[-1].strip("| ").split(" | ")
    scale, power = float(last[1]), float(last[2])
    marks = torch.exp(-((found[:, 3] / scale) ** power))
    assert marks.quantile(0.25).item() == pytest.approx(0.25, abs=0.01)
    assert abs(float(last[3])) < 0.3 and spearmanr(found[:, 3], found[:, 0]).statistic < 0.3  # unrelated columns
