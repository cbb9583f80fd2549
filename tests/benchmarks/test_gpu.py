import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpu
import gpu_samples
import gpu_steps
import iteration
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from mslique import UserError, list_images, read_image

STEPS = (gpu.Step("quick", 60, ("quick",)), gpu.Step("long", 60, ("long",)), gpu.Step("broken", 60, ("broken",)))
STEPS += (gpu.Step("last", 60, ("last",)), gpu.Step("trained", 60, ("trained",), photos=True))
SCRIPT = """
import json, pathlib, signal, sys, time
name, output = sys.argv[1], pathlib.Path(sys.argv[2])
with open(output / "calls", "a") as file:
    file.write(name + "\\n")
checkpoint = output / "checkpoint"
def save(*_):
    checkpoint.write_text("half")
    sys.exit(1)
if name == "broken":
    raise ValueError("a part is broken")
signal.signal(signal.SIGTERM, save)
print("words", flush=True)
figures = {"network": name, "compiled": False, "solver": "edict", "batch": 1, "largest": "out of memory"}
print(json.dumps(figures), flush=True)
if name == "long" and not checkpoint.exists():
    time.sleep(60)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with steps that take no time, but for one that waits until it is ended."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/gpu_steps.py").write_text(SCRIPT)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2", "no-such-package"]\n')
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "STEPS", STEPS)
    monkeypatch.setattr(gpu, "CARD", """print('{"card": "cpu", "torch": "2.0"}')""")
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def ends(output: Path) -> list[tuple[str, str]]:
    return [(line["step"], line["ended"]) for line in gpu.results(output) if "ended" in line]


def test_a_step_that_is_killed_or_broken_leaves_a_line_and_the_next_goes_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, command = root / "out", ["run", str(root / "out"), "--device=cpu", "--commit=abc", "--limit", "long", "3"]
    assert gpu.main(command) == 1
    first = [("quick", "done"), ("long", "limit"), ("broken", "failed"), ("last", "done"), ("trained", "failed")]
    assert ends(output) == first
    errors = [line["error"] for line in gpu.results(output) if "error" in line]
    assert errors == ["ValueError: a part is broken", "it needs what the step samples unpacks"]
    line = next(line for line in gpu.results(output) if "figures" in line)
    assert line["figures"]["network"] == "quick" and line["step"] == "quick" and line["seconds"] >= 0
    assert (line["card"], line["torch"], line["commit"]) == ("cpu", "2.0", "abc") and "gpu_steps.py" in line["command"]
    assert (output / "checkpoint").read_text() == "half"  # SIGTERM came first
    printed = capsys.readouterr().out
    assert "no-such-package is absent" in printed and "not done: long, broken, trained" in printed

    (output / "photos").mkdir()
    assert gpu.main(command) == 1
    calls = (output / "calls").read_text().split()
    assert calls == ["quick", "long", "broken", "last", "long", "broken", "trained"]  # the long one goes on
    assert ends(output)[len(first) :] == [("long", "done"), ("broken", "failed"), ("trained", "done")]
    capsys.readouterr()
    assert gpu.main(["table", str(output)]) == 0
    tables = capsys.readouterr().out
    assert tables.count("| out of memory |") == 5  # the long one said it twice
    assert "| broken | failed: ValueError: a part is broken |" in tables


def end_this_process(output: Path) -> None:
    """By SIGTERM, once the long step has begun."""
    while not any(line["step"] == "long" for line in gpu.results(output)):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


def test_time_that_is_used_up_and_a_signal_leave_the_rest_for_the_next_run(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = root / "out"
    assert gpu.main(["run", str(output), "--device=cpu", "--minutes=0.05"]) == 1
    assert "quick: no time is left" in capsys.readouterr().out and ends(output) == []
    threading.Thread(target=end_this_process, args=(output,)).start()
    with pytest.raises(SystemExit):
        gpu.main(["run", str(output), "--device=cpu"])
    assert ends(output) == [("quick", "done"), ("long", "interrupted")]
    assert (output / "checkpoint").read_text() == "half"


def test_without_a_gpu_or_torch_a_sentence_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["run", str(root / "out")]) == 2
    assert "torch sees no GPU" in capsys.readouterr().err
    monkeypatch.setattr(gpu, "CARD", "import no_such_torch")
    assert gpu.main(["run", str(root / "out")]) == 2
    assert "torch cannot be imported (ModuleNotFoundError" in capsys.readouterr().err
    assert gpu.main(["table", str(root / "out")]) == 2
    assert "gpu.py run makes it" in capsys.readouterr().err


def test_memory_that_runs_out_ends_a_row_and_time_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults: dict[tuple[str, int], Exception] = {("edict", 4): torch.OutOfMemoryError("no memory")}
    faults["obelm", 8] = RuntimeError("too large for a kernel")

    def row(options: Any, prior: Any, objective: Any, solver: str, batch: int) -> dict[str, Any]:
        time.sleep(0.01)
        if fault := faults.get((solver, batch)):
            raise fault
        return {"image": 1.0}

    def said() -> list[tuple[str, int, str]]:
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(one["solver"], one["batch"], one.get("largest", "")) for one in rows]

    monkeypatch.setattr(gpu_steps, "row", row)
    monkeypatch.setattr(iteration, "make_prior", lambda *_, **options: None)
    monkeypatch.setattr(iteration, "make_objective", lambda: None)
    command = ["speed", str(tmp_path), "--network=sd15"]
    assert gpu_steps.main([*command, "--seconds=1e6"]) == 0
    whole = [(solver, batch, "") for batch in (1, 2) for solver in ("edict", "obelm")]
    whole += [("edict", 4, "out of memory"), ("obelm", 4, ""), ("obelm", 8, "too large for a kernel")]
    assert said() == whole

    with monkeypatch.context() as patch:
        patch.setattr(gpu_steps, "left", lambda options: 0.015)
        assert gpu_steps.main([*command, "--seconds=1"]) == gpu_steps.UNFINISHED == gpu.UNFINISHED
    assert said() == whole[:2]  # of the next it is known that it would take too long
    for solver, batch, largest in whole[:5]:
        figures = {"network": "sd15", "compiled": False, "solver": solver, "batch": batch}
        gpu.append(tmp_path, {"figures": figures | ({"largest": largest} if largest else {})})
    capsys.readouterr()
    assert gpu_steps.main([*command, "--seconds=1e6"]) == 0
    assert said() == whole[5:]  # what the first run has measured is not measured again
    faults["edict", 1] = RuntimeError("a mistake")
    with pytest.raises(RuntimeError, match="a mistake"):
        gpu_steps.main(["speed", str(tmp_path / "other"), "--network=sd15", "--seconds=1e6"])


def photographs(folder: Path) -> list[str]:
    """Three folders with one to three photographs, as arguments of ``prepare``."""
    pictures = {"kodak24": ["coffee"], "real": ["chelsea"], "training": ["astronaut", "chelsea", "coffee"]}
    for name, names in pictures.items():
        (folder / name).mkdir()
        for picture in names:
            Image.fromarray(np.asarray(getattr(skimage.data, picture)())).save(folder / name / f"{picture}.png")
    return [str(folder / name) for name in pictures]


def test_samples_come_back_as_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, folders = tmp_path / "samples.npz", photographs(tmp_path)
    options = [f"--output={path}", "--megabytes=3", "--crops=2"]
    assert gpu.main(["prepare", *folders, *options]) == 0
    assert path.stat().st_size < 3e6 and "2 crops, 2 crops_labels" in capsys.readouterr().out
    content = path.read_bytes()
    assert gpu.main(["prepare", *folders, *options]) == 0 and path.read_bytes() == content
    gpu_samples.unpack(path, tmp_path / "photos")
    (square,) = list_images(tmp_path / "photos/kodak24")
    assert torch.equal(read_image(square), read_image(tmp_path / "kodak24/coffee.png")[:, 72:328, 172:428])

    data = gpu_samples.PreparedCrops(str(path), crop_size=96, samples_per_epoch=16)
    data.setup("fit")
    arrays = gpu_samples.read(path)
    assert arrays["crops"].shape == (2, gpu_samples.VERSIONS, 3, 96, 96) and len(data.train_set) == 16
    shown = [data.train_set[index] for index in range(16)]
    assert torch.equal(shown[9].image, data.train_set[9].image)
    for index, sample in enumerate(shown):  # both crops in each round, and their versions one after another
        crop = arrays["crops_labels"].tolist().index([one.label.item() for one in shown[index // 4 * 4 :][:4]])
        wanted = torch.from_numpy(arrays["crops"][crop, index % 4]).float() / 255
        torch.testing.assert_close(sample.image.sum(dim=(1, 2)), wanted.sum(dim=(1, 2)))  # turned, perhaps mirrored
    held_out = torch.stack([sample.image for sample in data.val_set])
    assert torch.equal((255 * held_out).round().byte(), torch.from_numpy(arrays["held_out"][:, 0]))
    with pytest.raises(UserError, match=r"gpu.py prepare"):
        gpu_samples.read(tmp_path / "absent.npz")


@pytest.mark.slow
def test_the_rehearsal_of_all_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    samples, output = tmp_path / "samples.npz", tmp_path / "out"
    prepared = ["prepare", *photographs(tmp_path), f"--output={samples}", "--megabytes=3", "--crops=4"]
    assert gpu.main(prepared) == 0
    command = ["run", str(output), "--device=cpu", "--small", f"--samples={samples}", "--minutes=60"]
    for step in gpu.STEPS:
        command += ["--limit", step.name, "1" if step.name == "sd15 compiled" else "600"]
    assert gpu.main(command) == 1
    wanted = [(step.name, "limit" if step.name == "sd15 compiled" else "done") for step in gpu.STEPS]
    assert ends(output) == wanted, {path.name: path.read_text()[-2000:] for path in (output / "logs").iterdir()}
    figures: list[dict[str, Any]] = [line["figures"] for line in gpu.results(output) if "figures" in line]
    speed = [one for one in figures if "batch" in one]
    cases = [(one["network"], one["solver"], one["batch"]) for one in speed]
    assert cases == [(n, s, b) for n in ("sd15", "sdxl") for b in (1, 2) for s in ("edict", "obelm")]
    assert all(one["image"] > 0 and one["tflops"] > 0 and one["floor"] > 0 and one["peak_gb"] > 0 for one in speed)
    trainings = [one for one in figures if "metric" in one]
    assert [(one["metric"], one["steps"]) for one in trainings] == [("val/v_loss", 2), ("val_srcc", 2)]
    assert trainings[0]["before"] != trainings[0]["after"] and -1 <= trainings[1]["after"] <= 1  # four crops: a rank
    assert (output / "quality/checkpoints/last.ckpt").is_file()
    assert figures[-1]["changes"].keys() >= {"bands", "BM3D"}
    capsys.readouterr()
    assert gpu.main(["table", str(output)]) == 0
    tables = capsys.readouterr().out
    assert "| sdxl | 64, 2 |  | obelm | 2 |" in tables and "| sd15 compiled | limit |" in tables
    lines = len(gpu.results(output))
    assert gpu.main(command) == 1
    assert [line["step"] for line in gpu.results(output)[lines:]] == ["sd15 compiled"]  # all others are done
