import csv
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mslique import MSLIQE, UserError, read_image, scoring
from mslique.cli import main


@pytest.fixture(scope="module")
def model_folder(tiny_model: Callable[..., MSLIQE], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    return folder


def test_score_prints_what_the_model_says(
    model_folder: Path, photo_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    cat = photo_folder / "chelsea.png"
    assert main(["score", str(cat), "--model", str(model_folder)]) == 0
    expected = MSLIQE.from_pretrained(model_folder)(read_image(cat)[None]).item()
    assert capsys.readouterr().out == f"{expected:.4f}  {cat}\n"


def test_tables_levels_and_folders(
    model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes((photo_folder / "coffee.png").read_bytes())
    (tmp_path / "in" / "below" / "b.png").write_bytes((photo_folder / "rocket.png").read_bytes())
    options = ["score", str(tmp_path / "in"), "--model", str(model_folder), "--levels", "--device", "cpu"]
    assert main([*options, "--json", str(tmp_path / "flat.json")]) == 0
    tables = ["--json", str(tmp_path / "s.json"), "--csv", str(tmp_path / "s.csv")]
    assert main([*options, "--recursive", "--batch-size", "2", *tables]) == 0
    (flat,), deep = (json.loads((tmp_path / name).read_text()) for name in ("flat.json", "s.json"))
    assert [Path(record["file"]).name for record in deep] == ["a.png", "b.png"]
    levels = [flat[f"level_{k}"] for k in range(1, 6)]
    assert sum(levels) == pytest.approx(1, abs=1e-5)
    assert flat["score"] == pytest.approx(sum(k * p for k, p in enumerate(levels, start=1)), abs=1e-4)
    assert deep[0] == pytest.approx(flat, abs=1e-5)  # alone and in a batch
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [float(row["level_3"]) for row in rows] == [record["level_3"] for record in deep]


def test_one_bad_image_does_not_stop_the_others(
    model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    table = tmp_path / "scores.csv"
    status = main(["score", str(broken), str(photo_folder), "--model", str(model_folder), "--csv", str(table)])
    assert status == 1
    rows = list(csv.DictReader(table.open()))
    assert [Path(row["file"]).name for row in rows] == [
        "broken.png", "astronaut.png", "chelsea.png", "coffee.png", "rocket.png"
    ]  # fmt: skip
    assert rows[0]["score"] == "" and "broken.png" in rows[0]["error"]
    assert all(1 <= float(row["score"]) <= 5 and row["error"] == "" for row in rows[1:])
    streams = capsys.readouterr()
    assert streams.err.startswith("error: ") and streams.out.count("\n") == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "x.png", "--model", "MISSING"],
        ["score", "EMPTY"],
        ["export", "MISSING", "out"],
        ["import", "MISSING", "out"],
        ["export", "MISSING", "out", "--data", "MISSING"],
        ["score", "PHOTO", "--device", "quantum"],
        ["score", "PHOTO", "--json", "MISSING"],
        ["splits", "MISSING", "OUT", "--splits", "1"],
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "nothing").mkdir()
    places = {"MISSING": str(tmp_path / "missing" / "deep" / "file"), "EMPTY": str(tmp_path / "nothing")}
    places |= {"PHOTO": str(photo_folder / "coffee.png"), "OUT": str(tmp_path / "out")}
    model = ["--model", str(model_folder)] if arguments[1] in ("EMPTY", "PHOTO") else []
    assert main([places.get(word, word) for word in arguments] + model) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "x.png", "--batch-size", "0"], "whole number from 1"),
        (["score", "x.png", "--modle", "y"], "unrecognized arguments: --modle y"),
        (["import", "a", "b", "--set", "scales"], "is not NAME=JSON"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_a_mistake(
    model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["score", str(photo_folder / "coffee.png"), "--model", str(model_folder), "--csv", str(tmp_path)]
    assert main(arguments) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_table_never_replaces_an_image_or_the_other_table(
    model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes((photo_folder / "coffee.png").read_bytes())
    command = ["score", str(tmp_path), "--model", str(model_folder)]
    assert main([*command, "--csv", str(photo)]) == 2
    assert "is one of the images" in capsys.readouterr().err
    assert photo.read_bytes() == (photo_folder / "coffee.png").read_bytes()
    assert main([*command, "--csv", str(tmp_path / "t"), "--json", str(tmp_path / "." / "t")]) == 2
    assert "give two files" in capsys.readouterr().err and not (tmp_path / "t").exists()


def test_a_name_that_is_not_utf8_is_printed_and_written_as_its_bytes(
    model_folder: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / os.fsdecode(b"\xe9.png")).write_bytes((photo_folder / "coffee.png").read_bytes())
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="utf-8", write_through=True))
    assert main(["score", str(tmp_path), "--model", str(model_folder), "--csv", str(tmp_path / "t.csv")]) == 0
    assert printed.getvalue().endswith(b"\\udce9.png\n")
    assert os.fsencode(tmp_path) + b"/\xe9.png," in (tmp_path / "t.csv").read_bytes()


def test_ctrl_c_leaves_the_scores_so_far(
    model_folder: Path,
    photo_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score_files = scoring.score_files

    def stopped(*arguments: Any) -> Iterator[scoring.Score]:
        yield next(score_files(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score_files", stopped)
    table = tmp_path / "t.csv"
    assert main(["score", str(photo_folder), "--model", str(model_folder), "--csv", str(table)]) == 2
    assert "stopped after 1 of 4 images" in capsys.readouterr().err
    assert [Path(row["file"]).name for row in csv.DictReader(table.open())] == ["astronaut.png"]


def test_a_full_disk_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("old")

    def full(path: Path, data: bytes) -> int:
        path.open("wb").write(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"t\.csv cannot be written \(No space left"):
        scoring.write_tables([scoring.Score(Path("a.png"), 1.0)], False, tmp_path / "t.csv", None)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("t.csv", "old")]


@pytest.mark.parametrize("count", [3, 7])
def test_a_table_has_the_levels_of_the_model_also_where_a_file_failed(count: int, tmp_path: Path) -> None:
    shares = tuple(k / 10 for k in range(count))
    scores = [scoring.Score(Path("bad.png"), error="no image"), scoring.Score(Path("a.png"), 2.0, shares)]
    scoring.write_tables(scores, True, tmp_path / "t.csv", None)
    bad, good = csv.DictReader((tmp_path / "t.csv").open())
    assert list(good)[3:] == [f"level_{k}" for k in range(1, count + 1)] and bad["level_3"] == ""
    assert [float(value) for value in list(good.values())[3:]] == list(shares)


@pytest.mark.slow
def test_import_turns_clip_weights_into_a_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = MSLIQE()
    weights = {name: value.half() for name, value in source.clip.state_dict().items()}
    torch.save({"model_state_dict": weights}, tmp_path / "clip.pt")
    source.clip.load_state_dict(weights)
    image = torch.rand(1, 3, 300, 300)
    assert main(["import", str(tmp_path / "clip.pt"), str(tmp_path / "model")]) == 0
    with torch.no_grad():
        torch.testing.assert_close(MSLIQE.from_pretrained(tmp_path / "model")(image), source.eval()(image))
    changes = ["--preset", "liqe", "--set", "n_crops=4", "--set", 'crop_rule="even"']
    assert main(["import", str(tmp_path / "clip.pt"), str(tmp_path / "liqe"), *changes]) == 0
    config = json.loads((tmp_path / "liqe" / "config.json").read_text())
    assert config["n_crops"] == 4 and config["softmax_divisor"] == 1.0 and len(config["scenes"]) == 9
    assert len(MSLIQE.from_pretrained(tmp_path / "liqe").text_features()) == 495
