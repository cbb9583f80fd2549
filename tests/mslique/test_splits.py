import csv
import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mslique import UserError
from mslique.splits import run_splits


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """In the place of the command: leaves what it would leave, and notes its arguments."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess:
        stage, arguments = command[3], dict(a.removeprefix("--").split("=", 1) for a in command[4:])
        calls.append([stage, arguments["data.split"], Path(arguments.get("ckpt_path", "-")).name])
        folder, split = Path(arguments["output"]), int(arguments["data.split"])
        checkpoints = folder / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "last.ckpt").touch()
        if stage == "fit" and "fail" in arguments:
            return subprocess.CompletedProcess(command, 1)
        if stage == "fit":
            (checkpoints / "epoch=3.ckpt").touch()
        else:
            (folder / "x" / "test").mkdir(parents=True)
            rows = f"dataset,images,srcc,plcc\na,5,{split / 10},0.5\nb,5,{split / 10 + 0.2},0.7\n"
            (folder / "x" / "test" / "correlations.csv").write_text(rows)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("mslique.splits.subprocess.run", run)
    return calls


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "c.yaml").touch()
    return str(tmp_path / "c.yaml")


def test_every_split_is_trained_and_tested_once(lightning: list[list[str]], config: str, tmp_path: Path) -> None:
    text = run_splits(config, tmp_path, [1, 2, 3], [])
    assert lightning[:2] == [["fit", "1", "-"], ["test", "1", "epoch=3.ckpt"]] and len(lightning) == 6
    assert "| a | 0.200 (0.150 to 0.250) | 0.500" in text and "| mean | 0.300 (0.250 to 0.350) | 0.600" in text
    assert (tmp_path / "splits.md").read_text() == text
    assert len(list(csv.reader((tmp_path / "splits.csv").open()))) == 7
    run_splits(config, tmp_path, [1, 2, 3, 4], [])
    assert lightning[6:] == [["fit", "4", "-"], ["test", "4", "epoch=3.ckpt"]]


def test_tables_stay_whole_when_the_disk_is_full(
    lightning: list[list[str]], config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_splits(config, tmp_path, [1], [])
    before = [(tmp_path / name).read_bytes() for name in ("splits.csv", "splits.md")]

    write = Path.write_text

    def full(file: Path, *args: Any, **options: Any) -> int:
        if file.suffix == ".md":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, *args, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="cannot be written .*No space left"):
        run_splits(config, tmp_path, [1, 2], [])
    assert [(tmp_path / name).read_bytes() for name in ("splits.csv", "splits.md")] == before


def test_an_interrupted_split_goes_on_from_its_last_checkpoint(
    lightning: list[list[str]], config: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="goes on from where it stopped"):
        run_splits(config, tmp_path, [1], ["--fail=1"])
    run_splits(config, tmp_path, [1], [])
    assert lightning[1:] == [["fit", "1", "last.ckpt"], ["test", "1", "epoch=3.ckpt"]]


def test_several_checkpoints_are_refused(lightning: list[list[str]], config: str, tmp_path: Path) -> None:
    (tmp_path / "split-1" / "checkpoints").mkdir(parents=True)
    (tmp_path / "split-1" / "checkpoints" / "epoch=1.ckpt").touch()
    with pytest.raises(UserError, match="split-1 holds 2 checkpoints: the ModelCheckpoint needs save_top_k: 1"):
        run_splits(config, tmp_path, [1], [])


def test_a_missing_configuration_is_told_before_any_work(lightning: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="c.yaml is not a file: give the YAML file of the training"):
        run_splits("c.yaml", tmp_path, [1], [])
    assert not lightning
