import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mslique import MSLIQE, read_image
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
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "nothing").mkdir()
    places = {"MISSING": str(tmp_path / "missing" / "deep" / "file"), "EMPTY": str(tmp_path / "nothing")}
    model = ["--model", str(model_folder)] if arguments == ["score", "EMPTY"] else []
    assert main([places.get(word, word) for word in arguments] + model) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_a_table_that_cannot_be_written_is_a_mistake(
    model_folder: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["score", str(photo_folder / "coffee.png"), "--model", str(model_folder), "--csv", str(tmp_path)]
    assert main(arguments) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_import_turns_clip_weights_into_a_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = MSLIQE()
    torch.save(source.clip.state_dict(), tmp_path / "clip.pt")
    assert main(["import", str(tmp_path / "clip.pt"), str(tmp_path / "model")]) == 0
    image = torch.rand(1, 3, 300, 300)
    with torch.no_grad():
        expected = source.eval()(image)
        torch.testing.assert_close(MSLIQE.from_pretrained(tmp_path / "model")(image), expected)
