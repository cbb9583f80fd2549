"""The commands `dlmap study serve` and `dlmap study export`, without a browser."""

import csv
import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade import make_study, photographs

from dlmap.cli import main
from dlmap.study.commands import announcement
from dlmap.study.definition import Study
from dlmap.study.store import Store
from dlmap.study.trials import Trial, read_answers, write_answers


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path / "study", photographs(16))


@pytest.fixture
def port() -> Iterator[int]:
    """One that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def complaint(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main(["study", *command]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_mistakes_are_one_sentence(
    study: Study, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(study.folder)
    assert f"port {port}: " in complaint(capsys, "serve", folder, "--port", str(port))
    assert "port 70000: " in complaint(capsys, "serve", folder, "--port", "70000")
    assert "host.invalid, port" in complaint(capsys, "serve", folder, "--host", "host.invalid")
    assert "--trials must be at least 1" in complaint(capsys, "serve", folder, "--trials", "0")
    assert "--break-every must be at least 0" in complaint(capsys, "serve", folder, "--break-every", "-1")
    assert "dlmap study create" in complaint(capsys, "serve", str(tmp_path))
    study.output("sharp", "astronaut.png").unlink()
    assert "outputs/sharp/astronaut.png" in complaint(capsys, "serve", folder)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install '.[study]'" in complaint(capsys, "serve", folder)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_at_home_there_is_no_warning(study: Study, host: str) -> None:
    text = announcement(study, host, 8000)
    assert f"http://{'[::1]' if host == '::1' else host}:8000/s/{study.token} " in text and "warning" not in text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "lab.example"])
def test_elsewhere_there_is_one(study: Study, host: str) -> None:
    text = announcement(study, host, 8000)
    assert "not encrypted" in text and "http://0.0.0.0" not in text and "[::]" not in text


def test_export(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / "answers.csv"), "--observers", str(tmp_path / "observers.csv")]
    assert "no answers yet" in complaint(capsys, "export", str(study.folder), *files)
    assert not study.answers.exists()
    store = Store(study.answers)
    trials = [
        Trial("pair", "astronaut.png", "soft", "sharp"),
        Trial("catch", "astronaut.png", "@original", "@degraded"),
    ]
    store.begin("o1", {"screenWidth": 1920, "agent": 'a "browser", or so'}, lambda taken: trials)
    store.begin("o2", {"screenWidth": 800}, lambda taken: trials)
    store.record("o1", 0, "right", 0.75)
    assert main(["study", "export", str(study.folder), *files]) == 0
    (answer,) = read_answers(tmp_path / "answers.csv")
    assert (answer.observer, answer.choice, answer.seconds) == ("o1", "right", 0.75)
    with (tmp_path / "observers.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"observer": "o1", "trials": "2", "answered": "1", "agent": 'a "browser", or so', "screenWidth": "1920"},
            {"observer": "o2", "trials": "2", "answered": "0", "agent": "", "screenWidth": "800"},
        ]
    (tmp_path / "file").touch()
    assert "cannot be written" in complaint(capsys, "export", str(study.folder), str(tmp_path / "file" / "a.csv"))


@pytest.fixture
def filled(study: Study) -> Study:
    assert main(["study", "simulate", str(study.folder), "--observers", "8", "--trials", "12"]) == 0
    return study


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("export STUDY STUDY/answers.sqlite", "answers.sqlite is there and is no .csv"),
        ("export STUDY x.csv --observers STUDY/study.json", "study.json is there and is no .csv"),
        ("export STUDY STUDY/originals/astronaut.png", "astronaut.png is there and is no .csv"),
        ("export STUDY x.csv --observers ./x.csv", "give two files"),
        ("simulate STUDY --output STUDY/answers.sqlite", "answers.sqlite is there and is no .csv"),
        ("simulate STUDY --output STUDY", "is there and is no .csv"),
        ("simulate STUDY --output x.csv --seed -1", "--seed must be 0 or more"),
        ("simulate STUDY --output x.csv --side-bias nan", "--side-bias finite"),
        ("simulate STUDY --output x.csv --scores SCORES", "must be finite"),
        ("simulate STUDY --output x.csv --scores SCORES sharp=2", "each once"),
        ("simulate STUDY --output x.csv --judge broken", "scores.csv is damaged"),
        ("simulate STUDY --output x.csv --judge missing", "must be finite"),
        ("rank --answers observers.csv --output .", "the ranking would replace observers.csv"),
        ("rank STUDY --output file", "file cannot be written"),
        ("export STUDY file/x.csv", "file cannot be written"),
    ],
)
def test_nothing_of_the_user_is_replaced_and_no_number_is_taken_for_another(
    command: str, sentence: str, filled: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled.folder.parent)
    Path("file").touch()
    (filled.folder / "scores.csv").write_text(
        "judge,contestant,calibrated\n"
        + "".join(f"{j},{c},{v}\n" for j, v in (("broken", "x"), ("missing", "nan")) for c in filled.contestants)
    )
    write_answers(Path("observers.csv"), Store(filled.answers).answers())
    before = {path: path.read_bytes() for path in filled.folder.parent.rglob("*") if path.is_file()}
    capsys.readouterr()
    scores = " ".join(f"{name}=nan" for name in filled.contestants)
    command = command.replace("STUDY", str(filled.folder)).replace("SCORES", scores)
    assert sentence in complaint(capsys, *command.split())
    assert {path: path.read_bytes() for path in filled.folder.parent.rglob("*") if path.is_file()} == before


def test_a_full_disk_is_a_sentence_and_loses_no_answer(
    filled: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Store(filled.answers).answers()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "ranking.csv")

    monkeypatch.setattr("dlmap.study.report.write_csv", full)
    options = ["--keep-all", "--resamples", "100"]
    assert "ranking.csv cannot be written" in complaint(capsys, "rank", str(filled.folder), *options)
    assert Store(filled.answers).answers() == answers


def test_ctrl_c_is_a_sentence(
    filled: Study, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlmap.study.report.write_csv", stopped)
    assert "stopped" in complaint(capsys, "rank", str(filled.folder), "--keep-all", "--resamples", "100")
