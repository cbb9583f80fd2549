"""``dlmap study score`` on a study whose pictures, and so the answers, are known."""

import csv
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn
from toys import photos, save_quality

from dlmap import cli
from dlmap.fidelity import NLPD
from dlmap.quality import MSLIQEQuality
from dlmap.run.pictures import save_png
from dlmap.study.definition import Study
from dlmap.study.figures import draw_matrix
from dlmap.study.score import make_matrix
from mslique import read_image

SHIFTS = {"bright": 0.1, "dark": -0.1, "same": 0.0}

NAMES = ("a", "b", "selfish")
OWN = {name: name for name in NAMES}


class Channel(nn.Module):
    """The mean of one channel, in per cent; negative: what is missing to 100."""

    def __init__(self, index: int, sign: int = 1) -> None:
        super().__init__()
        self.index, self.sign = index, sign

    def forward(self, images: Tensor) -> Tensor:
        return 50 + self.sign * 50 * images[:, self.index].mean(dim=(1, 2))


def judge(index: int, sign: int) -> dict[str, object]:
    return {"class_path": f"{__name__}.Channel", "init_args": {"index": index, "sign": sign}}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Two photographs; the model of "dark" alone likes dark pictures."""
    monkeypatch.setenv("MSLIQE_CLASSES", __name__)
    fidelity = {"class_path": "dlmap.fidelity.NLPD", "init_args": {"levels": 5, "low": True}}
    details = {
        "model": {"init_args": {"objective": {"init_args": {"fidelity": fidelity}}}},
        "judges": {"bright": judge(0, 1), "dark": judge(0, -1), "same": judge(1, 1)},
        "own": {name: name for name in SHIFTS},
    }
    made = Study(tmp_path / "study", tuple(SHIFTS), ("a.png", "sub/b.png"), "token", details=details)
    for k, photo in enumerate(made.photos):
        image = photos(1, 40, 50, seed=k)[0]
        save_png(image, made.original(photo))
        for name, shift in SHIFTS.items():
            save_png(image + shift, made.output(name, photo))
    made.save()
    return made


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_model_that_only_itself_likes_is_exposed(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "score", str(study.folder)]) == 0
    printed = capsys.readouterr().out
    assert "bright: 50% by the other judges, 100% by bright, which the ascent followed\n" in printed
    assert "dark is liked only by itself: dark prefers its pictures, no other judge does" in printed
    rows = {row["contestant"]: row for row in table(study.folder / "matrix.csv")}
    assert [float(rows["dark"][judge]) for judge in SHIFTS] == [0, 1, 0]
    assert [float(rows["bright"][judge]) for judge in SHIFTS] == [1, 0, 1]
    assert [row["liked_only_by_itself"] for row in rows.values()] == ["no", "no", "yes"]
    assert float(rows["bright"]["over_the_original"]) == 0.5 and float(rows["same"]["over_the_original"]) == 0
    scores = table(study.folder / "scores.csv")
    assert len(scores) == 2 * 4 * 3
    for row in scores:
        name, photo = row["contestant"], row["photo"]
        image = read_image(study.original(photo) if name == "@original" else study.output(name, photo))
        model = Channel(*{"bright": (0, 1), "dark": (0, -1), "same": (1, 1)}[row["judge"]])
        assert float(row["calibrated"]) == pytest.approx(model(image[None]).item(), rel=1e-5) and row["raw"] == ""
    with Image.open(study.folder / "matrix.png") as picture:
        assert picture.size[0] > 500


def test_distances_to_the_original(study: Study) -> None:
    assert cli.main(["study", "score", str(study.folder)]) == 0
    rows = {(row["photo"], row["contestant"]): row for row in table(study.folder / "fidelity.csv")}
    assert len(rows) == 6
    for photo in study.photos:
        original, bright = read_image(study.original(photo)), read_image(study.output("bright", photo))
        row = rows[photo, "bright"]
        assert float(row["psnr"]) == pytest.approx(-10 * (original - bright).square().mean().log10().item(), abs=1e-3)
        assert float(row["fidelity"]) == pytest.approx(NLPD(5, True)(bright[None], original[None]).item(), rel=1e-4)
        assert 0.5 < float(row["ssim"]) < 1
        same = rows[photo, "same"]
        assert (same["psnr"], float(same["fidelity"])) == ("inf", 0) and float(same["ssim"]) == pytest.approx(
            1, abs=1e-5
        )


def test_a_picture_smaller_than_the_window_of_ssim_has_none(study: Study) -> None:
    for photo in study.photos:
        for name in ("@original", *SHIFTS):
            save_png(photos(1, 8, 9)[0], study.picture(name, photo))
    assert cli.main(["study", "score", str(study.folder)]) == 0
    with (study.folder / "fidelity.csv").open(newline="") as file:
        assert {row["ssim"] for row in csv.DictReader(file)} == {""}


def test_further_judges(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_quality(str(tmp_path / "quality"))
    constants = {"center": 3.0, "scale": 0.5}
    monkeypatch.setattr(
        "dlmap.study.models.fitted",
        lambda entries, *_: {k: {**e, "init_args": {**e["init_args"], **constants}} for k, e in entries.items()},
    )
    command = ["study", "score", str(study.folder), "--quality"]
    assert cli.main([*command, f"mslique:{tmp_path / 'quality'}"]) == 0
    rows = [row for row in table(study.folder / "scores.csv") if row["judge"] == "quality"]
    model = MSLIQEQuality(str(tmp_path / "quality"), 3.0, 0.5)
    for row in rows:
        if row["contestant"] == "bright":
            image = read_image(study.output("bright", row["photo"]))[None]
            assert float(row["calibrated"]) == pytest.approx(model(image).item(), rel=1e-5)
            assert float(row["raw"]) == pytest.approx(model.model(image).item(), rel=1e-5)
    assert len(rows) == 8 and "quality" in table(study.folder / "matrix.csv")[0]
    capsys.readouterr()
    for text, sentence in (
        (f"dark=mslique:{tmp_path / 'quality'}", "dark is a judge of the study already"),
        ("pyiqa:entropy", "1 of 1 models cannot be used: entropy"),
    ):
        assert cli.main([*command, text]) == 1
        assert sentence in capsys.readouterr().err


def test_a_judge_without_a_score_is_named(
    study: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Channel, "forward", lambda self, images: images.mean((1, 2, 3)) / 0 * 0)
    assert cli.main(["study", "score", str(study.folder)]) == 1
    assert "bright gives @original of a.png no finite score" in capsys.readouterr().err


def test_a_study_that_tells_nothing(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    Study(study.folder, study.contestants, study.photos, "token").save()
    assert cli.main(["study", "score", str(study.folder)]) == 1
    assert "does not tell of a quality model: give judges (--quality)" in capsys.readouterr().err
    assert cli.main(["study", "score", str(study.folder / "none")]) == 1
    assert "is no study" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["judge", "fidelity"])
def test_a_study_of_somebody_else_builds_no_class_that_a_configuration_may_not_name(
    study: Study, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = {"class_path": "pyiqa.models.inference_model.InferenceModel", "init_args": {"metric_name": "niqe"}}
    if place == "judge":
        study.details["judges"]["bright"] = foreign
    else:
        study.details["model"]["init_args"]["objective"]["init_args"]["fidelity"] = foreign
    study.save()
    assert cli.main(["study", "score", str(study.folder)]) == 1
    assert "is not allowed" in capsys.readouterr().err


def scores() -> tuple[np.ndarray, np.ndarray]:
    """On four photographs a and b agree that a is best and selfish is worst; selfish prefers itself, then b."""
    judges = [[3.0, 2.0, 1.0], [30.0, 20.0, 10.0], [1.0, 2.0, 3.0]]
    return np.repeat(np.array(judges)[:, None], 4, axis=1), np.tile([[2.5], [5.0], [2.0]], 4)


def test_a_model_liked_only_by_itself_is_exposed(tmp_path: Path) -> None:
    matrix = make_matrix(NAMES, NAMES, OWN, *scores())
    assert matrix.contestants == matrix.judges == ("b", "a", "selfish")
    np.testing.assert_allclose(matrix.preference, [[0.5, 1, 1], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(matrix.by_others, [1, 0.5, 0])
    np.testing.assert_allclose(matrix.over_original, [0, 0.5, 0.5])
    assert matrix.only_by_itself.tolist() == [False, False, True]
    assert "selfish is liked only by itself" in matrix.text() and "a is liked" not in matrix.text()
    matrix.write(tmp_path / "matrix.csv")
    rows = list(csv.DictReader((tmp_path / "matrix.csv").open()))
    assert [row["contestant"] for row in rows] == ["b", "a", "selfish"]
    assert [row["liked_only_by_itself"] for row in rows] == ["no", "no", "yes"]
    assert rows[2]["selfish"] == "1.0000" and rows[1]["preferred_by_the_others"] == "0.5000"


def test_preference_counts_comparisons_and_halves_ties() -> None:
    rng = np.random.default_rng(0)
    values, originals = rng.integers(0, 4, (2, 5, 4)).astype(float), rng.integers(0, 4, (2, 5)).astype(float)
    names, judges, own = ("a", "b", "c", "d"), ("x", "y"), {"a": "x", "b": "y"}
    matrix = make_matrix(names, judges, own, values, originals)
    won = np.zeros((4, 2))
    for j, p, (one, other) in ((j, p, pair) for j in range(2) for p in range(5) for pair in permutations(range(4), 2)):
        if own.get(names[one]) == judges[j] or own.get(names[other]) != judges[j]:
            won[one, j] += (values[j, p, one] > values[j, p, other]) + 0.5 * (values[j, p, one] == values[j, p, other])
    count = 5 * np.array([[3, 2], [2, 3], [2, 2], [2, 2]])
    order = [names.index(name) for name in matrix.contestants]
    columns = [judges.index(name) for name in matrix.judges]
    np.testing.assert_allclose(matrix.preference, (won / count)[order][:, columns])
    means = {"a": won[0, 1] / 10, "b": won[1, 0] / 10, "c": won[2].sum() / 20, "d": won[3].sum() / 20}
    np.testing.assert_allclose(matrix.by_others, [means[name] for name in matrix.contestants])
    assert list(matrix.by_others) == sorted(matrix.by_others, reverse=True)


def test_without_a_neutral_judge_nobody_is_blamed() -> None:
    pair = make_matrix(NAMES[:2], NAMES[:2], OWN, np.array([[[2.0, 1.0]], [[1.0, 2.0]]]), np.zeros((2, 1)))
    assert np.isnan(pair.by_others).all() and not pair.only_by_itself.any()
    values, originals = scores()
    matrix = make_matrix(NAMES, ("q",), dict.fromkeys(NAMES, "q"), values[:1], originals[:1])
    assert np.isnan(matrix.by_others).all() and not matrix.only_by_itself.any()
    assert "\na: 100% by q, which the ascent followed\n" in matrix.text()


@pytest.mark.parametrize("count", [2, 12])
def test_the_figure_is_a_picture(count: int, tmp_path: Path) -> None:
    names = tuple(f"model-{k}" for k in range(count))
    rng = np.random.default_rng(0)
    matrix = make_matrix(
        names, names, dict(zip(names, names, strict=True)), rng.random((count, 6, count)), rng.random((count, 6))
    )
    draw_matrix(matrix, tmp_path / "matrix.png")
    with Image.open(tmp_path / "matrix.png") as picture:
        assert min(picture.size) > 500 and len(picture.convert("RGB").getcolors(2**20)) > 100
