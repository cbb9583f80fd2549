"""The console command in processes of its own: several at once, killed, told to end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import CONFIG, IN_STAGES, photos, predict

from dlmap.run.files import read_csv
from dlmap.run.pictures import save_png
from mslique import list_images

COUNT = 41
COMMAND = Path(sys.executable).parent / "lightning"
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small photographs of two sizes, unevenly mixed."""
    folder = tmp_path_factory.mktemp("many")
    for k, photo in enumerate(photos(COUNT, 32, 40)):
        save_png(photo[:, :, : 32 if k % 3 else 40], folder / f"{k:02d}.png")
    return folder


@pytest.fixture(scope="module")
def plain(many: Path, models: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed run of one process."""
    output = tmp_path_factory.mktemp("plain")
    assert predict(many, output, *models, "--data.batch_size=4") == 0
    return output


def start(folder: Path, output: Path, *options: str) -> "subprocess.Popen[str]":
    source = str(Path(__file__).parents[3] / "src")
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(COMMAND), "predict", "--config", str(CONFIG), "--data.folder", str(folder)]
    return subprocess.Popen(
        [*command, "--output", str(output), *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(count: int, output: Path) -> None:
    deadline = time.monotonic() + 120
    while len(list(output.rglob("*.png"))) < count:
        assert time.monotonic() < deadline, "no results"
        time.sleep(0.02)


def check_complete(output: Path, plain: Path) -> None:
    names = [f"{k:02d}.png" for k in range(COUNT)]
    assert [path.name for path in list_images(output)] == names
    rows = read_csv(output / "results.csv")
    assert [row["file"] for row in rows] == names and {row["status"] for row in rows} == {"ok"}
    for name in names:
        ours, theirs = (np.asarray(Image.open(path / name)).astype(int) for path in (output, plain))
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 1
    assert [path.name for path in (output / ".dlmap").glob("*.jsonl")] == ["journal.jsonl"]
    assert not list(output.rglob("*.part"))


@pytest.mark.slow
def test_two_processes_do_every_photograph_once(many: Path, plain: Path, tmp_path: Path, models: list[str]) -> None:
    process = start(many, tmp_path, *models, *TWO, "--data.batch_size=3")
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    check_complete(tmp_path, plain)
    written = {path: path.stat().st_mtime_ns for path in list_images(tmp_path)}
    (tmp_path / "07.png").unlink()  # one photograph for two processes: one of them has nothing to do
    process = start(many, tmp_path, *models, *TWO)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    check_complete(tmp_path, plain)
    changed = [p.name for p in list_images(tmp_path) if p.stat().st_mtime_ns != written[p]]
    assert changed == ["07.png"]


@pytest.mark.slow
def test_two_runs_do_not_meet_in_one_folder(many: Path, plain: Path, tmp_path: Path, models: list[str]) -> None:
    first = start(many, tmp_path, *models, *TWO, "--data.batch_size=1", "--model.ascent.iterations=20")
    wait_for(1, tmp_path)
    os.killpg(first.pid, signal.SIGSTOP)  # so that it cannot end before the second has begun
    second = start(many, tmp_path, *models, *TWO)
    _, errors = second.communicate(timeout=180)
    os.killpg(first.pid, signal.SIGCONT)
    assert first.poll() is None and second.returncode == 1
    assert f"error: another run is writing to --output {tmp_path}: wait until it has ended" in errors
    assert "Traceback" not in errors
    _, errors = first.communicate(timeout=180)
    assert first.returncode == 0, errors
    assert predict(many, tmp_path, *models) == 0
    check_complete(tmp_path, plain)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], TWO], ids=["one", "two"])
def test_after_a_kill_only_the_missing_ones_are_done(
    processes: list[str], many: Path, plain: Path, tmp_path: Path, models: list[str]
) -> None:
    process = start(many, tmp_path, *models, *processes, "--data.batch_size=1")
    wait_for(8, tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    noted = re.findall(r'"file": "(\d\d.png)"', "".join(p.read_text() for p in (tmp_path / ".dlmap").glob("part-*")))
    assert 5 <= len(noted) < COUNT
    written = {name: (tmp_path / name).stat().st_mtime_ns for name in noted}
    assert predict(many, tmp_path, *models) == 0
    check_complete(tmp_path, plain)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in noted} == written


@pytest.mark.slow
def test_stages_in_two_processes_after_a_kill_give_what_one_undisturbed_one_does(
    many: Path, tmp_path: Path, models: list[str]
) -> None:
    options = [*models, IN_STAGES, "--data.batch_size=2"]
    assert predict(many, tmp_path / "plain", *options) == 0
    process = start(many, tmp_path / "out", *options, *TWO)
    wait_for(8, tmp_path / "out")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    process = start(many, tmp_path / "out", *options, *TWO)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    check_complete(tmp_path / "out", tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["launched", "launching"])
def test_a_process_that_dies_ends_the_run_at_once(
    victim: str, many: Path, plain: Path, tmp_path: Path, models: list[str]
) -> None:
    process = start(many, tmp_path, *models, *TWO, "--data.batch_size=1")
    wait_for(4, tmp_path)
    (launched,) = children(process.pid)
    os.kill(process.pid if victim == "launching" else launched, signal.SIGKILL)
    _, errors = process.communicate(timeout=20)  # ends when no process holds the pipe any more
    assert "Traceback" not in errors
    if victim == "launched":
        assert process.returncode == 1
        assert "process 1 of this run was killed (SIGKILL)" in errors and "run the same command again" in errors
    assert len(list_images(tmp_path)) < COUNT
    assert predict(many, tmp_path, *models) == 0
    check_complete(tmp_path, plain)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(
    many: Path, tmp_path: Path, models: list[str], record_property: Callable[[str, object], None]
) -> None:
    """One photograph at a time, so that the results are those of the undisturbed run to the last bit."""
    options, moments = [*models, "--data.batch_size=1", "--data.num_workers=0"], np.random.default_rng(0)
    undisturbed = start(many, tmp_path / "plain", *options)
    assert undisturbed.wait(timeout=120) == 0
    output, done = tmp_path / "out", []
    for _ in range(20):
        process, before = start(many, output, *options), len(list(output.rglob("*.png")))
        if before < COUNT - 2:  # begin to count when it has begun to work
            wait_for(before + 1, output)
        time.sleep(moments.uniform(0, 0.15))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done.append(len(list_images(output)))
        for path in list_images(output):
            assert path.read_bytes() == (tmp_path / "plain" / path.name).read_bytes()
    record_property("done_after_each_kill", done)
    assert start(many, output, *options).wait(timeout=120) == 0
    check_complete(output, tmp_path / "plain")
    for path in list_images(tmp_path / "plain"):
        assert (output / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [[], TWO], ids=["one", "two"])
def test_told_to_end_it_ends_cleanly(
    processes: list[str], number: signal.Signals, many: Path, plain: Path, tmp_path: Path, models: list[str]
) -> None:
    process = start(many, tmp_path, *models, *processes, "--data.batch_size=1", "--data.num_workers=1")
    wait_for(3, tmp_path)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as the terminal does for Ctrl-C
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "run the same command again to go on" in errors and "Traceback" not in errors
    rows = read_csv(tmp_path / "results.csv")
    assert 3 <= len(rows) < COUNT and {row["status"] for row in rows} == {"ok"}
    assert [row["file"] for row in rows] == [path.name for path in list_images(tmp_path)]
    assert (tmp_path / "report.html").is_file()
    assert predict(many, tmp_path, *models) == 0
    check_complete(tmp_path, plain)
