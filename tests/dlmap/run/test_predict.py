"""The road that users take: ``lightning predict`` and ``dlmap enhance``, in-process, on tiny models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from toys import CONFIG, IN_STAGES, NO_CRITIC, predict, rows_of

from dlmap import cli
from dlmap.run import writer
from dlmap.run.datamodule import Photo
from dlmap.run.files import read_csv
from dlmap.run.module import MAPEnhancer
from dlmap.run.record import COLUMNS, Journal
from dlmap.run.writer import Result
from mslique import lightning_cli, list_images


def test_a_folder_is_enhanced(
    folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, tmp_path / "out", *models) == 0
    assert "photographs: 100%" in (bar := capsys.readouterr().out) and "3/3" in bar
    rows = read_csv(tmp_path / "out" / "results.csv")
    assert [row["file"] for row in rows] == ["a.png", "b.png", "sub/c.png"]
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        assert row["status"] == "ok" and row["iterations"] == "2"
        before, after = (Image.open(path / row["file"]) for path in (folder, tmp_path / "out"))
        assert after.size == before.size and after.mode == "RGB"
        assert float(row["quality_after"]) != float(row["quality_before"])
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("[!.]*") if p.is_file())
    visible = [name for name in files if not name.startswith(".dlmap")]
    assert visible == ["a.png", "b.png", "config.yaml", "report.html", "results.csv", "sub/c.png"]
    assert yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["seed_everything"] == 0


def test_predictions_may_be_returned(folder: Path, tmp_path: Path, models: list[str]) -> None:
    assert predict(folder, tmp_path, *models, "--return_predictions=true", "--data.limit=1") == 0


@pytest.mark.parametrize("ascents", [[], [IN_STAGES]], ids=["one ascent", "stages"])
def test_the_result_does_not_depend_on_the_batch(
    ascents: list[str], folder: Path, tmp_path: Path, models: list[str]
) -> None:
    for size in (1, 3):
        assert predict(folder, tmp_path / str(size), *models, *ascents, f"--data.batch_size={size}") == 0
    for name in ("a.png", "b.png", "sub/c.png"):
        one, three = (np.asarray(Image.open(tmp_path / size / name)).astype(int) for size in ("1", "3"))
        assert np.abs(one - three).max() <= 1


def test_a_bad_photo_costs_only_itself(
    folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jpg").write_bytes(b"not a photo")
    assert predict(folder, tmp_path / "out", *models) == 1
    rows = {row["file"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert rows["bad.jpg"]["status"] == "failed" and "cannot be decoded" in rows["bad.jpg"]["error"]
    assert sum(row["status"] == "ok" for row in rows.values()) == 3
    assert len(list_images(tmp_path / "out")) == 3
    message = capsys.readouterr().err
    assert "error: 1 of 4 images failed" in message and "bad.jpg" in message


def test_an_error_that_nobody_foresaw_costs_one_photograph_after_others_have_worked(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(str(path.relative_to(folder)) for path in list_images(folder))
    enhance, broken = MAPEnhancer._enhance, names[-1]

    def refuses(self: MAPEnhancer, photos: Sequence[Photo]) -> list[Result]:
        if broken in [photo.record.file for photo in photos]:
            raise RuntimeError("a kernel refuses this size")
        return enhance(self, photos)

    monkeypatch.setattr(MAPEnhancer, "_enhance", refuses)
    assert predict(folder, tmp_path / "out", *models, "--data.batch_size=1") == 1
    rows = rows_of(tmp_path / "out")
    assert [rows[name]["status"] for name in names] == ["ok"] * (len(names) - 1) + ["failed"]
    assert rows[broken]["error"] == f"{broken}: a kernel refuses this size"
    broken = names[0]
    with pytest.raises(RuntimeError, match="a kernel refuses"):
        predict(folder, tmp_path / "out2", *models, "--data.batch_size=1")


@pytest.mark.parametrize("error", [KeyError(".xyz"), TypeError("no number")])
def test_an_error_of_a_picture_s_writer_costs_that_photograph_alone(
    error: Exception, folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, count = writer.save_picture, 0

    def fails(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise error
        save(*arguments)

    monkeypatch.setattr(writer, "save_picture", fails)
    assert predict(folder, tmp_path / "out", *models, "--data.batch_size=1") == 1
    states = [row["status"] for row in rows_of(tmp_path / "out").values()]
    assert states.count("failed") == 1 and len(states) > 2


def test_the_short_form_and_a_single_file(folder: Path, tmp_path: Path, models: list[str]) -> None:
    assert cli.main(["enhance", str(folder / "sub" / "c.png"), str(tmp_path / "out"), *models, NO_CRITIC]) == 0
    assert [row["file"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["c.png"]


def test_null_on_the_command_line_is_none_within_a_model_too(capsys: pytest.CaptureFixture[str]) -> None:
    nulls = ["--model.prior.tile", "null", "--model.objective.critic=null", "--model.objective.quality.piece", "null"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["enhance", "photos", "out", *nulls, "--print_config"])
    model = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]
    objective = model["objective"]["init_args"]
    assert model["prior"]["init_args"]["tile"] is None
    assert objective["critic"] is None and objective["quality"]["init_args"]["piece"] is None


def test_rows_and_report_tell_stages_apart(folder: Path, tmp_path: Path, models: list[str]) -> None:
    assert predict(folder, tmp_path, *models, IN_STAGES) == 0
    for row in read_csv(tmp_path / "results.csv"):
        assert (row["status"], row["iterations"], row["stages"]) == ("ok", "3", "2 + 1")
        assert float(row["quality_after"]) != float(row["quality_before"])
    records = Journal(tmp_path).read().values()
    assert all(record.stages == [3, 2] and len(record.curves["quality"]) == 5 for record in records)
    assert '"stages": [3, 2]' in (tmp_path / "report.html").read_text()


def test_the_quality_after_is_that_of_the_file(folder: Path, tmp_path: Path, models: list[str]) -> None:
    """Not that of the numbers before they were rounded to 8 bits; asked of the file itself, by another run."""
    assert predict(folder, tmp_path / "out", *models) == 0
    assert predict(tmp_path / "out", tmp_path / "again", *models, "--model.ascent.iterations=0") == 0
    first, again = (read_csv(tmp_path / name / "results.csv") for name in ("out", "again"))
    for one, other in zip(first, again, strict=True):
        assert float(one["quality_after"]) == pytest.approx(float(other["quality_before"]), abs=1e-3)


def test_a_photograph_that_gains_too_little_comes_back_as_it_was(
    folder: Path, tmp_path: Path, models: list[str]
) -> None:
    assert predict(folder, tmp_path, *models, "--model.ascent.margin=1000") == 0
    for row in read_csv(tmp_path / "results.csv"):
        assert np.array_equal(
            np.asarray(Image.open(folder / row["file"])), np.asarray(Image.open(tmp_path / row["file"]))
        )
        assert row["quality_after"] == row["quality_before"] and "left as it was" in row["note"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--data.folder=nowhere", "nowhere is not a folder"),
        ("--model.prior.solver=euler", "unknown solver 'euler'"),
        ("--model.prior.path=nowhere", "nowhere is neither a folder or file"),
        ("--model.objective.quality.model=nowhere", "nowhere is neither a folder"),
        ("--model.ascent.momentum=1", "ascent.momentum must be at least 0 and below 1"),
        ("--trainer.inference_mode=true", "--trainer.inference_mode false"),
        ("--trainer.precision=bf16-true", "--trainer.precision bf16-true would round the photographs"),
        ("--model.ascent.domain=noise", "ascent.domain must be one of latent, pixel, bands"),
        ("--output=/dev/null", "is a file: give a folder"),
        ("--output=", "--output is empty"),
        ("--data.folder=", "--data.folder is empty"),
        ("--data.num_workers=-1", "--data.num_workers is -1: give at least 0"),
        ("--model.ascent=[]", "--model.ascent is empty"),
        ("--model.ascent=null", "--model.ascent is empty"),
        ("--trainer.max_time=00:00:00:05", "--trainer.max_time ends no predictions"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    option: str, sentence: str, folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["predict", "--config", str(CONFIG), "--data.folder", str(folder), "--output", str(tmp_path / "out")]
    assert lightning_cli.main([*config, *models, option]) == 1
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith("error: ")


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["enhance", "--help"])
    assert stop.value.code == 0 and "lightning predict" in capsys.readouterr().out
