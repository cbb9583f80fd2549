"""Folders full of what is no photograph: every file costs only itself, whatever it is."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hostile import write_bad, write_odd
from PIL import Image
from toys import photos, predict

from dlmap.run import module
from dlmap.run.files import read_csv
from dlmap.run.pictures import save_png
from mslique import list_images


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in read_csv(output / "results.csv")}


def contents(folder: Path) -> dict[str, str]:
    """Digests of the files and targets of the links, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check(folder: Path, output: Path, good: list[str], bad: list[str], errors: str) -> None:
    rows = rows_of(output)
    assert sorted(rows) == sorted([*good, *bad])
    assert {name for name, row in rows.items() if row["status"] == "ok"} == set(good)
    for name in bad:
        assert rows[name]["status"] == "failed" and f"{folder / name} cannot be decoded" in rows[name]["error"]
    assert sorted(path.name for path in list_images(output)) == sorted(Path(name).name for name in good)
    assert "Traceback" not in errors and f"error: {len(bad)} of {len(rows)} images failed" in errors


def test_every_bad_file_has_a_row_with_its_reason(
    folder: Path, tmp_path: Path, models: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    bad = write_bad(folder, 60)
    (folder / "folder.png").mkdir()
    (folder / "sub" / "x.heic").write_bytes(b"x")
    before = contents(folder)
    with pytest.warns(UserWarning, match=r"1 file in .* left out, of kinds that are not read: \.heic \(1\)"):
        assert predict(folder, tmp_path / "out", *models) == 1
    check(folder, tmp_path / "out", ["a.png", "b.png", "sub/c.png"], bad, capfd.readouterr().err)
    assert contents(folder) == before


@pytest.mark.slow
def test_a_thousand_bad_files_among_twenty_good_ones(
    tmp_path: Path, models: list[str], capfd: pytest.CaptureFixture[str], record_property: Any
) -> None:
    folder, good, seconds = tmp_path / "in", [f"good {k:02d}.png" for k in range(20)], []
    for k, name in enumerate(good):
        save_png(photos(1, 32, 32, seed=k)[0], folder / name)
    for number in (0, 1000):
        bad = write_bad(folder, number) if number else []
        before = contents(folder)
        start = time.monotonic()
        assert predict(folder, tmp_path / str(number), *models) == (1 if bad else 0)
        seconds.append(time.monotonic() - start)
        assert contents(folder) == before
    check(folder, tmp_path / "1000", good, bad, capfd.readouterr().err)
    each = (seconds[1] - seconds[0]) / 1000
    record_property("seconds_per_bad_file", each)
    assert each < 0.2


def test_odd_photographs_are_photographs(tmp_path: Path, models: list[str]) -> None:
    notes = write_odd(tmp_path / "in")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "stem.bmp").rename(tmp_path / "elsewhere" / "moved")
    (tmp_path / "in" / "stem.bmp").symlink_to(tmp_path / "elsewhere" / "moved")
    (tmp_path / "in" / "itself").symlink_to(tmp_path / "in")
    assert predict(tmp_path / "in", tmp_path / "out", *models) == 0
    rows = rows_of(tmp_path / "out")
    assert sorted(rows) == sorted(notes)
    for name, note in notes.items():
        assert rows[name]["status"] == "ok" and note in rows[name]["note"]
        assert bool(note) == bool(rows[name]["note"]), name
    results = {str(path.relative_to(tmp_path / "out")) for path in list_images(tmp_path / "out")}
    assert len(results) == len(notes) and {"stem.jpg.png", "stem.bmp.png", "deep/stem.png/under.png"} <= results
    assert not (tmp_path / "out" / "stem.bmp.png").is_symlink()
    assert [Image.open(tmp_path / "out" / f"orientation {k}.png").size for k in (4, 5)] == [(8, 6), (6, 8)]


def test_files_that_vanish_or_change_during_the_run(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    enhance, other = module.enhance, photos(1, 24, 24, seed=9)[0]

    def meanwhile(*args: Any) -> Any:
        (folder / "b.png").unlink(missing_ok=True)
        save_png(other, folder / "sub" / "c.png")
        return enhance(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "enhance", meanwhile)
        assert predict(folder, tmp_path / "out", *models, "--data.batch_size=1") == 1
    rows = rows_of(tmp_path / "out")
    assert [rows[name]["status"] for name in ("a.png", "b.png", "sub/c.png")] == ["ok", "failed", "ok"]
    assert "No such file" in rows["b.png"]["error"]
    assert Image.open(tmp_path / "out" / "sub" / "c.png").size == (24, 24)
    written = {path.name: path.stat().st_mtime_ns for path in list_images(tmp_path / "out")}
    assert predict(folder, tmp_path / "out", *models) == 0
    again = {path.name for path in list_images(tmp_path / "out") if path.stat().st_mtime_ns != written[path.name]}
    assert again == {"c.png"}  # planned before it changed: whether its result is of the new content cannot be known


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(folder: Path, tmp_path: Path, models: list[str]) -> None:
    (folder / "b.png").chmod(0)
    (folder / "sub").chmod(0)
    try:
        with pytest.warns(UserWarning, match="sub is left out: it cannot be listed"):
            assert predict(folder, tmp_path / "out", *models) == 1
    finally:
        (folder / "sub").chmod(0o700)
    assert "Permission denied" in rows_of(tmp_path / "out")["b.png"]["error"]
