"""From a study, or a csv, to the files of a ranking, by the commands."""

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from dlmap.cli import main
from dlmap.study.definition import Study
from dlmap.study.trials import read_answers

HOSTILE = "</script><script>document.title='broken in'</script>$x^"
NAMES, PHOTOS = ("best", "middle+x", "worst"), ("1.png", "sub/2.png", "3.png", "4.png", "5.png")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three contestants, five photographs of plain colours, no answers."""
    folder = tmp_path / "study"
    for k, place in enumerate(("originals", *(f"outputs/{name}" for name in NAMES))):
        for photo in PHOTOS:
            path = folder / place / photo
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (900, 600), (60 * k, 100, 100)).save(path)
    Study(folder, NAMES, PHOTOS, "token", question="Which is <b>better</b>?").save()
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def csv_of(path: Path, names: tuple[str, str, str]) -> Path:
    """Choices made elsewhere, without kinds and times: the first of ``names`` wins 7 of 8 times, the second 3 of 4."""
    lines = []
    for observer in range(6):
        for k in range(24):
            better, worse = ((0, 1), (0, 2), (1, 2))[k % 3]
            sides = (names[better], names[worse]) if (observer + k) % 2 else (names[worse], names[better])
            won = (observer + k) % (8 if better == 0 else 4) != 0
            lines.append([f"o{observer}", f"{k // 3}.png", *sides, names[better if won else worse]])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["observer", "photo", "left", "right", "choice"], *lines])
    return path


def test_simulated_answers_of_a_study_become_a_ranking(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spread = ["--scores", "worst=-1.5", "best=1.5", "middle+x=0"]
    assert main(["study", "simulate", str(study), "--observers", "10", "--careless", "2", *spread]) == 0
    assert "true scores: best +1.50, middle+x +0.00, worst -1.50" in capsys.readouterr().out
    assert main(["study", "rank", str(study), "--resamples", "100"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[-2] for line in printed.splitlines()[:3]] == list(NAMES) and "2 of 10 observers" in printed
    output = study / "ranking"
    assert sorted(p.name for p in output.iterdir()) == [
        "observers.csv", "pairs.csv", "ranking.csv", "ranking.html", "ranking.pdf", "ranking.png"
    ]  # fmt: skip
    assert [row["contestant"] for row in rows(output / "ranking.csv")] == list(NAMES)
    assert len(rows(output / "pairs.csv")) == 3
    observers = rows(output / "observers.csv")
    assert [row["observer"].count("-") > 1 for row in observers] == [row["excluded"] == "yes" for row in observers]
    assert all(bool(row["reason"]) == (row["excluded"] == "yes") for row in observers)
    assert (output / "ranking.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(output / "ranking.png") as picture:
        assert picture.width == 1050


def test_the_page_has_everything_in_it(study: Path) -> None:
    main(["study", "simulate", str(study), "--observers", "8", "--judge", "none"])  # refused: nothing is scored
    main(["study", "simulate", str(study), "--observers", "8"])
    assert main(["study", "rank", str(study), "--resamples", "100"]) == 0
    page = study / "ranking" / "ranking.html"
    data = data_of(page)
    assert data["question"] == "Which is <b>better</b>?"
    assert data["notes"][0] == "Simulated: 8 of 8 observers are a program's, not people."
    assert len(data["method"]) == 5 and data["method"][0].startswith("240 answers of 8 observers about 5 photographs")
    assert "100 resamples" in data["method"][3] and "All 3 pairs" in data["method"][4]
    assert [table["title"] for table in data["tables"]] == ["Ranking", "All pairs", "Observers"]
    assert data["figure"].startswith("data:image/png;base64,")
    assert len(data["examples"]) == 4
    for example in data["examples"]:
        titles, uris = zip(*example["pictures"], strict=True)
        assert titles[0] == "original" and [t.split(":")[0] for t in titles[1:]] == list(NAMES)
        small = Image.open(io.BytesIO(base64.b64decode(uris[1].split(",")[1])))
        assert small.size == (400, 267)
    assert re.findall(r"https?://", page.read_text("utf-8")) == []


def test_choices_made_elsewhere_are_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = csv_of(tmp_path / "answers.csv", (HOSTILE, "second", "third"))
    options = ["--answers", str(answers), "--output", str(tmp_path / "out"), "--resamples", "100"]
    assert main(["study", "rank", *options]) == 0
    assert "0 of 6 observers excluded" in capsys.readouterr().out
    found = rows(tmp_path / "out" / "ranking.csv")
    assert [row["contestant"] for row in found] == [HOSTILE, "second", "third"]
    assert [int(row["wins"]) for row in found] == [84, 42, 18]
    page = tmp_path / "out" / "ranking.html"
    assert len(re.findall("<script", page.read_text("utf-8"))) == 2  # the data and the program
    data = data_of(page)
    assert data["examples"] == [] and data["notes"] == [] and data["tables"][0]["rows"][0][1] == HOSTILE
    assert main(["study", "rank", *options, "--fewest", "25"]) == 1
    assert "only 24 answers" in capsys.readouterr().err
    assert main(["study", "rank", *options, "--fewest", "25", "--keep-all", "--correction", "none"]) == 0
    assert "Nobody was excluded" in data_of(page)["notes"][0]
    assert all(row["p"] == row["p corrected"] for row in rows(tmp_path / "out" / "pairs.csv"))


def test_mistakes_are_one_sentence(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args, message in (
        (["rank"], "name a STUDY, or give --answers FILE.csv and --output FOLDER"),
        (["rank", str(study)], "has no answers yet: `dlmap study serve` collects them"),
        (["rank", str(study / "none")], "is no study"),
        (["simulate", str(study), "--careless", "30"], "--careless between 0 and --observers"),
        (["simulate", str(study), "--scores", "best=1"], "--scores must name each contestant"),
    ):
        assert main(["study", *args]) == 1
        assert message in capsys.readouterr().err
    assert not (study / "answers.sqlite").exists() and not (study / "ranking").exists()


def test_simulated_answers_stay_apart_from_others(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate = ["study", "simulate", str(study), "--observers", "3", "--trials", "10"]
    assert main(simulate) == 0 and main(simulate) == 1
    assert "must not be mixed" in capsys.readouterr().err
    elsewhere = tmp_path / "simulated.csv"
    assert main([*simulate, "--output", str(elsewhere)]) == 0
    assert len(read_answers(elsewhere)) == 3 * (10 + 8 + 3)
    (study / "answers.sqlite").unlink()
    output = tmp_path / "out"
    assert main(["study", "rank", str(study), "--answers", str(elsewhere), "--output", str(output)]) == 0
    assert len(data_of(output / "ranking.html")["examples"]) == 4
    assert main(["study", "rank", str(study), "--answers", str(elsewhere), "--output", str(elsewhere)]) == 1
    assert f"{elsewhere} cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_works_in_a_browser(tmp_path: Path, browser: Browser) -> None:
    names = (HOSTILE, "<img src=x onerror=alert(1)>", "third")
    answers = csv_of(tmp_path / "answers.csv", names)
    main(["study", "rank", "--answers", str(answers), "--output", str(tmp_path), "--resamples", "100"])
    page = browser.new_page()
    page.goto((tmp_path / "ranking.html").as_uri())
    expect(page).to_have_title("Ranking")
    expect(page.get_by_text(names[1]).first).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("tbody").count() == 3 and page.locator('img[src^="data:image/png"]').count() == 1
    page.close()
