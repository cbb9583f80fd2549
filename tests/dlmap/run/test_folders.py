"""Folders through the command: what is skipped, what is kept of a file, what happens when things go wrong."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from toys import NO_CRITIC, photos, predict, rows_of

from dlmap.fidelity import NLPD
from dlmap.run import module, writer
from dlmap.run.pictures import save_picture, save_png, to_pillow
from mslique import list_images, read_image


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_only_what_is_not_done_is_done(folder: Path, tmp_path: Path, models: list[str]) -> None:
    out = tmp_path / "out"

    def done(*options: str) -> set[str]:
        """The results that a run wrote."""
        before = {path: path.stat().st_mtime_ns for path in list_images(out)} if out.exists() else {}
        assert predict(folder, out, *models, *options) == 0
        return {str(p.relative_to(out)) for p in list_images(out) if before.get(p) != p.stat().st_mtime_ns}

    everything = {"a.png", "b.png", "sub/c.png"}
    assert done("--data.limit=1") == {"a.png"}
    assert done() == {"b.png", "sub/c.png"}
    rows = rows_of(out)
    assert done("--data.batch_size=1", "--model.report=false") == set()
    assert rows_of(out) == rows and set(rows) == everything
    (out / "b.png").unlink()
    os.utime(folder / "sub" / "c.png")
    assert done() == {"b.png", "sub/c.png"}
    assert done("--data.overwrite=true", "--data.include=a*") == {"a.png"}
    assert done("--model.ascent.step_size=0.25") == everything


def test_the_result_is_of_the_kind_of_the_input(tmp_path: Path, models: list[str]) -> None:
    colours, alpha = photos(1, 32, 40)[0], torch.linspace(0, 1, 32)[:, None].expand(32, 40)
    grey = colours[:1].expand(3, -1, -1)
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "A camera", 6
    folder, out = tmp_path / "in", tmp_path / "out"
    save_picture(to_pillow(grey, grey=True), folder / "grey.png")
    save_picture(to_pillow(grey, alpha, grey=True), folder / "la.png")
    save_picture(to_pillow(colours, alpha), folder / "rgba.png")
    Image.fromarray(pixels(folder / "grey.png").astype(np.uint16) * 257).save(folder / "deep.png")
    to_pillow(colours).save(folder / "photo.jpg", quality=95, exif=exif)
    assert predict(folder, out, *models, "--model.format=input", "--model.metadata=true") == 0
    modes = {path.name: Image.open(path).mode for path in list_images(out)}
    assert modes == {"grey.png": "L", "la.png": "LA", "rgba.png": "RGBA", "deep.png": "L", "photo.jpg": "RGB"}
    for name in ("la.png", "rgba.png"):
        assert (pixels(out / name)[..., -1] == pixels(folder / name)[..., -1]).all()
    # colours are enhanced as they are stored: neither transparency nor the depth of the file matters
    assert np.abs(pixels(out / "la.png")[..., 0] - pixels(out / "grey.png")).max() <= 1
    assert np.abs(pixels(out / "deep.png") - pixels(out / "grey.png")).max() <= 1
    photo = Image.open(out / "photo.jpg")
    assert photo.size == (32, 40) and photo.getexif()[0x0110] == "A camera" and 0x0112 not in photo.getexif()
    assert rows_of(out)["grey.png"]["quality_after"] != rows_of(out)["grey.png"]["quality_before"]


def test_fidelity_is_to_the_reference(folder: Path, tmp_path: Path, models: list[str]) -> None:
    reference, out = tmp_path / "reference", tmp_path / "out"
    save_picture(to_pillow(photos(1, 32, 40, seed=7)[0]), reference / "a.webp")
    save_png(photos(1, 32, 50, seed=8)[0], reference / "b.png")
    assert predict(folder, tmp_path / "plain", *models) == 0
    assert predict(folder, out, *models, f"--data.reference={reference}") == 1
    rows = rows_of(out)
    assert rows["a.png"]["status"] == "ok"
    assert rows["b.png"]["status"] == "failed" and "has 50 x 32 pixels, b.png has 40 x 32" in rows["b.png"]["error"]
    assert rows["sub/c.png"]["status"] == "failed" and "no reference" in rows["sub/c.png"]["error"]
    images = [read_image(path)[None] for path in (out / "a.png", reference / "a.webp")]
    assert float(rows["a.png"]["fidelity"]) == pytest.approx(NLPD(levels=5, low=True)(*images).item(), rel=0.02)
    assert np.abs(pixels(out / "a.png") - pixels(tmp_path / "plain" / "a.png")).max() > 0
    free, fixed = (
        np.abs((pixels(place / "a.png") - pixels(folder / "a.png")).mean(axis=(0, 1))).max()
        for place in (out, tmp_path / "plain")
    )
    assert fixed < 0.1 < free  # the mean colour, in levels: without a reference the configuration holds it


def test_running_out_of_memory_costs_time_and_nothing_else(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict(folder, tmp_path / "plain", *models) == 0
    enhance = module.enhance

    def short_of_memory(images: Tensor, *rest: Any) -> Any:
        if len(images) > 1 or images.shape[-1] == 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return enhance(images, *rest)

    monkeypatch.setattr(module, "enhance", short_of_memory)
    assert predict(folder, tmp_path / "out", *models) == 1
    rows = rows_of(tmp_path / "out")
    for name in ("a.png", "b.png"):
        assert rows[name]["status"] == "ok" and rows[name]["note"] == "memory ran out: 1 at a time"
        assert np.abs(pixels(tmp_path / "out" / name) - pixels(tmp_path / "plain" / name)).max() <= 1
    assert rows["sub/c.png"]["status"] == "failed" and "memory does not suffice" in rows["sub/c.png"]["error"]


HOSTILE = ["<script>alert(1).png", "new\nline.png", "quo\"te,'.png", "späße 写真 .PNG", "%41&lt;.png"]


def test_hostile_names(tmp_path: Path, models: list[str]) -> None:
    names = [*HOSTILE, os.fsdecode(b"not-utf8-\xff.png"), "a.jpg", "a.bmp", "long" * 61 + ".webp"]
    for name in names:
        save_picture(to_pillow(photos(1, 32, 32)[0]), tmp_path / "in" / name)
    assert predict(tmp_path / "in", tmp_path / "out", *models) == 0
    rows = rows_of(tmp_path / "out")
    assert set(rows) == set(names) and all(row["status"] == "ok" for row in rows.values())
    results = {path.name for path in list_images(tmp_path / "out")}
    assert len(results) == len(names) and {"a.jpg.png", "a.bmp.png", "new\nline.png"} <= results
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), None, "b.png cannot be written (No space left on device)"),
        (ValueError("too large for the format"), "failed", "b.png cannot be written: too large for the format"),
    ],
    ids=["of the disk", "of the picture"],
)
def test_a_result_that_cannot_be_written(
    error: Exception,
    status: str | None,
    sentence: str,
    folder: Path,
    tmp_path: Path,
    models: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of the disk ends the run with what was done before kept; one of the picture costs only that picture."""

    def save(picture: Image.Image, path: Path, metadata: object) -> None:
        if path.name == "b.png":
            raise error
        save_picture(picture, path)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "save_picture", save)
        assert predict(folder, tmp_path / "out", *models, "--data.batch_size=1") == 1
    assert sentence in capsys.readouterr().err
    if status is not None:
        assert {name: row["status"] for name, row in rows_of(tmp_path / "out").items()}["b.png"] == status
    first = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    assert predict(folder, tmp_path / "out", *models) == 0
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == first
    assert {row["status"] for row in rows_of(tmp_path / "out").values()} == {"ok"}


def test_a_folder_where_a_result_goes_costs_only_that_result(
    folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "a.png").mkdir(parents=True)
    (out / "sub").touch()
    assert predict(folder, out, *models) == 1
    rows = rows_of(out)
    assert [rows[name]["status"] for name in ("a.png", "b.png", "sub/c.png")] == ["failed", "ok", "failed"]
    assert "a.png cannot be written" in rows["a.png"]["error"] and "2 of 3 images failed" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.csv", "report.html"])
def test_a_folder_where_a_table_goes_is_one_sentence(
    name: str, folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    assert predict(folder, tmp_path / "out", *models) == 1
    assert f"{name} cannot be written (Is a directory)" in capsys.readouterr().err
    (tmp_path / "out" / name).rmdir()
    assert predict(folder, tmp_path / "out", *models) == 0
    assert len(rows_of(tmp_path / "out")) == 3


def test_an_output_that_cannot_be_written_to_is_known_before_the_work(
    folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(module, "enhance", None)
    assert predict(folder, tmp_path / "file" / "out", *models) == 1
    error = capsys.readouterr().err
    assert "out cannot be made (Not a directory): allow it, or give another folder" in error
    assert "Traceback" not in error


def test_report_can_be_written_again(
    folder: Path, tmp_path: Path, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from dlmap import cli

    out = tmp_path / "out"
    assert cli.main(["enhance", str(folder), str(out), "--limit", "2", *models, NO_CRITIC]) == 0
    first = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert cli.main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == first
    assert cli.main(["report", str(folder)]) == 1
    assert "holds no results" in capsys.readouterr().err
